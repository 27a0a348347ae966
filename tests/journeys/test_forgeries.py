"""What was flipped, forged, replayed or signed by the wrong key is refused, told of, and changes nothing.

The attacker has a place at the broker, and where a test says so the director's key as well.
"""

import hashlib
import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from demo.fleet import DIGITS, MODEL, wait_until
from demo.programs import ProgramError, command, run
from dunlin_contract import hpke, keys, topics
from dunlin_contract.bundle import BundleFile
from dunlin_contract.envelopes import open_first_root, root_digest
from tests.journeys.world import BULKY, V1, V2, Watched, World, pause_for, signal_all
from tests.support.certificates import Identity
from tests.support.insider import Insider, flip
from tests.support.mqtt import Client

NOT_AUTHORISED = 135


def bundle_objects(world: World, version: str) -> dict[str, list[bytes]]:
    """Names of the objects of a release, by what they are."""
    envelope = (world.fleet.keys_dir / "root.cose").read_bytes()
    with BundleFile.open(world.bundles[version], open_first_root(envelope, root_digest(envelope))) as bundle:
        return {"chunk": list(bundle.leaves), "manifest": [hashlib.sha256(bundle.envelope).digest()]}


@pytest.mark.parametrize("kind", ["chunk", "manifest"])
def test_a_flipped_byte_in_an_object_is_refused_and_the_true_one_fetched(
    world: World, insider: Insider, kind: str
) -> None:
    watched = world.watched()
    names = bundle_objects(world, BULKY)[kind][:3]
    pids = watched.device.pids()
    watched.stop_traffic()
    signal_all(pids, signal.SIGSTOP)
    rollout = world.roll_out(BULKY, watched.device)
    for name in names:
        insider.plant(topics.obj(name), flip(insider.retained(topics.obj(name))))
    signal_all(pids, signal.SIGCONT)
    watched = Watched(world, watched.device)
    world.wait_event(watched.device, "object-corrupt", "leaf")
    world.fleet.wait_rollout(rollout, "completed")
    watched.check(BULKY)


def test_a_flipped_byte_in_a_directive_is_refused(world: World, insider: Insider) -> None:
    watched = world.watched()
    envelope, directive = insider.directive(watched.device.name)
    insider.send_directive(watched.device.name, flip(envelope))
    world.wait_event(watched.device, "directive-refused", "signature")
    watched.still_serves(V1)
    assert watched.device.status()["seq"] == directive.seq
    # The next true one is followed.
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    watched.check(V2)


def test_a_flipped_byte_in_a_grant_is_refused(world: World, insider: Insider) -> None:
    """By somebody who has the director's key, for a grant is signed with its directive."""
    watched = world.watched()
    helper = world.watched()
    world.fleet.wait_rollout(world.roll_out(V2, helper.device), "completed")
    _, directive = insider.directive(helper.device.name)
    wanted = directive.desired[MODEL]
    forged = replace(wanted, grant=flip(wanted.grant, len(wanted.grant) - 4))
    insider.forge_directive(watched.device.name, desired={MODEL: forged})
    world.wait_event(watched.device, "update-refused", "grant-open")
    watched.still_serves(V1)
    helper.check(V2)
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    watched.check(V2)


def test_another_devices_grant_opens_nothing(world: World, insider: Insider) -> None:
    watched, helper = world.watched(), world.watched()
    world.fleet.wait_rollout(world.roll_out(V2, helper.device), "completed")
    _, directive = insider.directive(helper.device.name)
    insider.forge_directive(watched.device.name, desired=directive.desired)
    world.wait_event(watched.device, "update-refused", "grant-open")
    watched.still_serves(V1)
    helper.check(V2)


def test_an_unknown_release_key_gets_no_bundle_onto_the_server(world: World, tmp_path: Path) -> None:
    mallory = tmp_path / "mallory"
    server_keys = world.fleet.server_dir / "server-keys.cbor"
    run(command("packager", "keys", "init", mallory, "--server-keys", server_keys, "--no-passphrase"))
    run(command("packager", "build", DIGITS / "v2.toml", "--keys", mallory, "--out", tmp_path / "evil.dnb"))
    where = ["--server", world.fleet.url, "--token-file", world.fleet.token_file]
    with pytest.raises(ProgramError, match="root"):
        run(command("packager", "push", tmp_path / "evil.dnb", "--keys", mallory, *where))
    # With the true root beside Mallory's keys, the packager sends it, and the server refuses the signature.
    (mallory / "root.cose").write_bytes((world.fleet.keys_dir / "root.cose").read_bytes())
    with pytest.raises(ProgramError, match=r"sign"):
        run(command("packager", "push", tmp_path / "evil.dnb", "--keys", mallory, *where))


