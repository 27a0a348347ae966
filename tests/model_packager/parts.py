"""The packager's command, and a bundle opened without it."""

from pathlib import Path

from dunlin_contract import hpke, keys
from dunlin_contract.bundle import BundleFile
from dunlin_contract.manifest import ZLIB
from dunlin_contract.stream import ChunkCipher
from model_packager import cli, keyfolder
from tests.model_packager.conftest import Fleet


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def payload_bytes(path: Path, fleet: Fleet, index: int) -> bytes:
    """A stored or compressed payload, opened with nothing but the contract and zlib."""
    import zlib

    root = keyfolder.read_root(fleet.folder / "root.cose").root
    packager = keys.load_pem((fleet.folder / "packager.pem").read_bytes())
    with BundleFile.open(path, root) as opened:
        cek = hpke.open_cek(Path(f"{path}.cek").read_bytes(), packager, opened.release.digest, hpke.PACKAGER)
        payload = opened.manifest.payloads[index]
        cipher = ChunkCipher(cek, payload.id, payload.chunk_log2)
        last = payload.chunk_count - 1
        plain = b"".join(cipher.open(i, i == last, chunk) for i, chunk in enumerate(opened.chunks(index)))
    return zlib.decompress(plain) if payload.compression == ZLIB else plain
