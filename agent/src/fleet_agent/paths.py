"""Where everything lies in the state folder. One place, so that a wipe and a search of the disk can be complete."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dunlin_contract import ids
from fleet_agent.errors import SetupError
from fleet_agent.files import PRIVATE

DEFAULT = Path("/var/lib/fleet-agent")


@dataclass(frozen=True, slots=True)
class Paths:
    """The state folder of one device."""

    base: Path

    @property
    def journal(self) -> Path:
        """SQLite file of everything that must survive."""
        return self.base / "journal.db"

    @property
    def results(self) -> Path:
        """SQLite file of results and captures that wait for the fleet."""
        return self.base / "results.db"

    @property
    def api(self) -> Path:
        """Socket of the local API for this device's own sources, unless the agent was given another."""
        return self.base / "api.sock"

    @property
    def control(self) -> Path:
        """Socket that ``fleet-agent status`` asks."""
        return self.base / "control.sock"

    @property
    def config(self) -> Path:
        """What the device's owner decides, if anything."""
        return self.base / "agent.toml"

    @property
    def root(self) -> Path:
        """Envelope of the root metadata in force."""
        return self.base / "root.cose"

    @property
    def enrolment(self) -> Path:
        """Who this device is and where its server and broker are (CBOR). Its presence means: enrolled."""
        return self.base / "enrolment.cbor"

    @property
    def identity_key(self) -> Path:
        """PEM of the identity key: TLS, receipts, renewals."""
        return self.base / "identity.key"

    @property
    def certificate(self) -> Path:
        """PEM chain of the device certificate, the device's own first."""
        return self.base / "identity.crt"

    @property
    def ca(self) -> Path:
        """PEM of the device CA, the only one trusted."""
        return self.base / "ca.crt"

    @property
    def settings(self) -> Path:
        """The settings object in force."""
        return self.base / "settings.cbor"

    @property
    def keystore(self) -> Path:
        """Folder of the secrets that only the unlocker opens: KEM key, device key, one storage key a model."""
        return self.base / "keystore"

    @property
    def models(self) -> Path:
        """Folder of the slots."""
        return self.base / "models"

    def model(self, name: str) -> Path:
        """Folder of one model's slots. The name is checked again: it becomes part of a path."""
        if not ids.is_model(name):
            raise ValueError(f"{name[:40]!r} cannot name a model")
        return self.models / name

    def slot(self, name: str, slot: str) -> Path:
        """Folder of one slot."""
        if slot not in {"a", "b"}:
            raise ValueError("a slot is a or b")
        return self.model(name) / slot


def lock(paths: Paths) -> BinaryIO:
    """Take the state folder for this process for as long as the returned file is open.

    Raises:
        SetupError: another agent has it.
    """
    file = open(  # noqa: SIM115 - it stays open for as long as the caller keeps it
        paths.base / "lock", "wb", opener=lambda path, flags: os.open(path, flags, PRIVATE)
    )
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SetupError(
            f"another fleet-agent uses {paths.base}: stop it first, or give this one its own --state-dir"
        ) from None
    return file
