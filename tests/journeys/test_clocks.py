"""Clocks that are wrong, and a certificate that has run out."""

import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.journeys.world import V2, World
from tests.support.insider import Insider

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
DAYS = 86400.0


def faked(when: str) -> dict[str, str]:
    """Environment in which a program's wall clock starts at `when`; the clock since boot stays true."""
    assert FAKETIME, "libfaketime is not installed: apt-get install faketime"
    return {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": when, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize("when", ["@1970-01-01 00:00:10", "@2049-01-01 00:00:00"])
def test_row_47_a_device_whose_clock_is_wrong_follows_its_server(world: World, when: str) -> None:
    device = world.fleet.device(world.fresh_name(), runtimes=["onnxruntime"])
    device.enrol(world.claim_token(), env=faked(when))
    device.start(faked(when))
    watched = world.watch(device)
    world.fleet.wait_rollout(world.roll_out(V2, device), "completed")
    watched.check(V2)


def test_the_clock_of_a_running_fleet_falls_back_to_1970(world: World) -> None:
    watched = world.watched()
    again = watched.unserved()
    watched.device.stop()
    watched.device.start(faked("@1970-01-01 00:00:10"))
    again()
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    watched.check(V2)


def test_an_expired_certificate_is_renewed_by_proof_of_possession(world: World, insider: Insider) -> None:
    watched = world.watched()
    again = watched.unserved()
    disk = watched.device.directory
    watched.device.stop()
    certificate = x509.load_pem_x509_certificate((disk / "identity.crt").read_bytes())
    public = certificate.public_key()
    old = insider.keys.ca.issue_device(watched.device.name, public, time.time() - 200 * DAYS)  # type: ignore[arg-type]
    assert old.not_valid_after_utc.timestamp() < time.time()
    (disk / "identity.crt").write_bytes(old.public_bytes(Encoding.PEM))
    watched.device.start()
    again()
    world.online(watched.device)
    renewed = x509.load_pem_x509_certificate((disk / "identity.crt").read_bytes())
    assert renewed.not_valid_after_utc.timestamp() > time.time() + 30 * DAYS
    assert renewed.public_key() == public
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    watched.check(V2)
