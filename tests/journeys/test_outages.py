"""Broker, server, link or device are away in the middle of a rollout."""

import signal
from pathlib import Path

from demo.fleet import wait_until
from demo.proxy import Proxy
from tests.journeys.world import BROKER_ALONE, BULKY, V1, V2, Watched, World, signal_all


def slow_link(world: World) -> Proxy:
    return Proxy(("127.0.0.1", world.fleet.broker_port), rate=700_000)


def test_the_broker_is_restarted_mid_rollout(world: World) -> None:
    proxy = slow_link(world)
    watched = world.watched(broker_port=proxy.port, config=BROKER_ALONE)
    rollout = world.roll_out(BULKY, watched.device)
    wait_until("the download is under way", lambda: watched.device.model()["chunks_have"] > 2, pause_s=0.02)
    world.fleet.broker.stop()
    watched.still_serves(V1)
    world.fleet.start_broker()
    world.fleet.wait_rollout(rollout, "completed")
    watched.check(BULKY)
    proxy.close()


def test_the_broker_is_killed_and_forgets_its_last_half_minute(world: World) -> None:
    proxy = slow_link(world)
    watched = world.watched(broker_port=proxy.port, config=BROKER_ALONE)
    rollout = world.roll_out(BULKY, watched.device)
    wait_until("the download is under way", lambda: watched.device.model()["chunks_have"] > 2, pause_s=0.02)
    world.fleet.broker.kill()
    (world.fleet.server_dir / "broker" / "mosquitto.db").unlink(missing_ok=True)
    watched.still_serves(V1)
    world.fleet.start_broker()
    world.fleet.wait_rollout(rollout, "completed")
    watched.check(BULKY)
    proxy.close()


def test_a_download_goes_on_over_https_while_the_broker_is_away(world: World) -> None:
    proxy = slow_link(world)
    watched = world.watched(broker_port=proxy.port)
    rollout = world.roll_out(BULKY, watched.device)
    wait_until("the download is under way", lambda: watched.device.model()["chunks_have"] > 2, pause_s=0.02)
    world.fleet.broker.stop()
    wait_until("all of it came", lambda: watched.device.model()["active"] == world.releases[BULKY], pause_s=0.5)
    world.fleet.start_broker()
    world.fleet.wait_rollout(rollout, "completed")
    watched.check(BULKY)
    proxy.close()


def test_the_server_is_killed_mid_rollout(world: World) -> None:
    first, second = world.watched(), world.watched()
    stages = [{"count": 1, "soak_s": 2}, {"percent": 100}]
    rollout = world.roll_out(V2, first.device, second.device, stages=stages)
    world.fleet.server.kill()
    first.goes_on()
    world.fleet.start_server()
    world.fleet.wait_rollout(rollout, "completed")
    first.check(V2)
    second.check(V2)


def test_a_device_that_never_answers_does_not_block_and_is_named(world: World) -> None:
    mute, good = world.watched(), world.watched()
    mute.stop_traffic()
    signal_all(mute.device.pids(), signal.SIGSTOP)
    # Its session stays open at the broker: only a deadline can tell.
    rollout = world.roll_out(
        V2, mute.device, good.device, device_deadline_s=8, gate={"min_success": 0.9, "min_samples": 2}
    )
    paused = world.fleet.wait_rollout(rollout, "paused")
    parts = {part["device"]: part for part in paused["devices"]}
    assert parts[mute.device.name]["state"] == "failed"
    assert "deadline" in parts[mute.device.name]["reason"]
    assert parts[good.device.name]["state"] == "succeeded"
    good.check(V2)
    assert world.fleet.believed(mute.device.name)["active"] == world.releases[V1]
    signal_all(mute.device.pids(), signal.SIGCONT)
    # Back again, it does what it was last told, and the server learns of it.
    mute = Watched(world, mute.device)
    mute.check(V2)


def test_a_link_that_drops_everything_resumes_where_it_was(world: World) -> None:
    proxy = slow_link(world)
    watched = world.watched(broker_port=proxy.port, config=BROKER_ALONE)
    rollout = world.roll_out(BULKY, watched.device)
    wait_until("the download is under way", lambda: watched.device.model()["chunks_have"] > 2, pause_s=0.02)
    proxy.silent = True
    watched.still_serves(V1)
    proxy.silent = False
    proxy.cut()
    world.fleet.wait_rollout(rollout, "completed")
    watched.check(BULKY)
    proxy.close()


def test_a_wipe_ordered_while_the_device_is_offline(world: World) -> None:
    watched = world.watched()
    device = watched.device
    watched.stop_traffic()
    device.stop()
    wait_until("the server sees it leave", lambda: not world.fleet.api.get(f"/devices/{device.name}")["online"])
    wipe = world.fleet.draft_wipe(device.name, "lost in a taxi")
    world.fleet.sign_wipe(wipe, "ops-1")
    assert world.fleet.api.get(f"/wipes/{wipe}")["state"] == "draft"
    world.fleet.sign_wipe(wipe, "ops-2")
    slots = [path for path in (device.directory / "models").rglob("*") if path.is_file()]
    assert slots
    device.start()
    receipt = world.fleet.wait_wipe(wipe)
    assert receipt["receipt_ok"] is True
    assert [path for path in (device.directory / "models").rglob("*") if path.is_file()] == []
    assert not device.ready()
    watched.nothing_lost()
    # Started again, it is still empty; the order, which it finds again, is answered by the receipt that it kept.
    device.stop()
    device.start()
    world.online(device)
    assert not device.ready()
    watched.nothing_lost()
    assert world.fleet.api.get(f"/wipes/{wipe}")["receipt"] == receipt["receipt"]


def test_yesterdays_backup_is_restored_and_the_fleet_follows_it(world: World, tmp_path: Path) -> None:
    proxy = Proxy(("127.0.0.1", world.fleet.broker_port))
    watched = world.watched(broker_port=proxy.port)
    backup = tmp_path / "yesterday.backup"
    world.fleet.backup(backup)
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    watched.still_serves(V2)
    told = world.fleet.api.get(f"/devices/{watched.device.name}")["told"]
    world.fleet.replace_server(backup)
    # What the restored server states is what was desired yesterday, by a directive above all that the device has seen.
    wait_until("the device follows", lambda: watched.device.model()["active"] == world.releases[V1], 60, pause_s=0.5)
    watched.settled(V1)
    # Events that only the lost server had are a gap to the new one; a device that connects again closes it.
    proxy.cut()
    watched.all_acknowledged()
    heard = world.fleet.api.get(f"/devices/{watched.device.name}")["heard"]
    assert (heard["epoch"], heard["seq"]) > (told["epoch"], told["seq"])
    world.fleet.wait_rollout(world.roll_out(V2, watched.device), "completed")
    world.fleet.wait_active(watched.device.name, world.releases[V2])
    proxy.close()
