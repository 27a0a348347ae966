"""Verify, then parse: the one way from a signed envelope to a record. Who may sign is read from the root."""

import hashlib
from dataclasses import dataclass

from dunlin_contract import cose, keys
from dunlin_contract.capture import CaptureOrder
from dunlin_contract.cose import Role
from dunlin_contract.directive import Directive, directive_digest
from dunlin_contract.enrolment import EnrolRequest, RenewRequest
from dunlin_contract.event import Ack, Event
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Manifest, release_digest
from dunlin_contract.reported import Reported
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
    manifest = Manifest.from_bytes(payload)
    small = not manifest.for_microcontrollers or len(envelope) <= LIMITS.manifest_tflm_bytes
    require(Rule.SIZE, small, f"with a tflm variant a manifest has at most {LIMITS.manifest_tflm_bytes} bytes")
    return Release(manifest, release_digest(payload))


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


def open_capture(envelope: bytes, root: Root) -> CaptureOrder:
    """Capture order signed by the root's ops role, at least two distinct keys. Raises ContractError."""
    threshold = max(OPS_THRESHOLD, root.roles["ops"].threshold)
    payload = cose.verify(envelope, Role.CAPTURE, root.signers("ops"), threshold, LIMITS.capture_bytes)
    return CaptureOrder.from_bytes(payload)


def open_receipt(envelope: bytes, identity_spki: bytes) -> Receipt:
    """Receipt signed by the device whose identity key is given. Raises ContractError."""
    return Receipt.from_bytes(_by_device(envelope, Role.RECEIPT, identity_spki, LIMITS.receipt_bytes))


def open_reported(envelope: bytes, identity_spki: bytes) -> Reported:
    """Report signed by a device behind a gateway; it has a number. Raises ContractError."""
    report = Reported.from_bytes(_by_device(envelope, Role.REPORTED, identity_spki, LIMITS.reported_bytes))
    require(Rule.FIELD_MISSING, report.number > 0, "a signed report must have a number")
    return report


def open_event(envelope: bytes, identity_spki: bytes) -> Event:
    """Event signed by a device behind a gateway. Raises ContractError."""
    return Event.from_bytes(_by_device(envelope, Role.EVENT, identity_spki, LIMITS.event_bytes))


def open_enrol(envelope: bytes) -> EnrolRequest:
    """Enrolment request signed by the very key that it carries. Raises ContractError."""
    request = EnrolRequest.from_bytes(cose.peek1(envelope, LIMITS.enrolment_bytes))
    _by_device(envelope, Role.ENROL, request.spki, LIMITS.enrolment_bytes)
    return request


def open_renew(envelope: bytes, identity_spki: bytes) -> RenewRequest:
    """Renewal signed by a device's known identity key. Raises ContractError."""
    return RenewRequest.from_bytes(_by_device(envelope, Role.RENEW, identity_spki, LIMITS.enrolment_bytes))


def _by_device(envelope: bytes, role: Role, identity_spki: bytes, cap_bytes: int) -> bytes:
    return cose.verify1(envelope, role, {keys.kid(identity_spki): identity_spki}, cap_bytes)


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
