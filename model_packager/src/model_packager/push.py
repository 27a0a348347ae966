"""``packager push``: re-seal the content key to the vault key that the *signed root* names, and upload."""

import base64
from pathlib import Path
from typing import Any

from dunlin_contract import hpke
from dunlin_contract.bundle import BundleFile
from dunlin_contract.keys import PrivateKey
from model_packager.build import cek_path_of
from model_packager.keyfolder import PinnedRoot
from model_packager.progress import Progress
from model_packager.server import Server
from model_packager.verify import open_sealed_cek, verify


def push(path: Path, pinned: PinnedRoot, packager: PrivateKey, server: Server, progress: Progress) -> dict[str, Any]:
    """Verify a bundle whole, seal its key to the vault, upload it. Returns what was pushed, for ``--json``.

    Raises:
        ContractError: the bundle is damaged, or of another root.
        KeyFileError, ServerError: what is missing or does not open, or why the server refused.
    """
    cek_path = cek_path_of(path)
    verified = verify(path, pinned.root, packager, cek_path, progress)
    root = server.root(pinned)
    with BundleFile.open(path, root) as opened:
        digest = opened.release.digest
    cek = open_sealed_cek(cek_path, packager, digest)
    vault = next(iter(root.signers("vault").values()))
    sealed = base64.b64encode(hpke.seal_cek(cek, vault, digest, hpke.VAULT)).decode()
    progress.step(f"uploading to {server.url}")
    server.upload(path, sealed, lambda sent, total: progress.advance(path.name, sent, total))
    return {"name": verified.name, "version": verified.version, "digest": digest.hex(), "server": server.url}
