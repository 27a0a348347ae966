"""An owner of an ops key signs an order: after reading in words what it does, and saying that they mean it."""

import sys
from argparse import Namespace
from pathlib import Path

from dunlin_contract import cose
from dunlin_contract import keys as contract_keys
from dunlin_contract.cose import Role
from dunlin_contract.root import OPS_THRESHOLD
from model_packager import keyfolder
from model_packager.errors import KeyFileError, PackagerError
from model_packager.keyfolder import ROOT_FILE, Passphrase


def signature(payload: bytes, role: Role, words: str, device: str, arguments: Namespace) -> bytes:
    """One COSE_Signature of an order for ``device``; ``words`` say what it does.

    ``arguments``: ``key``, ``root``, ``yes`` and ``passphrase_file`` of the command line.

    Raises:
        KeyFileError: no such key, or nobody is here to confirm.
        PackagerError: they did not confirm.
    """
    path: Path = arguments.key
    key = keyfolder.load_key(path, Passphrase(arguments.passphrase_file))
    root_file = arguments.root or path.with_name(ROOT_FILE)
    if arguments.root or root_file.exists():
        keyfolder.require_role(key, path, "ops", keyfolder.read_root(root_file).root)
    print(words)
    print(f"  signer   {path.name}, key {contract_keys.kid(contract_keys.spki(key)).hex()}")
    print(f"Two different people must sign it; {OPS_THRESHOLD} signatures send it.")
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise KeyFileError("nobody is here to confirm: run it in a terminal, or give --yes after reading the above")
        if input(f"Type the device's name to sign ({device}): ").strip() != device:
            raise PackagerError("not signed")
    return cose.signature(payload, key, role)
