"""The API as programs use it: releases, devices, rollouts, wipes, pages of lists, and answers to bad input."""

import base64
import json

import httpx
import pytest

from dunlin_contract import cose
from dunlin_contract.cose import Role
from dunlin_contract.wipe import WipeOrder
from fleet_server.api import middleware
from tests.fleet_server.children import behind, hear
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.world import Bundle


def push(client: httpx.Client, fleet: Fleet, built: Bundle, sealed: str | None = None) -> dict[str, object]:
    header = sealed if sealed is not None else base64.b64encode(built.sealed(fleet.world)).decode()
    answer = client.post("/api/v1/releases", content=built.path.read_bytes(), headers={"Dunlin-Sealed-Cek": header})
    return answer.json() | {"status": answer.status_code}


def test_a_release_is_pushed_once_and_read_back(operator: httpx.Client, fleet: Fleet) -> None:
    built = fleet.world.build("digits", "1.2.3", counter=4)
    first = push(operator, fleet, built)
    assert (first["status"], first["digest"], first["created"]) == (201, built.digest.hex(), True)
    assert push(operator, fleet, built)["status"] == 200
    shown = operator.get(f"/api/v1/releases/{built.digest.hex()}").json()
    assert (shown["name"], shown["version"], shown["counter"]) == ("digits", "1.2.3", 4)
    assert [variant["kind"] for variant in shown["variants"]] == ["onnx-int8"]
    assert shown["variants"][0]["inputs"] == [{"name": "x", "dtype": "float32", "shape": [1, 4], "quantization": None}]
    assert shown["devices"] == {"desired": 0, "active": 0}
    assert len(shown["signers"]) == 1
    assert [item["digest"] for item in operator.get("/api/v1/releases").json()["items"]] == [built.digest.hex()]


def test_a_release_that_is_not_right_is_refused_by_rule(operator: httpx.Client, fleet: Fleet) -> None:
    built = fleet.world.build()
    data = bytearray(built.path.read_bytes())
    data[-1] ^= 1
    built.path.write_bytes(bytes(data))
    answer = push(operator, fleet, built)
    assert (answer["status"], answer["rule"]) == (422, "merkle") or answer["rule"] in ("leaf", "chunk-open")
    built.path.write_bytes(b"not a bundle at all")
    answer = push(operator, fleet, built)
    assert answer["status"] == 422
    assert answer["rule"] in ("magic", "size", "header")
    assert operator.get("/api/v1/releases").json()["items"] == []
    assert list(fleet.world.ctx.config.temp_dir.iterdir()) == []


def test_one_version_has_one_content(operator: httpx.Client, fleet: Fleet) -> None:
    assert push(operator, fleet, fleet.world.build())["status"] == 201
    assert push(operator, fleet, fleet.world.build())["status"] == 409
    assert push(operator, fleet, fleet.world.build(version="2.0.0"), sealed="???")["status"] == 422


def test_devices_are_paged_by_key_and_filtered(viewer: httpx.Client, fleet: Fleet) -> None:
    fleet.add("a-1", "a-2", "a-3", tags={"site": "lab"})
    fleet.add("b-1")
    seen: list[str] = []
    after = ""
    while after is not None:
        page = viewer.get("/api/v1/devices", params={"limit": 2, "after": after}).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
    assert seen == ["a-1", "a-2", "a-3", "b-1"]
    tagged = viewer.get("/api/v1/devices", params={"tag": "site=lab"}).json()["items"]
    assert [item["id"] for item in tagged] == ["a-1", "a-2", "a-3"]
    assert viewer.get("/api/v1/devices", params={"state": "pending"}).json()["items"] == []


def test_a_device_is_shown_with_what_it_runs(operator: httpx.Client, fleet: Fleet) -> None:
    (agent,) = fleet.add("cam-1")
    release = fleet.push("1.0.0")
    fleet.start(release)
    agent.follow(served=7)
    agent.tell("update-committed", model="digits", release=bytes.fromhex(release))
    shown = operator.get("/api/v1/devices/cam-1").json()
    assert (shown["online"], shown["state"]) == (True, "active")
    digits = shown["models"]["digits"]
    assert (digits["active"], digits["desired"], digits["phase"], digits["served"]) == (
        release,
        release,
        "committed",
        7,
    )
    assert shown["versions"][release] == "digits 1.0.0"
    events = operator.get("/api/v1/events", params={"device": "cam-1"}).json()["items"]
    assert [event["kind"] for event in events] == ["update-committed"]
    assert operator.patch("/api/v1/devices/cam-1", json={"tags": {"site": "lab"}}).json()["tags"] == {"site": "lab"}


