"""Root metadata: who may sign what. The one thing a device trusts first; its digest stands in the claim token."""

from collections.abc import Mapping
from typing import ClassVar

from dunlin_contract.ids import KID_BYTES
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, format_version, octets, one_of, record, table, uint

ROLE_NAMES = ("root", "release", "director", "ops", "ca", "vault")
OPS_THRESHOLD = 2
"""A wipe takes two people, whatever a root says."""

_kid = octets(KID_BYTES)


class RoleKeys(Record):
    """Keys of one role and how many distinct ones must sign."""

    threshold: int = at(0, uint(LIMITS.role_keys, 1))
    kids: tuple[bytes, ...] = at(1, array(_kid, LIMITS.role_keys, 1))


class Root(Record):
    """Version N of the key list. ``keys``: key id -> DER SubjectPublicKeyInfo. Times in Unix seconds."""

    CAP_BYTES: ClassVar[int] = LIMITS.root_bytes

    format: int = format_version(default=1)
    version: int = at(1, uint(LIMITS.counter, 1))
    issued: int = at(2, uint(LIMITS.time_s))
    not_after: int = at(3, uint(LIMITS.time_s))
    epoch: int = at(4, uint(LIMITS.counter))
    keys: Mapping[bytes, bytes] = at(5, table(_kid, octets(91), LIMITS.root_keys))
    roles: Mapping[str, RoleKeys] = at(6, table(one_of(*ROLE_NAMES), record(RoleKeys), len(ROLE_NAMES)))

    def check(self) -> None:
        complete = set(self.roles) == set(ROLE_NAMES)
        require(Rule.ROOT_ROLE, complete, f"the roles must be {', '.join(ROLE_NAMES)}")
        for name, role in self.roles.items():
            require(Rule.ORDER, list(role.kids) == sorted(set(role.kids)), f"key ids of {name} must ascend")
            known = set(role.kids) <= set(self.keys)
            require(Rule.ROOT_KEY, known, f"role {name} names a key that is not listed")
            reachable = role.threshold <= len(role.kids)
            require(Rule.THRESHOLD, reachable, f"role {name}: {role.threshold} of {len(role.kids)} keys cannot sign")
        enough = self.roles["ops"].threshold >= OPS_THRESHOLD
        require(Rule.THRESHOLD, enough, "ops needs a threshold of at least 2")

    def signers(self, role: str) -> dict[bytes, bytes]:
        """Key id -> SubjectPublicKeyInfo of those who may sign as ``role``."""
        return {kid: self.keys[kid] for kid in self.roles[role].kids}


class ServerKeys(Record):
    """Public keys of a fleet server, handed to those who sign the root."""

    CAP_BYTES: ClassVar[int] = 1024

    format: int = format_version(default=1)
    director: bytes = at(1, octets(91))
    vault: bytes = at(2, octets(91))
    ca: bytes = at(3, octets(91))
