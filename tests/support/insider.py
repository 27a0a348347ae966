"""Somebody who has what they should not: a place at the broker, and the director's key. Journeys attack with it.

Everything is real: the broker is told by its own access list that `insider` may do all, and the certificate is issued
by the fleet's own CA.
"""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding

from demo.fleet import Fleet, wait_until
from demo.programs import descendants
from dunlin_contract import cose, keys, topics
from dunlin_contract.directive import Directive
from dunlin_contract.limits import LIMITS
from fleet_server.keys.store import Keys, Paths
from tests.support.certificates import Identity
from tests.support.mqtt import Client

NAME = "insider"


def flip(data: bytes, place: int | None = None) -> bytes:
    """The same bytes with one bit turned over, in the middle unless told where."""
    at = len(data) // 2 if place is None else place
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class Insider:
    """Connected to a fleet's broker with the right to read and write every topic."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self.fleet = fleet
        self.keys = Keys(Paths(fleet.server_dir / "keys"))
        key = keys.generate()
        certificate = self.keys.ca.issue_device(NAME, key.public_key(), time.time())
        self.identity = Identity(directory / "insider.crt", directory / "insider.key")
        self.identity.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.identity.key.write_bytes(keys.dump_pem(key, None))
        self.client = self._connect()

    def _connect(self) -> Client:
        access = self.fleet.server_dir / "broker" / "acl"
        rule = f"\nuser {NAME}\ntopic readwrite dunlin/v1/#\n"
        if rule not in access.read_text():
            access.write_text(access.read_text() + rule)
        for pid in descendants(self.fleet.broker.pid):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "mosquitto":
                os.kill(pid, signal.SIGHUP)
        client = Client(self.fleet.broker_port, self.fleet.server_dir / "keys" / "ca.crt", self.identity, NAME)
        assert not client.connect().is_failure
        wait_until("the broker's new access list", lambda: not client.publish(f"{topics.PREFIX}x", b"").is_failure)
        return client

    def retained(self, topic: str) -> bytes:
        """What the broker keeps on a topic."""
        client = Client(self.fleet.broker_port, self.fleet.server_dir / "keys" / "ca.crt", self.identity, NAME)
        self.client.close()
        client.connect()
        self.client = client
        client.subscribe(topic)
        while True:
            got, payload, _ = client.inbox.get(timeout=30)
            if got == topic and payload:
                return payload

    def directive(self, device: str) -> tuple[bytes, Directive]:
        """The directive that the broker keeps for a device: its envelope, and what it says."""
        envelope = self.retained(topics.Address(device).down("desired"))
        return envelope, Directive.from_bytes(cose.peek1(envelope, LIMITS.directive_bytes))

    def send_directive(self, device: str, envelope: bytes) -> None:
        self.plant(topics.Address(device).down("desired"), envelope)

    def forge_directive(self, device: str, **changes: object) -> Directive:
        """Send a directive that differs from the present one, with the next number, signed by the director's key."""
        _, now = self.directive(device)
        forged = replace(now, **{"seq": now.seq + 1, **changes})
        self.send_directive(device, self.keys.sign_directive(forged.to_bytes()))
        return forged

    def plant(self, topic: str, payload: bytes) -> None:
        """Publish, retained."""
        assert not self.client.publish(topic, payload, retain=True).is_failure

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
