"""Seed corpora of the fuzz targets, out of the contract's vectors: ``seeds.py FOLDER``."""  # noqa: INP001 - a script beside C sources

import json
import sys
from collections.abc import Iterator
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[3] / "contract" / "vectors"
KINDS = {
    "cbor": ("cbor", "settings", "enrol-reply", "claim-token", "wipe-decide", "root-first", "check-release", "wipe"),
    "directive": ("directive", "directive-decide"),
    "chunk": ("chunk",),
    "manifest": ("manifest", "index"),
    "frame": ("frame", "link-stream", "link-message"),
}
FIELDS = ("bytes", "desired", "manifest")


def seeds(target: str) -> Iterator[bytes]:
    """One input a vector."""
    for kind in KINDS[target]:
        for vector in json.loads((VECTORS / f"{kind}.json").read_text()):
            if kind == "claim-token":
                yield vector["text"].encode()
                continue
            body = bytes.fromhex(next(vector[field] for field in FIELDS if isinstance(vector.get(field), str)))
            # A chunk's index and last flag go in front; a frame's delimiter behind.
            yield bytes([vector["index"] & 0xFF, vector["last"]]) + body if kind == "chunk" else body
            if kind == "frame":
                yield body + b"\x00"


def main() -> None:
    into = Path(sys.argv[1])
    for target in KINDS:
        folder = into / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(seeds(target)):
            (folder / f"{number:04}").write_bytes(data)


if __name__ == "__main__":
    main()
