"""``packager usb``: bundles into a folder that is carried to devices, such as a USB stick's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dunlin_contract.bundle import BundleFile, write
from dunlin_contract.root import Root
from model_packager import files
from model_packager.errors import OutputError
from model_packager.progress import Progress


def copy(bundle: Path, folder: Path, root: Root, progress: Progress) -> dict[str, Any]:
    """Verify a bundle and put it into ``folder`` as NAME-VERSION.dnb, whole or not at all. The sealed content key stays
    behind: a device gets its own by its directive. Returns what was written, for ``--json``.

    Raises:
        OSError: the bundle cannot be read.
        ContractError: it is damaged, or not signed by a release key of ``root``.
        OutputError: the folder is none, or is full.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder} is no folder: mount the stick, and name the folder where it is")
    with BundleFile.open(bundle, root) as opened:
        manifest = opened.manifest
        target = folder / f"{manifest.name}-{manifest.version}.dnb"
        progress.step(f"verifying {bundle.name} and writing {target}")
        with files.whole(target) as out:
            chunks = _checked(opened, bundle.name, progress)
            write(out, opened.envelope, opened.leaves, chunks, manifest.chunks_length)
        digest = opened.release.digest.hex()
    return {"file": str(target), "name": manifest.name, "version": manifest.version, "digest": digest}


def _checked(opened: BundleFile, name: str, progress: Progress) -> Iterator[bytes]:
    """Every chunk of a bundle, checked as it is read: what is written is what was verified."""
    done = 0
    for index in range(len(opened.manifest.payloads)):
        for chunk in opened.chunks(index):
            yield chunk
            done += len(chunk)
            progress.advance(name, done, opened.manifest.chunks_length)
