"""Locked pages: plaintext that cannot be swapped out, and the tier that says so."""

import hashlib
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunlin_contract.manifest import STORED, Payload
from dunlin_contract.stream import ChunkCipher
from fleet_agent import device, locking
from fleet_agent.unlocker.payloads import Unlocked

MIB = 1 << 20
may_lock = pytest.mark.skipif(not locking.possible(), reason="this user may not lock memory (RLIMIT_MEMLOCK)")


def locked_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmLck"))


@pytest.fixture
def forget() -> Iterator[None]:
    """What is possible is asked once a process."""
    locking.possible.cache_clear()
    yield
    locking.possible.cache_clear()


@may_lock
def test_a_pinned_file_is_locked_as_a_whole_until_it_is_let_go() -> None:
    fd = os.memfd_create("model")
    os.write(fd, bytes(3 * MIB))
    before = locked_bytes()
    pinned = locking.Pinned(fd)
    assert locked_bytes() - before >= 3 * MIB
    pinned.close()
    assert locked_bytes() == before
    os.close(fd)


@may_lock
def test_a_payload_is_locked_before_it_is_written_and_sealed_all_the_same() -> None:
    data, cek, name = secrets.token_bytes(2 * MIB), secrets.token_bytes(32), secrets.token_bytes(16)
    chunks = [data[at : at + MIB] for at in range(0, len(data), MIB)]
    cipher = ChunkCipher(cek, name, 20)
    ciphertext = os.memfd_create("slot")
    for place, chunk in enumerate(chunks):
        os.write(ciphertext, cipher.seal(place, place == len(chunks) - 1, chunk))
    payload = Payload(
        id=name,
        role="model",
        format="onnx",
        compression=STORED,
        installed_length=len(data),
        installed_sha256=hashlib.sha256(data).digest(),
        plaintext_length=len(data),
        ciphertext_length=len(data) + 16 * len(chunks),
        chunk_log2=20,
        chunk_count=len(chunks),
        merkle_root=bytes(32),
        aead=24,
    )
    before = locked_bytes()
    unlocked = Unlocked(ciphertext, 0, payload, cek, locked=True)
    assert locked_bytes() - before >= len(data)
    assert os.pread(unlocked.fd, len(data) + 1, 0) == data
    with pytest.raises(PermissionError):
        os.write(unlocked.fd, b"changed")
    unlocked.release()
    assert locked_bytes() == before
    os.close(unlocked.fd)
    os.close(ciphertext)


def test_without_an_unlimited_limit_nothing_is_promised(monkeypatch: pytest.MonkeyPatch, forget: None) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 * MIB, 8 * MIB))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not locking.possible(keeps_rights=False)


@pytest.mark.parametrize(
    ("swaps", "can_lock", "tier"),
    [
        ("", False, "no-swap"),
        ("", True, "no-swap"),
        ("/swap file 1 0 -2\n", True, "locked"),
        ("/swap\n", False, "swappable"),
    ],
)
def test_the_tier_is_what_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, swaps: str, can_lock: bool, tier: str
) -> None:
    (tmp_path / "swaps").write_text("Filename Type Size Used Priority\n" + swaps)
    monkeypatch.setattr(device, "_PROC", tmp_path)
    monkeypatch.setattr(locking, "possible", lambda *, keeps_rights: can_lock and not keeps_rights)
    assert device.tier().model_store == tier


def test_a_process_that_may_lock_everything_does() -> None:
    code = (
        "from fleet_agent import locking; import sys\n"
        "if not locking.possible(keeps_rights=False): sys.exit(3)\n"
        "assert locking.lock_process()\n"
        "kept = bytearray(b'x') * (5 << 20)\n"
        "status = open('/proc/self/status').read()\n"
        "locked = next(int(l.split()[1]) for l in status.splitlines() if l.startswith('VmLck'))\n"
        "assert locked > 5 << 10, locked"
    )
    code_of_end = subprocess.run([sys.executable, "-c", code], check=False).returncode
    if code_of_end == 3:
        pytest.skip("RLIMIT_MEMLOCK is not unlimited and may not be raised")
    assert code_of_end == 0
