"""Capture orders over the API, and drift and hardware as numbers."""

import base64

import httpx
import pytest

from dunlin_contract.capture import CaptureOrder
from dunlin_contract.cose import Role, signature
from tests.fleet_server.field import say
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.world import NOW

CBOR = {"Content-Type": "application/cbor"}
BODY = {"device": "cam-1", "model": "digits", "not_after": int(NOW) + 86_400, "per_day": 10, "random_permille": 5}


def test_a_capture_takes_two_signatures_over_the_api(
    operator: httpx.Client, viewer: httpx.Client, fleet: Fleet
) -> None:
    (agent,) = fleet.add("cam-1")
    fleet.start(fleet.push("1.0.0"))
    agent.follow()
    made = operator.post("/api/v1/captures", json=BODY | {"classes": [9, 1, 9]})
    assert made.status_code == 201, made.text
    draft = made.json()
    assert (draft["state"], draft["signatures"], draft["needed"], draft["classes"]) == ("draft", [], 2, [1, 9])
    payload = base64.b64decode(draft["payload"])
    assert viewer.get(f"/api/v1/captures/{draft['id']}/order").content == payload
    order = CaptureOrder.from_bytes(payload)
    assert (order.order_id.hex(), order.device, order.random_permille) == (draft["id"], "cam-1", 5)
    for key in fleet.world.ops:
        signed = signature(payload, key, Role.CAPTURE)
        done = viewer.post(f"/api/v1/captures/{draft['id']}/signatures", content=signed, headers=CBOR)
        assert done.status_code == 201, done.text
    assert done.json()["state"] == "sent"
    assert set(agent.device.directive().captures) == {"digits"}
    assert viewer.delete(f"/api/v1/captures/{draft['id']}").status_code == 403
    assert operator.delete(f"/api/v1/captures/{draft['id']}").json()["state"] == "cancelled"
    assert not agent.device.directive().captures
    assert operator.delete(f"/api/v1/captures/{draft['id']}").status_code == 409


def test_orders_are_listed_newest_first_a_page_at_a_time(operator: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    for model in ("a", "b", "c"):
        fleet.world.clock.now += 1
        operator.post("/api/v1/captures", json=BODY | {"model": model})
    operator.post("/api/v1/captures", json=BODY | {"device": "cam-2"})
    first = operator.get("/api/v1/captures?device=cam-1&limit=2").json()
    assert [one["model"] for one in first["items"]] == ["c", "b"]
    rest = operator.get(f"/api/v1/captures?device=cam-1&before={first['next']}").json()
    assert ([one["model"] for one in rest["items"]], rest["next"]) == (["a"], None)
    assert [one["device"] for one in operator.get("/api/v1/captures?model=digits").json()["items"]] == ["cam-2"]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"device": "nope"}, 404, "there is no device"),
        ({"random_permille": 0}, 422, "picks no request"),
        ({"not_after": 5}, 422, "not_after has passed"),
        ({"not_after": 2**80}, 422, "not_after"),
        ({"per_day": "10"}, 422, "per_day"),
        ({"per_day": True}, 422, "per_day"),
        ({"per_day": -1}, 422, "per_day"),
        ({"per_day": 0}, 422, "per_day"),
        ({"disagreement": 1}, 422, "disagreement"),
        ({"classes": [2**70]}, 422, "classes"),
        ({"classes": list(range(33))}, 422, "classes"),
        ({"model": "../x"}, 422, "model"),
        ({"random": 5}, 422, "unknown key"),
    ],
)
def test_each_mistake_is_named(
    operator: httpx.Client, fleet: Fleet, change: dict[str, object], status: int, message: str
) -> None:
    fleet.add("cam-1")
    answer = operator.post("/api/v1/captures", json=BODY | change)
    assert (answer.status_code, message in answer.json()["detail"]) == (status, True), answer.text
    assert operator.get("/api/v1/captures").json()["items"] == []


def test_only_operators_draft_and_bad_signatures_count_for_nothing(
    operator: httpx.Client, viewer: httpx.Client, fleet: Fleet
) -> None:
    fleet.add("cam-1")
    assert viewer.post("/api/v1/captures", json=BODY).status_code == 403
    made = operator.post("/api/v1/captures", json=BODY).json()
    where = f"/api/v1/captures/{made['id']}/signatures"
    payload = base64.b64decode(made["payload"])
    stranger = signature(payload, fleet.world.release_key, Role.CAPTURE)
    wipe = signature(payload, fleet.world.ops[0], Role.WIPE)
    for content in (b"", b"\xff" * 9, stranger, wipe, bytes(5000)):
        answer = viewer.post(where, content=content, headers=CBOR)
        assert answer.status_code in (413, 422), answer.text
    assert viewer.get(f"/api/v1/captures/{made['id']}").json()["signatures"] == []
    assert viewer.get("/api/v1/captures/00").status_code == 404


def test_drift_and_hardware_are_numbers_of_the_device_and_of_the_release(viewer: httpx.Client, fleet: Fleet) -> None:
    one, two = fleet.add("cam-1", "cam-2")
    release = fleet.push("1.0.0")
    assert viewer.get("/api/v1/devices/cam-1").json()["hardware"] is None
    say(fleet.world, one.name, release, 600, 600, celsius=55.5, throttled=0x40004, gpu_permille=300)
    say(fleet.world, two.name, release, 1200, 0, confidence=(1,) * 20)
    told = viewer.get("/api/v1/devices/cam-1").json()
    (counted,) = told["quality"]
    assert (counted["model"], counted["release"], counted["answers"]) == ("digits", release, 0)
    assert counted["features"][0]["expected"] == [0.500008, 0.499992]
    assert (told["hardware"]["temperature_dc"], told["hardware"]["slowed"], told["temperature_dc"]) == (555, True, 555)
    assert [hour["temperature_dc"] for hour in told["hardware"]["hours"]] == [555]
    seen = viewer.get(f"/api/v1/releases/{release}").json()["quality"]
    assert (seen["devices"], seen["answers"], [group["devices"] for group in seen["groups"]]) == (2, 20, [2])
    (feature,) = seen["groups"][0]["features"]
    assert (feature["samples"], feature["seen"], feature["word"]) == (2400, [0.75, 0.25], "drifted")
    assert feature["ks"] == pytest.approx(0.25, abs=0.001)
    assert [row["device"] for row in seen["drifting"]] == ["cam-2"]
