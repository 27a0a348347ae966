"""Chunk verify + decrypt as the agent does it, against bare SHA-256 + ChaCha20-Poly1305 over the same bytes.

The agent's part: leaf hash compared with the signed index, then the chunk opened at its place. The baseline is the two
primitives of the same libraries with nothing around them. Both run in turn, so that a busy machine slows both.
"""

import hashlib
import secrets
import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dunlin_contract import bundle, merkle
from dunlin_contract.manifest import AEAD_CHACHA20_POLY1305
from dunlin_contract.stream import ChunkCipher, payload_key

TOTAL_BYTES = 32 << 20
ROUNDS = 7
SIZES = ((17, "128 KiB (Linux)"), (16, "64 KiB (poor links)"), (12, "4 KiB (microcontrollers)"))


def main() -> None:
    """Print MB/s of both and their ratio, per chunk size."""
    print(f"verify + decrypt of {TOTAL_BYTES >> 20} MiB, one core, median of {ROUNDS} rounds, MB/s of plaintext")
    print(f"{'chunks of':<26}{'Dunlin':>10}{'bare SHA-256 + ChaCha20':>26}{'ratio':>8}")
    for log2, label in SIZES:
        ours, bare = measure(log2)
        print(f"{label:<26}{ours:>10.0f}{bare:>26.0f}{ours / bare:>8.2f}")


def measure(log2: int) -> tuple[float, float]:
    """MB/s of the agent's way and of the bare primitives."""
    cek, payload_id = secrets.token_bytes(32), secrets.token_bytes(16)
    cipher = ChunkCipher(cek, payload_id, log2)
    count = TOTAL_BYTES >> log2
    chunks = [cipher.seal(place, place == count - 1, secrets.token_bytes(1 << log2)) for place in range(count)]
    leaves = [merkle.leaf(chunk) for chunk in chunks]
    bare = ChaCha20Poly1305(payload_key(cek, payload_id, AEAD_CHACHA20_POLY1305, log2))
    nonces = [place.to_bytes(11, "big") + bytes([place == count - 1]) for place in range(count)]

    def dunlin() -> None:
        for place, chunk in enumerate(chunks):
            bundle.check_chunk(chunk, leaves[place])
            cipher.open(place, place == count - 1, chunk)

    def primitives() -> None:
        for nonce, chunk in zip(nonces, chunks, strict=True):
            hashlib.sha256(chunk).digest()
            bare.decrypt(nonce, chunk, None)

    times: dict[Callable[[], None], list[float]] = {dunlin: [], primitives: []}
    for _ in range(ROUNDS):
        for work, seconds in times.items():
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    ours, theirs = (TOTAL_BYTES / 1e6 / statistics.median(seconds) for seconds in times.values())
    return ours, theirs


if __name__ == "__main__":
    main()
