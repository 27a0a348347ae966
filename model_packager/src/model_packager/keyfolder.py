"""The key folder: private keys as PEM files (0600) and the signed root that says what each may do."""

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from dunlin_contract import keys
from dunlin_contract.envelopes import open_first_root, root_digest
from dunlin_contract.errors import ContractError
from dunlin_contract.keys import PrivateKey
from dunlin_contract.root import Root
from model_packager.errors import KeyFileError

RELEASE, PACKAGER, ROOT_FILE = "release.pem", "packager.pem", "root.cose"


@dataclass(frozen=True, slots=True)
class PinnedRoot:
    """A root from a file of our own, its envelope and its digest (what a claim token carries)."""

    root: Root
    envelope: bytes
    digest: bytes


def read_root(path: Path) -> PinnedRoot:
    """The root in ``path``, which must be signed by its own root keys; that the file is the right one is its owner's.

    Raises:
        KeyFileError: not there, or not a root.
    """
    try:
        envelope = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; make it by `packager keys init`, or copy it here") from None
    try:
        digest = root_digest(envelope)
        return PinnedRoot(open_first_root(envelope, digest), envelope, digest)
    except ContractError as error:
        raise KeyFileError(f"{path} is not a valid root: {error}; get a fresh copy of it") from None


class Passphrase:
    """Where a passphrase comes from: a file, or the terminal, asked once; never the command line."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: bytes | None = None

    def get(self, what: str, new: bool = False) -> bytes:
        """The passphrase; a ``new`` one is asked for twice.

        Raises:
            KeyFileError: the file is empty or unreadable, or there is no terminal to ask on.
        """
        if self._known is None:
            self._known = self._read() if self._file else self._ask(what, new)
        return self._known

    def _read(self) -> bytes:
        assert self._file is not None
        try:
            text = self._file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise KeyFileError(f"passphrase file {self._file}: {error.strerror}") from None
        if not text:
            raise KeyFileError(f"passphrase file {self._file} is empty: write the passphrase into it")
        return text

    @staticmethod
    def _ask(what: str, new: bool) -> bytes:
        if not sys.stdin.isatty():
            raise KeyFileError(f"{what} needs a passphrase: give --passphrase-file FILE")
        text = getpass.getpass(f"passphrase of {what}: ").encode()
        if not text:
            raise KeyFileError("the passphrase is empty: type one, or give --passphrase-file FILE")
        if new and getpass.getpass("the same again: ").encode() != text:
            raise KeyFileError("the two passphrases differ: try again")
        return text


def load_key(path: Path, passphrase: Passphrase) -> PrivateKey:
    """A private key; the passphrase is asked for only when the file is encrypted.

    Raises:
        KeyFileError: not there, not a key, readable by others, or another passphrase.
    """
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; name the folder made by `packager keys init`") from None
    encrypted = b"ENCRYPTED PRIVATE KEY" in data
    if mode & 0o077 and not encrypted:
        raise KeyFileError(f"{path} is readable by others: chmod 600 it, and make a new key if others may have read it")
    try:
        return keys.load_pem(data, passphrase.get(path.name) if encrypted else None)
    except ValueError as error:
        raise KeyFileError(f"{path}: {error}") from None


def save_key(path: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    """Write a new key, never over another one.

    Raises:
        KeyFileError: it exists, or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(keys.dump_pem(key, passphrase))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None


def load_for_role(folder: Path, file: str, role: str, root: Root, passphrase: Passphrase) -> PrivateKey:
    """A key that the root lets sign as ``role``.

    Raises:
        KeyFileError: as for :func:`load_key`, or the root does not name the key.
    """
    key = load_key(folder / file, passphrase)
    require_role(key, folder / file, role, root)
    return key


def require_role(key: PrivateKey, path: Path, role: str, root: Root) -> None:
    """Refuse a key that the root does not let sign as ``role``. Raises KeyFileError."""
    if keys.spki(key) not in root.signers(role).values():
        raise KeyFileError(f"{path} is not among the {role} keys of root {root.version}: use a key that the root names")
