"""Verify, then parse: the one way from a signed envelope to a record. Who may sign is read from the root."""

import hashlib
from dataclasses import dataclass

from dunlin_contract import cose, keys
from dunlin_contract.cose import Role
from dunlin_contract.directive import Directive, directive_digest
from dunlin_contract.enrolment import EnrolRequest, RenewRequest
from dunlin_contract.event import Ack
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Manifest, release_digest
from dunlin_contract.root import OPS_THRESHOLD, Root
from dunlin_contract.rules import Rule, require
from dunlin_contract.wipe import Receipt, WipeOrder, order_digest


@dataclass(frozen=True, slots=True)
class Release:
    """A verified manifest and the digest that names it."""

    manifest: Manifest
    digest: bytes


def open_manifest(envelope: bytes, root: Root) -> Release:
    """Manifest signed by the root's release role. Raises ContractError."""
    role = root.roles["release"]
    payload = cose.verify(envelope, Role.RELEASE, root.signers("release"), role.threshold, LIMITS.manifest_bytes)
    return Release(Manifest.from_bytes(payload), release_digest(payload))


def open_directive(envelope: bytes, root: Root) -> tuple[Directive, bytes]:
    """Directive signed by the root's director role, and its digest. Raises ContractError."""
    payload = cose.verify1(envelope, Role.DIRECTIVE, root.signers("director"), LIMITS.directive_bytes)
    return Directive.from_bytes(payload), directive_digest(payload)


def open_ack(envelope: bytes, root: Root) -> Ack:
    """Acknowledgement signed by the root's director role. Raises ContractError."""
    return Ack.from_bytes(cose.verify1(envelope, Role.ACK, root.signers("director"), LIMITS.ack_bytes))


def open_wipe(envelope: bytes, root: Root) -> tuple[WipeOrder, bytes]:
    """Wipe order signed by the root's ops role, at least two distinct keys, and its digest. Raises ContractError."""
    threshold = max(OPS_THRESHOLD, root.roles["ops"].threshold)
    payload = cose.verify(envelope, Role.WIPE, root.signers("ops"), threshold, LIMITS.wipe_bytes)
    return WipeOrder.from_bytes(payload), order_digest(payload)


def open_receipt(envelope: bytes, identity_spki: bytes) -> Receipt:
    """Receipt signed by the device whose identity key is given. Raises ContractError."""
    signers = {keys.kid(identity_spki): identity_spki}
    return Receipt.from_bytes(cose.verify1(envelope, Role.RECEIPT, signers, LIMITS.receipt_bytes))


def open_enrol(envelope: bytes, csr_spki: bytes) -> EnrolRequest:
    """Enrolment request signed by the key it wants certified. Raises ContractError."""
    signers = {keys.kid(csr_spki): csr_spki}
    return EnrolRequest.from_bytes(cose.verify1(envelope, Role.ENROL, signers, LIMITS.enrolment_bytes))


def open_renew(envelope: bytes, identity_spki: bytes) -> RenewRequest:
    """Renewal signed by a device's known identity key. Raises ContractError."""
    signers = {keys.kid(identity_spki): identity_spki}
    return RenewRequest.from_bytes(cose.verify1(envelope, Role.RENEW, signers, LIMITS.enrolment_bytes))


def _root_payload(envelope: bytes, root: Root) -> bytes:
    role = root.roles["root"]
    return cose.verify(envelope, Role.ROOT, root.signers("root"), role.threshold, LIMITS.root_bytes)


def _check_keys(root: Root) -> None:
    for kid, spki in root.keys.items():
        keys.load_spki(spki)
        require(Rule.ROOT_KEY, keys.kid(spki) == kid, f"key {kid.hex()} is listed under another key's id")


def root_digest(envelope: bytes) -> bytes:
    """What a claim token pins: SHA-256 of the root's payload bytes."""
    return hashlib.sha256(cose.peek(envelope, LIMITS.root_bytes)).digest()


def open_first_root(envelope: bytes, digest: bytes) -> Root:
    """The root a claim token (or a person) pinned by its digest; it must also be signed by its own root keys.

    Raises:
        ContractError: ``root-key`` when the digest is another's; else the rule of signature or schema.
    """
    require(Rule.ROOT_KEY, root_digest(envelope) == digest, "the root is not the one that was pinned")
    root = Root.from_bytes(cose.peek(envelope, LIMITS.root_bytes))
    _check_keys(root)
    _root_payload(envelope, root)
    return root


def open_next_root(envelope: bytes, current: Root) -> Root:
    """Root N+1, signed by the root keys of both N and N+1. An epoch may stay or rise, never fall.

    Raises:
        ContractError: ``root-version``, ``root-epoch``, or the rule of signature or schema.
    """
    root = Root.from_bytes(_root_payload(envelope, current))
    _check_keys(root)
    _root_payload(envelope, root)
    follows = root.version == current.version + 1
    require(Rule.ROOT_VERSION, follows, f"root {root.version} does not follow {current.version}")
    require(Rule.ROOT_EPOCH, root.epoch >= current.epoch, "the epoch may not fall")
    return root
