"""``packager verify``: every byte of a bundle, as far as the keys at hand reach."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dunlin_contract import hpke
from dunlin_contract.bundle import BundleFile
from dunlin_contract.errors import ContractError
from dunlin_contract.install import installed
from dunlin_contract.keys import PrivateKey
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Payload
from dunlin_contract.root import Root
from dunlin_contract.stream import ChunkCipher
from model_packager.errors import KeyFileError
from model_packager.progress import Progress


@dataclass(frozen=True, slots=True)
class Verified:
    """What holds. ``opened``: the payloads were decrypted too, and are what the manifest says."""

    release_digest: bytes
    name: str
    version: str
    chunks: int
    opened: bool
    expired: bool


def read_sealed_cek(path: Path) -> bytes:
    """The sealed content key beside a bundle. Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            return file.read(LIMITS.grant_bytes + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; it lies beside the bundle when `packager build` ends") from None


def open_sealed_cek(path: Path, packager: PrivateKey, digest: bytes) -> bytes:
    """The content key of the release ``digest`` from the file beside its bundle. Raises KeyFileError."""
    try:
        return hpke.open_cek(read_sealed_cek(path), packager, digest, hpke.PACKAGER)
    except ContractError as error:
        raise KeyFileError(
            f"{path} does not open: take the file that was built with this bundle, and the key folder that built them: "
            f"{error}"
        ) from None


def verify(path: Path, root: Root, packager: PrivateKey | None, cek_path: Path, progress: Progress) -> Verified:
    """Check signature, lengths, index and every chunk; with the packager's key also every payload's plaintext.

    Raises:
        OSError: the bundle cannot be read.
        ContractError: naming the rule that the bundle breaks.
        KeyFileError: the sealed content key is not there, or does not open.
    """
    progress.step(f"verifying {path.name}")
    with BundleFile.open(path, root) as opened:
        manifest, digest = opened.manifest, opened.release.digest
        cek = None
        if packager is not None:
            cek = open_sealed_cek(cek_path, packager, digest)
        done = 0
        for index, payload in enumerate(manifest.payloads):

            def count(length: int) -> None:
                nonlocal done
                done += length
                progress.advance(path.name, done, manifest.chunks_length)

            chunks = _counted(opened.chunks(index), count)
            if cek is None:
                for _ in chunks:
                    pass
            else:
                check_installed(payload, cek, chunks)
        return Verified(
            digest,
            manifest.name,
            manifest.version,
            len(opened.leaves),
            cek is not None,
            manifest.not_after < time.time(),
        )


def _counted(chunks: Iterable[bytes], count: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        count(len(chunk))
        yield chunk


def check_installed(payload: Payload, cek: bytes, chunks: Iterable[bytes]) -> None:
    """Decrypt and unpack a payload, one chunk in memory, and compare length and SHA-256.

    Raises:
        MismatchError: ``chunk-open`` or ``installed``.
    """
    cipher = ChunkCipher(cek, payload.id, payload.chunk_log2, payload.aead)
    last = payload.chunk_count - 1
    for _ in installed(payload, (cipher.open(index, index == last, chunk) for index, chunk in enumerate(chunks))):
        pass