def test_a_rollout_from_preview_to_the_end(operator: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    release = fleet.push("1.0.0")
    body = {"release": release, "stages": [{"count": 1}, {"percent": 100}]}
    plan = operator.post("/api/v1/rollouts/preview", json=body).json()
    assert (plan["eligible"], plan["blockers"], [stage["adds"] for stage in plan["stages"]]) == (2, [], [1, 1])
    assert operator.get("/api/v1/rollouts").json()["items"] == [], "a preview starts nothing"
    started = operator.post("/api/v1/rollouts", json=body)
    assert started.status_code == 201
    rollout = started.json()["id"]
    for _ in range(3):
        for agent in fleet.having(rollout, "assigned"):
            agent.follow()
        fleet.tick(1)
    shown = operator.get(f"/api/v1/rollouts/{rollout}").json()
    assert (shown["state"], shown["parts"]["succeeded"]) == ("completed", 2)
    assert {part["device"]: part["stage"] for part in shown["devices"]}.keys() == {"cam-1", "cam-2"}
    assert sorted(part["stage"] for part in shown["devices"]) == [0, 1]
    actions = [row["action"] for row in operator.get("/api/v1/audit").json()["items"]]
    assert actions[0] == "rollout.complete"
    assert "rollout.start" in actions


def test_orders_to_a_rollout(operator: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    rollout = fleet.start(fleet.push("1.0.0"), stages=[{"count": 1}, {"percent": 100}])
    assert operator.post(f"/api/v1/rollouts/{rollout}/pause").json()["state"] == "paused"
    again = operator.post(f"/api/v1/rollouts/{rollout}/pause")
    assert (again.status_code, again.json()["title"]) == (409, "Conflict")
    assert operator.post(f"/api/v1/rollouts/{rollout}/resume").json()["state"] == "running"
    assert operator.post(f"/api/v1/rollouts/{rollout}/revert").json()["state"] == "reverting"
    assert operator.post(f"/api/v1/rollouts/{rollout}/explode").status_code == 422
    assert operator.post("/api/v1/rollouts/999/pause").status_code == 404


def test_a_wipe_takes_two_signatures_over_the_api(operator: httpx.Client, viewer: httpx.Client, fleet: Fleet) -> None:
    (agent,) = fleet.add("cam-1")
    drafted = operator.post("/api/v1/devices/cam-1/wipes", json={"reason": "lost"})
    assert drafted.status_code == 201
    wipe = drafted.json()
    assert (wipe["state"], wipe["signatures"], wipe["needed"], wipe["scope"]) == ("draft", [], 2, [])
    order = viewer.get(f"/api/v1/wipes/{wipe['id']}/order")
    assert order.headers["content-type"] == "application/cbor"
    assert WipeOrder.from_bytes(order.content).device == "cam-1"
    for key, state in zip(fleet.world.ops, ("draft", "sent"), strict=True):
        signature = cose.signature(order.content, key, Role.WIPE)
        answer = viewer.post(
            f"/api/v1/wipes/{wipe['id']}/signatures", content=signature, headers={"Content-Type": "application/cbor"}
        )
        assert (answer.status_code, answer.json()["state"]) == (201, state), answer.text
    agent.tell("wiped", receipt=agent.device.receipt(order.content))
    done = viewer.get(f"/api/v1/wipes/{wipe['id']}").json()
    assert (done["state"], done["receipt_ok"], done["receipt"]["assurance"]) == ("done", True, "clear")


def test_a_strangers_signature_does_not_count(operator: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1")
    wipe = operator.post("/api/v1/devices/cam-1/wipes", json={}).json()
    order = operator.get(f"/api/v1/wipes/{wipe['id']}/order").content
    signature = cose.signature(order, fleet.world.release_key, Role.WIPE)
    answer = operator.post(
        f"/api/v1/wipes/{wipe['id']}/signatures", content=signature, headers={"Content-Type": "application/cbor"}
    )
    assert (answer.status_code, answer.json()["rule"]) == (422, "signer-unknown")
    garbage = operator.post(
        f"/api/v1/wipes/{wipe['id']}/signatures", content=b"\xff" * 9, headers={"Content-Type": "application/cbor"}
    )
    assert garbage.status_code == 422
    assert operator.get(f"/api/v1/wipes/{wipe['id']}").json()["signatures"] == []


def test_devices_are_let_in_by_an_operator(operator: httpx.Client, fleet: Fleet) -> None:
    token = operator.post("/api/v1/claim-tokens", json={"tags": {"site": "lab"}, "auto_approve": False})
    assert token.json()["token"].startswith("dunlin1-")
    fleet.world.device("cam-9", auto_approve=False)
    assert operator.post("/api/v1/devices/cam-9/approve").json()["state"] == "active"
    assert operator.post("/api/v1/devices/cam-9/approve").status_code == 409
    assert operator.post("/api/v1/devices/cam-9/reject").json()["state"] == "rejected"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("post", "/api/v1/rollouts", {"release": "x"}, 422, "release must be a release digest"),
        ("post", "/api/v1/rollouts", {"release": "0" * 64, "stage": []}, 422, "unknown key 'stage'"),
        ("post", "/api/v1/rollouts", {"release": "0" * 64}, 404, "there is no release"),
        ("get", "/api/v1/devices/nope", None, 404, "there is no device 'nope'"),
        ("get", "/api/v1/devices?limit=0", None, 422, "limit: "),
        ("get", "/api/v1/devices?tag=No!", None, 422, "no tag name"),
        ("get", "/api/v1/rollouts/x", None, 422, "rollout: "),
        ("get", "/api/v1/nothing", None, 404, "Not Found"),
        ("put", "/api/v1/devices", {}, 405, "Method Not Allowed"),
        ("post", "/api/v1/claim-tokens", {"expires_in_s": 1}, 422, "a claim token lives"),
        ("post", "/api/v1/claim-tokens", {"tags": {"No": "x"}}, 422, "tag 'No'"),
        ("post", "/api/v1/devices/nope/wipes", {"scope": ["digits"]}, 404, "there is no device"),
    ],
)
def test_each_mistake_is_answered_with_one_line(
    operator: httpx.Client, method: str, path: str, body: object, status: int, detail: str
) -> None:
    answer = operator.request(method, path, json=body)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in problem["detail"]
    assert "\n" not in problem["detail"]


def test_what_breaks_inside_says_nothing_of_the_inside(operator: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret path /etc/keys")

    monkeypatch.setattr("fleet_server.services.devices.page", broken)
    answer = operator.get("/api/v1/devices")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_has_a_limit_whether_its_length_is_stated_or_not(operator: httpx.Client) -> None:
    big = json.dumps({"release": "0" * (middleware.BODY_BYTES + 1)}).encode()
    assert operator.post("/api/v1/rollouts", content=big).status_code == 413
    parts = (big[at : at + 65536] for at in range(0, len(big), 65536))
    answer = operator.post("/api/v1/rollouts", content=parts)
    assert answer.status_code == 413
    assert answer.json()["title"] == "Too large"


def test_what_the_server_is(viewer: httpx.Client, fleet: Fleet) -> None:
    server = viewer.get("/api/v1/server").json()
    assert bytes.fromhex(server["vault_key_hex"]) == fleet.world.ctx.keys.vault_spki
    assert len(server["root_digest"]) == 64


def test_metrics_are_prometheus_text(viewer: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    fleet.agents["cam-2"].connect(False)
    fleet.start(fleet.push("1.0.0"))
    text = viewer.get("/api/v1/metrics").text
    assert 'dunlin_devices{state="active",online="true"} 1\n' in text
    assert 'dunlin_devices{state="active",online="false"} 1\n' in text
    assert 'dunlin_rollouts{state="running"} 1\n' in text
    assert "dunlin_broker_connected 0\n" in text
    assert "# TYPE dunlin_events_ingested_total counter\n" in text


def test_the_schema_names_every_call(viewer: httpx.Client) -> None:
    paths = viewer.get("/api/v1/openapi.json").json()["paths"]
    assert {
        "/api/v1/server",
        "/api/v1/session",
        "/api/v1/releases",
        "/api/v1/releases/{digest}",
        "/api/v1/devices",
        "/api/v1/devices/{device}",
        "/api/v1/devices/{device}/wipes",
        "/api/v1/wipes/{wipe}/order",
        "/api/v1/wipes/{wipe}/signatures",
        "/api/v1/captures",
        "/api/v1/captures/{capture}",
        "/api/v1/captures/{capture}/signatures",
        "/api/v1/claim-tokens",
        "/api/v1/rollouts",
        "/api/v1/rollouts/preview",
        "/api/v1/rollouts/{rollout}",
        "/api/v1/rollouts/{rollout}/{action}",
        "/api/v1/events",
        "/api/v1/stream",
    } <= paths.keys()
    assert all(path.startswith("/api/v1/") for path in paths), "pages are not part of the API"


def test_a_microcontroller_is_a_device_like_any_other(operator: httpx.Client, fleet: Fleet) -> None:
    (agent, other) = behind(fleet, "gw-1", "mcu-1", "mcu-2")
    fleet.add("gw-2")
    release = fleet.world.push(built := fleet.world.build(runtime="tflm"))[0].digest
    rollout = operator.post("/api/v1/rollouts", json={"release": release, "selector": {"devices": ["mcu-1"]}}).json()
    agent.set(phase="downloading", candidate=built.digest, chunks_have=3, chunks_need=9)
    shown = operator.get("/api/v1/devices/mcu-1").json()
    assert (shown["kind"], shown["gateway"], shown["online"]) == ("microcontroller", "gw-1", True)
    assert shown["through"] == {"id": "gw-1", "state": "active", "online": True}
    assert shown["description"]["tier"] == {"keystore": "flash", "model_store": "plain-flash"}
    assert (shown["description"]["flash_bytes"], shown["description"]["arena_bytes"]) == (262_144, 65_536)
    digits = shown["models"]["digits"]
    assert digits["slots"] == [{"holds": "empty", "release": None}, {"holds": "candidate", "release": release}]
    assert (digits["chunks_have"], digits["chunks_need"]) == (3, 9)
    agent.follow()
    fleet.tick(1)
    assert operator.get(f"/api/v1/rollouts/{rollout['id']}").json()["state"] == "completed"
    shown = operator.get("/api/v1/devices/mcu-1").json()
    assert shown["models"]["digits"]["slots"][0] == {"holds": "active", "release": release}
    fit = built.manifest.variants[0].fit
    assert shown["needs"] == {
        release: {"flash_bytes": fit.flash_bytes, "arena_bytes": fit.arena_bytes, "memory_bytes": 0}
    }
    gateway = operator.get("/api/v1/devices/gw-1").json()
    assert (gateway["kind"], gateway["gateway"], gateway["behind"]) == ("computer", None, 2)
    assert [one["id"] for one in gateway["children"]] == ["mcu-1", "mcu-2"]
    listed = {one["id"]: one for one in operator.get("/api/v1/devices").json()["items"]}
    assert [(name, one["gateway"], one["behind"]) for name, one in listed.items()] == [
        ("gw-1", None, 2),
        ("gw-2", None, 0),
        ("mcu-1", "gw-1", 0),
        ("mcu-2", "gw-1", 0),
    ]
    assert other.device.alarms() == {}


def test_a_device_is_moved_over_the_api(operator: httpx.Client, viewer: httpx.Client, fleet: Fleet) -> None:
    behind(fleet, "gw-1", "mcu-1")
    fleet.add("gw-2")
    moved = operator.post("/api/v1/devices/mcu-1/gateway", json={"gateway": "gw-2"})
    assert (moved.status_code, moved.json()["gateway"], moved.json()["online"]) == (200, "gw-2", False)
    for body, status in (
        ({"gateway": "gw-2"}, 409),
        ({"gateway": "nobody"}, 422),
        ({"gatewy": "gw-1"}, 422),
        ({"gateway": 5}, 422),
    ):
        answer = operator.post("/api/v1/devices/mcu-1/gateway", json=body)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert operator.post("/api/v1/devices/nobody/gateway", json={"gateway": "gw-1"}).status_code == 404
    assert operator.post("/api/v1/devices/gw-1/gateway", json={"gateway": "gw-2"}).status_code == 409
    assert viewer.post("/api/v1/devices/mcu-1/gateway", json={"gateway": "gw-1"}).status_code == 403
    assert operator.get("/api/v1/audit").json()["items"][0]["action"] == "device.move"


def test_alarms_are_shown_counted_and_dismissed(operator: httpx.Client, viewer: httpx.Client, fleet: Fleet) -> None:
    (agent,) = behind(fleet, "gw-1", "mcu-1")
    hear(fleet.world, agent.device.address, "reported", b"\x00")
    (alarm,) = viewer.get("/api/v1/devices/mcu-1").json()["alarms"]
    assert (alarm["kind"], alarm["count"]) == ("not-signed", 1)
    metrics = viewer.get("/api/v1/metrics").text
    assert 'dunlin_device_alarms{kind="not-signed"} 1' in metrics
    assert 'dunlin_device_alarms{kind="overdue"} 0' in metrics
    assert viewer.post("/api/v1/devices/mcu-1/dismiss").status_code == 403
    assert operator.post("/api/v1/devices/mcu-1/dismiss").json()["alarms"] == []
    assert operator.post("/api/v1/devices/mcu-1/dismiss").status_code == 409
