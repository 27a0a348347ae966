"""The device's secrets as files only this user can read: the tier reported as ``file``.

A model's storage key protects its content keys at rest, so that destroying one small file takes a model away. It is
itself wrapped by the device's key. Each comes with a canary: a sample it sealed, which proves that it is gone.
"""

import os
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dunlin_contract import cbor, ids, keys
from dunlin_contract.errors import ContractError
from fleet_agent import files
from fleet_agent.paths import Paths

_ID_BYTES = 16
_NONCE_BYTES = 12
_CANARY = b"dunlin canary"
_SEALED_BYTES = 512


class KeystoreError(Exception):
    """A secret is missing or does not open; ``code`` says so to the server."""

    code = "keystore"


class StorageKey(NamedTuple):
    """A model's storage key and the id that a wipe's receipt states."""

    id: bytes
    secret: bytes


class Keystore(Protocol):
    """Where secrets lie. Every method raises KeystoreError when what it needs is missing or damaged."""

    def identity(self) -> keys.PrivateKey:
        """Key of the device certificate; signs receipts and renewals."""

    def kem(self) -> keys.PrivateKey:
        """Key that grants are sealed to."""

    def rotate_kem(self) -> keys.PrivateKey:
        """Destroy the KEM key and make another: no earlier grant opens any more."""

    def storage_key(self, model: str, make: bool) -> StorageKey | None:
        """The model's storage key, made when missing if ``make``."""

    def storage_key_id(self, model: str) -> bytes:
        """Its id, told without opening it: a key that is damaged can be wiped too. Empty when there is none."""

    def destroy_storage_key(self, model: str) -> None:
        """Make everything sealed under it unreadable for good. Its canary stays, to prove just that."""

    def forget_canary(self, model: str) -> None:
        """Delete the canary."""

    def canary_opens(self, model: str) -> bool:
        """Whether the sample that the model's storage key sealed still opens."""


class FileKeystore:
    """A Keystore of 0600 files."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._folder = paths.keystore

    def identity(self) -> keys.PrivateKey:
        return self._private("identity key", self._paths.identity_key)

    def kem(self) -> keys.PrivateKey:
        return self._private("KEM key", self._folder / "kem.key")

    def rotate_kem(self) -> keys.PrivateKey:
        key = keys.generate()
        path = self._folder / "kem.key"
        files.destroy(path)
        files.write_whole(path, keys.dump_pem(key, None))
        return key

    def create(self) -> tuple[keys.PrivateKey, keys.PrivateKey]:
        """At enrolment: identity and KEM key, made unless an interrupted enrolment has left them."""
        files.make_folder(self._folder)
        for path in (self._paths.identity_key, self._folder / "kem.key"):
            if not path.exists():
                files.write_whole(path, keys.dump_pem(keys.generate(), None))
        self._device_key(make=True)
        return self.identity(), self.kem()

    def storage_key(self, model: str, make: bool) -> StorageKey | None:
        data = files.read_if_there(self._key_path(model))
        if data is None:
            return self._make_storage_key(model) if make else None
        try:
            key_id, nonce, sealed = cbor.decode(data, _SEALED_BYTES)
            return StorageKey(key_id, self._wrapper().decrypt(nonce, sealed, model.encode() + key_id))
        except (ContractError, InvalidTag, ValueError, TypeError):
            raise KeystoreError(f"the storage key of {model} does not open") from None

    def storage_key_id(self, model: str) -> bytes:
        try:
            key_id, _, _ = cbor.decode(files.read_if_there(self._key_path(model)) or b"", _SEALED_BYTES)
        except (ContractError, ValueError, TypeError):
            return b""
        return key_id if isinstance(key_id, bytes) and len(key_id) == _ID_BYTES else b""

    def destroy_storage_key(self, model: str) -> None:
        files.destroy(self._key_path(model))

    def forget_canary(self, model: str) -> None:
        self._canary_path(model).unlink(missing_ok=True)

    def canary_opens(self, model: str) -> bool:
        data = files.read_if_there(self._canary_path(model))
        try:
            key = self.storage_key(model, make=False)
        except KeystoreError:
            return False
        return data is not None and key is not None and unseal(key, data, b"canary") == _CANARY

    def _make_storage_key(self, model: str) -> StorageKey:
        key = StorageKey(os.urandom(_ID_BYTES), ChaCha20Poly1305.generate_key())
        nonce = os.urandom(_NONCE_BYTES)
        wrapped = self._wrapper().encrypt(nonce, key.secret, model.encode() + key.id)
        # The canary first: a key without one could not be proven gone.
        files.write_whole(self._canary_path(model), seal(key, _CANARY, b"canary"))
        files.write_whole(self._key_path(model), cbor.encode([key.id, nonce, wrapped]))
        return key

    def _key_path(self, model: str) -> Path:
        return self._path(model, "storage")

    def _canary_path(self, model: str) -> Path:
        return self._path(model, "canary")

    def _path(self, model: str, what: str) -> Path:
        if not ids.is_model(model):
            raise KeystoreError("not a model's name")
        return self._folder / f"{model}.{what}"

    def _wrapper(self) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(self._device_key(make=False))

    def _device_key(self, make: bool) -> bytes:
        path = self._folder / "device.key"
        data = files.read_if_there(path)
        if data is None and make:
            data = ChaCha20Poly1305.generate_key()
            files.write_whole(path, data)
        if data is None or len(data) != 32:
            raise KeystoreError("the device key is missing or damaged: enrol this device anew")
        return data

    @staticmethod
    def _private(what: str, path: Path) -> keys.PrivateKey:
        try:
            with open(path, "rb") as file:
                return keys.load_pem(file.read())
        except (OSError, ValueError):
            raise KeystoreError(f"the {what} is missing or damaged: enrol this device anew") from None


def seal(key: StorageKey, plaintext: bytes, bound_to: bytes) -> bytes:
    """``plaintext`` under a storage key; opens only with the same ``bound_to``."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + ChaCha20Poly1305(key.secret).encrypt(nonce, plaintext, key.id + bound_to)


def unseal(key: StorageKey, sealed: bytes, bound_to: bytes) -> bytes | None:
    """What :func:`seal` sealed, None when it does not open."""
    try:
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return ChaCha20Poly1305(key.secret).decrypt(nonce, body, key.id + bound_to)
    except (InvalidTag, ValueError):
        return None