def test_row_16_the_directors_key_cannot_run_an_unreleased_bundle(
    world: World, insider: Insider, tmp_path: Path
) -> None:
    watched = world.watched()
    mallory = tmp_path / "mallory"
    server_keys = world.fleet.server_dir / "server-keys.cbor"
    run(command("packager", "keys", "init", mallory, "--server-keys", server_keys, "--no-passphrase"))
    run(command("packager", "build", DIGITS / "v2.toml", "--keys", mallory, "--out", tmp_path / "evil.dnb"))
    root = open_first_root((mallory / "root.cose").read_bytes(), root_digest((mallory / "root.cose").read_bytes()))
    packager = keys.load_pem((mallory / "packager.pem").read_bytes())
    with BundleFile.open(tmp_path / "evil.dnb", root) as bundle:
        release = bundle.release.digest
        cek = hpke.open_cek((tmp_path / "evil.dnb.cek").read_bytes(), packager, release, hpke.PACKAGER)
        manifest = hashlib.sha256(bundle.envelope).digest()
        insider.plant(topics.obj(manifest), bundle.envelope)
    _, directive = insider.directive(watched.device.name)
    wanted = replace(
        directive.desired[MODEL], release=release, manifest=manifest, grant=grant_for(watched, cek, release)
    )
    insider.forge_directive(watched.device.name, desired={MODEL: wanted})
    world.wait_event(watched.device, "update-refused", "signer-unknown")
    watched.still_serves(V1)


def grant_for(watched: Watched, cek: bytes, release: bytes) -> bytes:
    """A true grant: the device's KEM key is known to whoever has the server's database."""
    with closing(sqlite3.connect(watched.world.fleet.server_dir / "dunlin.db")) as db:
        (spki,) = db.execute("SELECT kem_spki FROM device WHERE id = ?", (watched.device.name,)).fetchone()
    return hpke.seal_cek(cek, spki, release, watched.device.name)


def test_row_8_a_replayed_older_directive_changes_nothing(world: World, insider: Insider) -> None:
    watched = world.watched()
    older, _ = insider.directive(watched.device.name)
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    watched.serves(V2)
    insider.send_directive(watched.device.name, older)
    world.wait_event(watched.device, "directive-refused", "sequence")
    watched.still_serves(V2)
    watched.check(V2)


def test_row_41_the_same_directive_a_hundred_times_has_one_effect(world: World, insider: Insider) -> None:
    watched = world.watched()
    envelope, _ = insider.directive(watched.device.name)
    before = len(world.events(watched.device))
    for _ in range(100):
        insider.send_directive(watched.device.name, envelope)
    watched.still_serves(V1)
    assert len(world.events(watched.device)) == before
    watched.check(V1)


def test_row_35_device_a_cannot_speak_or_listen_as_device_b(world: World) -> None:
    victim, thief = world.watched(), world.watched()
    thief.stop_traffic()
    thief.device.stop()
    disk = thief.device.directory
    identity = Identity(disk / "identity.crt", disk / "identity.key")
    with Client(world.fleet.broker_port, disk / "ca.crt", identity, victim.device.name) as client:
        assert not client.connect().is_failure
        for kind in topics.UP:
            lie = client.publish(topics.Address(victim.device.name).up(kind), b"lie", retain=True)
            assert lie.value == NOT_AUTHORISED
        for kind in topics.DOWN:
            client.subscribe(topics.Address(victim.device.name).down(kind))
        rollout = world.roll_out(V2, victim.device)
        world.fleet.wait_rollout(rollout, "completed")
        client.subscribe("elsewhere")
        assert client.received() == []
    victim.check(V2)


def _standing(world: World, device: str) -> dict[str, object]:
    """What the server believes of a device, but for the numbers that its own reports move all the time."""
    believed = world.fleet.believed(device)
    return {name: value for name, value in believed.items() if name not in ("served", "reported_at")}


def test_a_device_that_lies_about_another_is_not_believed(world: World) -> None:
    """The server takes nothing as a device's word but what came on that device's topics."""
    victim, thief = world.watched(), world.watched()
    before = _standing(world, victim.device.name)
    thief.stop_traffic()
    thief.device.stop()
    disk = thief.device.directory
    with Client(
        world.fleet.broker_port, disk / "ca.crt", Identity(disk / "identity.crt", disk / "identity.key")
    ) as client:
        client.connect()
        for payload in (b"", b"\x00", os.urandom(200), bytes(40_000)):
            for kind in topics.UP:
                client.publish(topics.Address(thief.device.name).up(kind), payload)
    pause_for(1)
    assert _standing(world, victim.device.name) == before
    victim.check(V1)
    thief.device.start()
    wait_until("the liar is itself again", thief.device.ready)
    world.online(thief.device)
