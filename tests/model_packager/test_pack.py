"""Payloads cut into chunks, compressed and encrypted, and opened again."""

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunlin_contract.manifest import STORED, ZLIB
from model_packager import pack, verify
from model_packager.errors import ModelRefusedError

CHUNK = 1 << pack.CHUNK_LOG2


def roundtrip(content: bytes, folder: Path) -> pack.Packed:
    """Pack bytes and open them again with the contract's own checks."""
    cek = os.urandom(32)
    with (folder / "spool").open("w+b") as spool:
        packed = pack.pack(pack.from_bytes("golden", "cbor", content), cek, spool, lambda done, total: None)
        spool.seek(0)
        chunks = [spool.read(packed.payload.chunk_length(index)) for index in range(packed.payload.chunk_count)]
        assert spool.read() == b""
    verify.check_installed(packed.payload, cek, chunks)
    return packed


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_sizes_around_a_chunk(tmp_path: Path, length: int) -> None:
    packed = roundtrip(os.urandom(length), tmp_path)
    assert packed.payload.compression == STORED
    assert packed.payload.chunk_count == max(1, -(-length // CHUNK))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.binary(max_size=2000), st.integers(1, 400))
def test_whatever_is_packed_comes_out_again(tmp_path: Path, part: bytes, times: int) -> None:
    packed = roundtrip(part * times, tmp_path)
    saved = packed.payload.plaintext_length <= 0.95 * packed.payload.installed_length
    assert (packed.payload.compression == ZLIB) == saved or packed.payload.installed_length == 0


def test_a_file_that_changes_while_it_is_packed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"a" * 1000)
    source = pack.from_file("model", "tflite", path)
    path.write_bytes(b"b" * 1000)
    with (tmp_path / "spool").open("w+b") as spool, pytest.raises(ModelRefusedError, match="changed while"):
        pack.pack(source, os.urandom(32), spool, lambda done, total: None)


def test_memory_stays_flat_with_size(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1 << 20) * 24)
    source = pack.from_file("model", "onnx", path)
    with (tmp_path / "spool").open("w+b") as spool:
        tracemalloc.start()
        try:
            pack.pack(source, os.urandom(32), spool, lambda done, total: None)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 << 20
