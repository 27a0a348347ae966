"""Making the keys and the first root, and the next root signed by both thresholds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dunlin_contract import cose, keys
from dunlin_contract.cose import Role
from dunlin_contract.envelopes import open_next_root, root_digest
from dunlin_contract.errors import ContractError
from dunlin_contract.keys import PrivateKey
from dunlin_contract.root import OPS_THRESHOLD, RoleKeys, Root, ServerKeys
from model_packager import files
from model_packager.errors import KeyFileError
from model_packager.keyfolder import PACKAGER, RELEASE, ROOT_FILE, Passphrase, PinnedRoot, load_key, save_key

ROOT_VALID_DAYS = 3650
_DAY_S = 86400
_SURELY_PAST_S = 1_735_689_600  # 2025-01-01: a clock before it was never set
_SERVER_ROLES = ("director", "vault", "ca")
ROTATABLE = ("root", "release", "ops")


def read_server_keys(path: Path) -> ServerKeys:
    """The server's public keys, as ``fleet-server init`` writes them. Raises KeyFileError."""
    try:
        server = ServerKeys.from_bytes(path.read_bytes())
        for spki in (server.director, server.vault, server.ca):
            keys.load_spki(spki)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; `fleet-server init` writes it") from None
    except ContractError as error:
        raise KeyFileError(f"{path} is not a server-keys file: {error}; `fleet-server init` writes it") from None
    return server


def _role(threshold: int, spkis: Sequence[bytes]) -> RoleKeys:
    return RoleKeys(threshold=threshold, kids=tuple(sorted(keys.kid(spki) for spki in spkis)))


def _root(version: int, epoch: int, now: int, roles: Mapping[str, tuple[int, Sequence[bytes]]]) -> Root:
    listed = {keys.kid(spki): spki for _, spkis in roles.values() for spki in spkis}
    return Root(
        version=version,
        issued=now,
        not_after=now + ROOT_VALID_DAYS * _DAY_S,
        epoch=epoch,
        keys=listed,
        roles={name: _role(threshold, spkis) for name, (threshold, spkis) in roles.items()},
    )


def init(folder: Path, server: ServerKeys, passphrase: bytes | None, root_keys: int, root_threshold: int) -> bytes:
    """Make all keys and root 1 in ``folder``, which must be new or empty. Returns the root's digest.

    Raises:
        KeyFileError: the folder holds something, or cannot be written; or the clock is wrong.
    """
    if time.time() < _SURELY_PAST_S:
        raise KeyFileError("this machine's clock is years behind: set it, or the root made now ends years too early")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise KeyFileError(f"{folder} is not empty: keys are never overwritten; name a new folder")
        folder.chmod(0o700)
    except OSError as error:
        raise KeyFileError(f"{folder}: {error.strerror}") from None
    made: dict[str, PrivateKey] = {f"root-{number}.pem": keys.generate() for number in range(1, root_keys + 1)}
    signing = list(made.values())
    made |= {RELEASE: keys.generate(), PACKAGER: keys.generate()}
    ops = {f"ops-{number}.pem": keys.generate() for number in range(1, OPS_THRESHOLD + 1)}
    made |= ops
    roles = {
        "root": (root_threshold, [keys.spki(key) for key in signing]),
        "release": (1, [keys.spki(made[RELEASE])]),
        "ops": (OPS_THRESHOLD, [keys.spki(key) for key in ops.values()]),
        **{name: (1, [getattr(server, name)]) for name in _SERVER_ROLES},
    }
    root = _root(1, 0, int(time.time()), roles)
    envelope = cose.sign(root.to_bytes(), signing, Role.ROOT)
    try:
        for name, key in made.items():
            save_key(folder / name, key, passphrase)
        files.write(folder / ROOT_FILE, envelope)
    except BaseException:
        for name in made:
            (folder / name).unlink(missing_ok=True)
        raise
    return root_digest(envelope)


@dataclass(frozen=True, slots=True)
class Change:
    """What root N+1 changes: server keys, roles that get new keys, and whether the epoch rises."""

    server: ServerKeys | None
    rotate: tuple[str, ...]
    raise_epoch: bool


def next_root(folder: Path, current: PinnedRoot, change: Change, root_keys: Sequence[Path], secret: Passphrase) -> Root:
    """Sign root N+1 by both thresholds and put it in the folder's ``root.cose``; N is kept as ``root-N.cose``.

    New keys are written beside the old ones, which are kept as ``NAME.rootN.pem``: they still open what they signed.

    Raises:
        KeyFileError: too few root keys are there, or a file cannot be written.
    """
    old = current.root
    signing = [load_key(path, secret) for path in root_keys]
    known = set(old.signers("root").values())
    signing = [key for key in signing if keys.spki(key) in known]
    wanted = old.roles["root"].threshold
    if len(signing) < wanted:
        raise KeyFileError(f"{len(signing)} of {wanted} root keys are here: name the others by --root-key FILE")
    fresh = {name: [keys.generate() for _ in old.roles[name].kids] for name in change.rotate}
    roles = {name: (role.threshold, [old.keys[kid] for kid in role.kids]) for name, role in old.roles.items()}
    for name, made in fresh.items():
        roles[name] = (old.roles[name].threshold, [keys.spki(key) for key in made])
    if change.server is not None:
        roles |= {name: (1, [getattr(change.server, name)]) for name in _SERVER_ROLES}
    root = _root(old.version + 1, old.epoch + change.raise_epoch, int(time.time()), roles)
    envelope = cose.sign(root.to_bytes(), [*signing, *fresh.get("root", [])], Role.ROOT)
    open_next_root(envelope, old)
    passphrase = secret.get("the new keys") if fresh and _encrypted(folder, root_keys) else None
    for name, made in fresh.items():
        for file, key in zip(_files_of(name, len(made)), made, strict=True):
            if (folder / file).exists():
                (folder / file).rename(folder / f"{file.removesuffix('.pem')}.root{old.version}.pem")
            save_key(folder / file, key, passphrase)
    files.write(folder / f"root-{old.version}.cose", current.envelope)
    files.write(folder / ROOT_FILE, envelope)
    return root


def _files_of(role: str, count: int) -> list[str]:
    return [RELEASE] if role == "release" and count == 1 else [f"{role}-{number}.pem" for number in range(1, count + 1)]


def _encrypted(folder: Path, root_keys: Sequence[Path]) -> bool:
    """Whether this owner encrypts keys: then new ones are encrypted too, under the same passphrase."""
    return any(b"ENCRYPTED" in path.read_bytes() for path in [*root_keys, *folder.glob("*.pem")] if path.is_file())
