"""What requests are like, and some of them, on their way to the fleet: by two signatures and one consent."""

from typing import Any

from demo.device import Device
from demo.fleet import wait_until
from demo.programs import command, run
from tests.journeys.world import V1, World

CONSENT = "[capture]\nconsent = true\n"


def order(world: World, device: Device, *policy: object, per_day: int = 5) -> str:
    """Draft a capture order as an owner would; its address."""
    where = ["--server", world.fleet.url, "--token-file", world.fleet.token_file]
    what = ["--device", device.name, "--model", "digits", "--per-day", per_day, "--days", 1, *policy]
    said = run(command("packager", "capture", "draft", *where, *what))
    return next(word for word in said.split() if "/captures/" in word)


def sign(world: World, address: str) -> None:
    for owner in ("ops-1", "ops-2"):
        key = world.fleet.keys_dir / f"{owner}.pem"
        run(
            command(
                "packager", "capture", "sign", address, "--key", key, "--yes", "--token-file", world.fleet.token_file
            )
        )


def captures(world: World, device: Device) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.fleet.api.get("/results", device=device.name, kind="capture", limit=100)[
        "items"
    ]
    return items


def test_the_server_knows_what_requests_were_like(world: World) -> None:
    watched = world.watched()

    def known() -> list[dict[str, Any]] | None:
        counted = world.fleet.api.get(f"/devices/{watched.device.name}")["quality"]
        features: list[dict[str, Any]] = counted[0]["features"] if counted else []
        return features if features and min(one["samples"] for one in features) >= 400 else None

    features = wait_until("the server knows", known)
    assert [one["feature"] for one in features] == [
        "output scores class",
        "output scores confidence",
        "input image mean",
        "input image deviation",
    ]
    # The traffic's pictures are of the same hands as those that the baseline is made of.
    assert max(one["psi"] for one in features) < 0.25
    watched.check(V1)


def test_two_signatures_and_a_consent_bring_requests_and_ending_it_ends_them(world: World) -> None:
    watched = world.watched(config=CONSENT)
    address = order(world, watched.device, "--random", 1000)
    watched.goes_on()
    assert captures(world, watched.device) == []
    sign(world, address)
    found = wait_until(
        "the day's number came", lambda: kept if len(kept := captures(world, watched.device)) == 5 else None
    )
    assert {one["model"] for one in found} == {"digits"}
    assert {one["release"] for one in found} == {world.releases[V1]}
    watched.goes_on(100)
    assert len(captures(world, watched.device)) == 5
    where = ["--token-file", world.fleet.token_file]
    assert run(command("packager", "capture", "cancel", address, *where)).strip() == "cancelled"
    watched.check(V1)


def test_a_device_whose_owner_says_nothing_keeps_nothing(world: World) -> None:
    watched = world.watched()
    sign(world, order(world, watched.device, "--random", 1000))
    assert "consent" in world.wait_event(watched.device, "note", "capture-consent")["text"]
    watched.goes_on(100)
    assert captures(world, watched.device) == []
    watched.check(V1)
