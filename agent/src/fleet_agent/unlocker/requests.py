"""What the unlocker is asked. Blobs come and go as memory files, because a control message holds 64 KiB only."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from dunlin_contract import cose, envelopes, hpke, keys
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import EnrolReply, RenewRequest
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Payload
from dunlin_contract.root import Root
from dunlin_contract.rules import Rule, refuse, require
from dunlin_contract.schema import Record
from fleet_agent.engine_file import Head
from fleet_agent.files import disk_errors
from fleet_agent.paths import Paths
from fleet_agent.sealed import Sealed, sealed_memory
from fleet_agent.unlocker import engines
from fleet_agent.unlocker.keystore import Keystore, KeystoreError, StorageKey, seal, unseal
from fleet_agent.unlocker.payloads import Unlocked

_BLOB_BYTES = LIMITS.directive_bytes + 4096


def _read(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    require(Rule.SIZE, size <= _BLOB_BYTES, f"{size} bytes are too many for a message")
    return os.pread(fd, size, 0)


class Certified(NamedTuple):
    """A device certificate: its chain in PEM, and its lifetime in Unix seconds."""

    pem: bytes
    begins: int
    ends: int


def check_chain(chain: tuple[bytes, ...], ca_der: bytes, device: str, key: keys.PrivateKey) -> Certified:
    """What an enrolment or renewal brought, checked.

    Raises:
        ContractError: ``value``: not for this device, not its key, or not issued by its CA.
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        ca = x509.load_der_x509_certificate(ca_der)
        own = certificates[0]
        own.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 - a parser fed by the network; each failure means the same
        refuse(Rule.VALUE, "the certificate was not issued by this fleet's CA")
    names = [str(part.value) for part in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    require(Rule.VALUE, names == [device], "the certificate is for another device")
    public = own.public_key()
    ours = isinstance(public, keys.PublicKey) and keys.spki(public) == keys.spki(key)
    require(Rule.VALUE, ours, "the certificate is for another key")
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    begins, ends = own.not_valid_before_utc.timestamp(), own.not_valid_after_utc.timestamp()
    return Certified(pem, max(0, int(begins)), max(0, int(ends)))


class Requests:
    """Answers by name. An answer's map goes into the reply; memory files are appended to ``out``.

    ``locked``: pages may be locked here.
    """

    def __init__(self, paths: Paths, keystore: Keystore, *, locked: bool) -> None:
        self._paths = paths
        self._keystore = keystore
        self._locked = locked
        self._unlocked: Sealed | None = None
        self._answers: dict[str, Callable[[dict[str, Any], list[int], list[int]], dict[str, object]]] = {
            "verify": self._verify,
            "root": self._root_in_force,
            "next-root": self._next_root,
            "grant": self._grant,
            "unlock": self._unlock,
            "keep-engine": self._keep_engine,
            "open-engine": self._open_engine,
            "storage-key": self._storage_key,
            "destroy": self._destroy,
            "forget": self._forget,
            "rotate-kem": self._rotate_kem,
            "sign-receipt": self._sign_receipt,
            "renew-request": self._renew_request,
            "certificate": self._certificate,
        }

    def answer(self, body: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        """One answer. Raises ContractError, KeystoreError, StorageError."""
        if self._unlocked is not None:
            # Whoever asks again has taken what came before.
            self._unlocked.release()
            self._unlocked = None
        return self._answers[str(body["do"])](body, fds, out)

    def _root(self) -> Root:
        return Root.from_bytes(cose.peek(self._paths.root.read_bytes(), LIMITS.root_bytes + 4096))

    def _verify(self, body: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        """Payload of a signed envelope, once its signatures hold."""
        envelope, root = _read(fds[0]), self._root()
        record: Record
        match body["what"]:
            case "directive":
                record, _ = envelopes.open_directive(envelope, root)
            case "manifest":
                record = envelopes.open_manifest(envelope, root).manifest
            case "ack":
                record = envelopes.open_ack(envelope, root)
            case "capture":
                record = envelopes.open_capture(envelope, root)
            case _:
                record, _ = envelopes.open_wipe(envelope, root)
        # Canonical encoding makes this the payload's very bytes.
        out.append(sealed_memory("payload", iter([record.to_bytes()])))
        return {}

    def _root_in_force(self, _: dict[str, Any], __: list[int], out: list[int]) -> dict[str, object]:
        out.append(sealed_memory("root", iter([self._root().to_bytes()])))
        return {}

    def _next_root(self, _: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        root = envelopes.open_next_root(_read(fds[0]), self._root())
        out.append(sealed_memory("root", iter([root.to_bytes()])))
        return {}

    def _grant(self, body: dict[str, Any], _: list[int], __: list[int]) -> dict[str, object]:
        """Open a grant once and seal its content key under the model's storage key."""
        cek = hpke.open_cek(body["grant"], self._keystore.kem(), body["release"], body["device"])
        key = self._keystore.storage_key(body["model"], make=True)
        assert key is not None
        return {"cek": seal(key, cek, body["release"])}

    def _unlock(self, body: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        cek = unseal(self._key_of(body["model"]), body["cek"], body["release"])
        if cek is None:
            refuse(Rule.CHUNK_OPEN, "the sealed content key does not open: damaged, or of another release")
        payload = Payload.from_cbor(body["payload"])
        self._unlocked = Unlocked(fds[0], body["offset"], payload, cek, locked=self._locked)
        out.append(self._unlocked.fd)
        return {}

    def _keep_engine(self, body: dict[str, Any], fds: list[int], _: list[int]) -> dict[str, object]:
        """Encrypt an engine that was built here, a memory file, into the second file."""
        with disk_errors(f"the engine of {body['model']}"):
            engines.keep(self._key_of(body["model"]), Head.from_bytes(body["head"]), *fds)
        return {}

    def _open_engine(self, body: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        self._unlocked = engines.OpenedEngine(self._key_of(body["model"]), fds[0], locked=self._locked)
        out.append(self._unlocked.fd)
        return {}

    def _key_of(self, model: str) -> StorageKey:
        key = self._keystore.storage_key(model, make=False)
        if key is None:
            raise KeystoreError(f"the storage key of {model} is gone")
        return key

    def _storage_key(self, body: dict[str, Any], _: list[int], __: list[int]) -> dict[str, object]:
        """Id of a model's storage key (empty when it has none) and whether its canary opens."""
        return {
            "id": self._keystore.storage_key_id(body["model"]),
            "canary": self._keystore.canary_opens(body["model"]),
        }

    def _destroy(self, body: dict[str, Any], _: list[int], __: list[int]) -> dict[str, object]:
        self._keystore.destroy_storage_key(body["model"])
        return {"canary": self._keystore.canary_opens(body["model"])}

    def _forget(self, body: dict[str, Any], _: list[int], __: list[int]) -> dict[str, object]:
        self._keystore.forget_canary(body["model"])
        return {}

    def _rotate_kem(self, _: dict[str, Any], __: list[int], ___: list[int]) -> dict[str, object]:
        return {"kem": keys.spki(self._keystore.rotate_kem())}

    def _sign_receipt(self, _: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        envelope = cose.sign1(_read(fds[0]), self._keystore.identity(), Role.RECEIPT)
        out.append(sealed_memory("receipt", iter([envelope])))
        return {}

    def _renew_request(self, body: dict[str, Any], _: list[int], out: list[int]) -> dict[str, object]:
        key = self._keystore.identity()
        request = RenewRequest(device=body["device"], spki=keys.spki(key))
        out.append(sealed_memory("renewal", iter([cose.sign1(request.to_bytes(), key, Role.RENEW)])))
        return {}

    def _certificate(self, body: dict[str, Any], fds: list[int], out: list[int]) -> dict[str, object]:
        """PEM chain out of a renewal's answer."""
        reply = EnrolReply.from_bytes(_read(fds[0]))
        require(Rule.VALUE, reply.status == "issued", "the server did not renew at once")
        ca = x509.load_pem_x509_certificate(self._paths.ca.read_bytes())
        ca_der = ca.public_bytes(serialization.Encoding.DER)
        certified = check_chain(reply.chain, ca_der, body["device"], self._keystore.identity())
        out.append(sealed_memory("certificate", iter([certified.pem])))
        return {"begins": certified.begins, "ends": certified.ends}
