"""Where the bytes of a payload lie, and which device may have them."""

from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from dunlin_contract import cose
from dunlin_contract.directive import Directive
from dunlin_contract.header import HEADER_BYTES
from dunlin_contract.limits import LIMITS
from fleet_server.config import Config
from fleet_server.db.models import DEVICE_ACTIVE, DeviceRow, ReleaseRow
from fleet_server.errors import DeniedError, NotFoundError, ServerError
from fleet_server.services import releases


@dataclass(frozen=True, slots=True)
class Stored:
    """Ciphertext chunks of one payload, end to end: ``length`` bytes from ``offset`` of the file at ``path``."""

    path: Path
    offset: int
    length: int


def find(session: Session, config: Config, device: str, release: str, payload: int) -> Stored:
    """A payload of a release that the device was told to have or to try. ``release``: hex digest; ``payload``: its
    place in the manifest.

    Raises: DeniedError (not in the fleet, or not told so), NotFoundError (no such payload), ServerError (the bundle is
    not stored whole).
    """
    row = session.get(DeviceRow, device)
    if row is None or row.state != DEVICE_ACTIVE:
        raise DeniedError("this device is not in the fleet: enrol it with a new claim token")
    stored = session.get(ReleaseRow, release)
    if stored is None or release not in _told(row):
        raise DeniedError("this device was not told to have that release: wait for its next directive")
    manifest = releases.manifest_of(stored)
    if payload >= len(manifest.payloads):
        raise NotFoundError(f"the release has {len(manifest.payloads)} payloads: there is no number {payload}")
    before = sum(one.ciphertext_length for one in manifest.payloads[:payload])
    offset = HEADER_BYTES + len(stored.manifest) + manifest.index_length + before
    found = Stored(config.bundles_dir / f"{release}.dnb", offset, manifest.payloads[payload].ciphertext_length)
    try:
        whole = found.path.stat().st_size == stored.bundle_bytes
    except OSError:
        whole = False
    if not whole:
        raise ServerError(f"bundle {release} is not stored whole: restore DIR/bundles from a backup")
    return found


def _told(row: DeviceRow) -> set[str]:
    """Releases that the device's last directive names, hex."""
    if row.directive is None:
        return set()
    directive = Directive.from_bytes(cose.peek1(row.directive, LIMITS.directive_bytes))
    tried = [trial.candidate for trial in directive.trials.values()]
    return {one.release.hex() for one in [*directive.desired.values(), *tried]}
