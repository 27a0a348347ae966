"""``packager usb``: bundles into a folder that is carried to devices, such as a USB stick's."""

import shutil
from pathlib import Path
from typing import Any

from dunlin_contract.root import Root
from model_packager import files
from model_packager.errors import OutputError
from model_packager.progress import Progress
from model_packager.verify import verify

_BLOCK_BYTES = 1 << 20


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
    verified = verify(bundle, root, None, bundle, progress)
    target = folder / f"{verified.name}-{verified.version}.dnb"
    progress.step(f"writing {target}")
    with bundle.open("rb") as source, files.whole(target) as out:
        shutil.copyfileobj(source, out, _BLOCK_BYTES)
    digest = verified.release_digest.hex()
    return {"file": str(target), "name": verified.name, "version": verified.version, "digest": digest}
