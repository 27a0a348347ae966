"""The pages without a browser: each draws, each has its twin, forms work without scripts, hostile text stays text."""

import html
import re

import httpx
import pytest

from dunlin_contract.cose import Role, signature
from fleet_server.api import auth
from fleet_server.services import captures, wipes
from fleet_server.web.render import STATIC
from tests.fleet_server.api.conftest import PASSWORD
from tests.fleet_server.children import behind, hear
from tests.fleet_server.field import say
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.test_captures import wanted
from tests.fleet_server.test_results import Sender
from tests.fleet_server.world import ACTOR

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def captured(fleet: Fleet, device: str) -> str:
    """A capture order that one person has signed; its id."""
    world = fleet.world
    with world.ctx.db.write() as session:
        row = captures.draft(session, wanted(device), ACTOR, world.clock.now)
    with world.ctx.db.write() as session:
        signed = signature(row.payload, world.ops[0], Role.CAPTURE)
        captures.add_signature(session, world.ctx, row.id, signed, ACTOR, world.clock.now)
    return row.id


@pytest.fixture
def busy(fleet: Fleet) -> dict[str, str]:
    """A fleet with something on every page; the addresses of its pages."""
    fleet.add("cam-1", "cam-2", "cam-3", tags={"site": "lab"})
    release = fleet.push("1.0.0")
    rollout = fleet.start(release, stages=[{"count": 1, "soak_s": 60}, {"percent": 100}])
    (first,) = fleet.having(rollout, "assigned")
    first.set(phase="downloading", candidate=bytes.fromhex(release), chunks_have=3, chunks_need=9)
    fleet.agents["cam-2"].tell("note", text=HOSTILE, code="c")
    sender = Sender(fleet.world, fleet.agents["cam-2"].device)
    sender.send(1, sender.result(2, 20, "capture", reason=HOSTILE, source=HOSTILE), sender.gap(3, 9))
    (micro,) = behind(fleet, "gw-1", "mcu-1")
    micro.tell("device-fault", text=HOSTILE, code="flash")
    hear(fleet.world, micro.device.address, "events", b"\x00")
    fleet.world.device("cam-9", auto_approve=False)
    fleet.world.token()
    world = fleet.world
    with world.ctx.db.write() as session:
        wipe = wipes.draft(session, "cam-3", None, HOSTILE, ACTOR, world.clock.now)
    with world.ctx.db.write() as session:
        signed = signature(wipe.payload, world.ops[0], Role.WIPE)
        wipes.add_signature(session, world.ctx, wipe.id, signed, ACTOR, world.clock.now)
    capture = captured(fleet, "cam-2")
    say(fleet.world, "cam-2", release, 900, 300, feature=HOSTILE, celsius=61.5, power_mode=HOSTILE, throttled=1)
    return {
        "home": "/",
        "captures": "/captures",
        "captures of a device": "/captures?device=cam-2",
        "capture": f"/captures/{capture}",
        "devices": "/devices",
        "device": "/devices/cam-2",
        "wiped device": "/devices/cam-3",
        "gateway": "/devices/gw-1",
        "microcontroller": "/devices/mcu-1",
        "pending device": "/devices/cam-9",
        "releases": "/releases",
        "release": f"/releases/{release}",
        "rollouts": "/rollouts",
        "new rollout": "/rollouts/new",
        "rollout": f"/rollouts/{rollout}",
        "wipe": f"/wipes/{wipe.id}",
        "enrol": "/enrol",
        "activity": "/activity",
        "results": "/results",
        "results of a device": "/results?device=cam-2",
    }


def with_suffix(path: str) -> str:
    place, question, asked = path.partition("?")
    return f"{place}.json{question}{asked}"


def csrf(browser: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/rollouts/new").text + browser.get("/enrol").text)
    assert found is not None
    return found[1]


def test_every_page_draws_and_has_its_twin(browser: httpx.Client, busy: dict[str, str]) -> None:
    for name, path in busy.items():
        page = browser.get(path)
        assert page.status_code == 200, f"{name}: {page.text}"
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.text.count("<h1") == 1, name
        by_suffix = browser.get("/index.json" if path == "/" else with_suffix(path))
        by_header = browser.get(path, headers={"Accept": "application/json"})
        assert by_suffix.headers["content-type"] == "application/json", name
        assert by_suffix.json() == by_header.json(), name


def test_the_twin_takes_the_same_parameters(browser: httpx.Client, busy: dict[str, str]) -> None:
    assert [one["id"] for one in browser.get("/devices.json?tag=site%3Dlab&find=cam-2").json()["items"]] == ["cam-2"]
    assert f'href="{busy["devices"]}.json?find=cam' in browser.get("/devices?find=cam").text


def test_pages_allow_no_script_of_their_own(browser: httpx.Client, busy: dict[str, str]) -> None:
    for name, path in busy.items():
        page = browser.get(path)
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert re.findall(r"<script(?![^>]* src=)", page.text) == [], name
        assert re.findall(r"\son\w+=|\sstyle=|javascript:|<style", page.text) == [], name
        assert page.headers["cache-control"] == "no-store"


def test_what_devices_say_is_text_and_nothing_else(browser: httpx.Client, busy: dict[str, str]) -> None:
    for name in ("home", "device", "wipe", "microcontroller", "results", "release"):
        text = browser.get(busy[name]).text
        assert "<script>alert" not in text, name
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text, name
        assert HOSTILE in html.unescape(text), name


def test_whoever_is_not_known_signs_in_first_and_comes_back(
    nobody: httpx.Client, address: str, busy: dict[str, str], people: None
) -> None:
    for path in busy.values():
        answer = nobody.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/signin")
    assert nobody.get("/devices?find=cam").headers["location"] == "/signin?next=%2Fdevices%3Ffind%3Dcam"
    assert nobody.get("/devices.json").status_code == 401
    assert nobody.get("/devices", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/signin?next=%2Fdevices"
    form = {"name": "viewer", "password": PASSWORD, "next": "/devices?find=cam"}
    signed_in = nobody.post("/signin", data=form, headers={"Origin": address})
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/devices?find=cam")
    assert nobody.get("/devices").status_code == 200
    out = nobody.post("/signout", headers={"Origin": address})
    assert out.headers["location"] == "/signin"
    assert auth.COOKIE not in nobody.cookies


def test_a_wrong_password_is_said_and_nobody_is_led_away(nobody: httpx.Client, address: str, people: None) -> None:
    origin = {"Origin": address}
    wrong = nobody.post("/signin", data={"name": "viewer", "password": "wrong"}, headers=origin)
    assert wrong.status_code == 401
    assert "unknown name or wrong password" in wrong.text
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        form = {"name": "viewer", "password": PASSWORD, "next": target}
        assert nobody.post("/signin", data=form, headers=origin).headers["location"] == "/"
    other = nobody.post(
        "/signin", data={"name": "viewer", "password": PASSWORD}, headers={"Origin": "http://evil.example"}
    )
    assert other.status_code == 403


def test_a_rollout_is_started_and_stopped_by_forms(browser: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    form = {
        "csrf": csrf(browser),
        "release": fleet.push("1.0.0"),
        "amount": ["1", "100"],
        "unit": ["count", "percent"],
        "soak": ["10 s", ""],
        "min_success": "90",
        "min_samples": "1",
        "min_served": "0",
        "device_deadline": "10 min",
        "on_breach": "revert",
    }
    preview = browser.post("/rollouts/new", data=form)
    assert "of 2 matching devices get digits 1.0.0" in preview.text
    assert browser.get("/rollouts.json").json()["items"] == []
    started = browser.post("/rollouts/new", data=form | {"action": "start"})
    assert started.status_code == 303
    where = started.headers["location"]
    assert browser.get(f"{where}.json").json()["state"] == "running"
    assert browser.post(f"{where}/pause", data={"csrf": form["csrf"]}).headers["location"] == where
    assert browser.get(f"{where}.json").json()["state"] == "paused"
    again = browser.post(f"{where}/pause", data={"csrf": form["csrf"]})
    assert again.status_code == 409
    assert "possible: resume, abort, revert" in again.text


def test_a_mistake_in_the_form_is_said_beside_it_and_nothing_is_lost(browser: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1")
    form = {"csrf": csrf(browser), "release": fleet.push("1.0.0"), "amount": "1", "unit": "count", "soak": "a while"}
    answer = browser.post("/rollouts/new", data=form | {"action": "start", "tags": "site=lab"})
    assert answer.status_code == 422
    assert "is no length of time" in answer.text
    assert 'value="a while"' in answer.text
    assert 'value="site=lab"' in answer.text
    live = browser.post("/rollouts/new", data=form, headers={"HX-Request": "true"})
    assert live.status_code == 200, "htmx draws only what succeeded"


def test_forms_of_another_session_or_site_are_refused(browser: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1")
    wrong = browser.post("/devices/cam-1/tags", data={"tags": "a=b", "csrf": "guessed"})
    assert wrong.status_code == 403
    assert "another session" in wrong.text
    token = csrf(browser)
    elsewhere = {"Origin": "http://evil.example"}
    assert (
        browser.post("/devices/cam-1/tags", data={"tags": "a=b", "csrf": token}, headers=elsewhere).status_code == 403
    )
    assert browser.get("/devices/cam-1.json").json()["tags"] == {}
    assert browser.post("/devices/cam-1/tags", data={"tags": "a=b", "csrf": token}).status_code == 303
    assert browser.get("/devices/cam-1.json").json()["tags"] == {"a": "b"}


def test_a_viewer_sees_no_buttons_and_posts_nothing(
    nobody: httpx.Client, address: str, busy: dict[str, str], people: None
) -> None:
    nobody.headers["Origin"] = address
    nobody.post("/signin", data={"name": "viewer", "password": PASSWORD})
    for path in busy.values():
        buttons = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', nobody.get(path).text)
        assert set(buttons) <= {"/signout", "/rollouts/new"}, path
    assert nobody.post(f"{busy['rollout']}/abort", data={}).status_code == 403


def test_a_wipe_is_drafted_and_shown_with_its_command(browser: httpx.Client, fleet: Fleet, address: str) -> None:
    (agent,) = fleet.add("cam-1")
    fleet.start(fleet.push("1.0.0"))
    agent.follow()
    token = csrf(browser)
    nothing = browser.post("/devices/cam-1/wipes", data={"csrf": token, "what": "models"})
    assert (nothing.status_code, "nothing is ticked" in nothing.text) == (422, True)
    drafted = browser.post(
        "/devices/cam-1/wipes", data={"csrf": token, "what": "models", "model": "digits", "reason": "sold"}
    )
    where = drafted.headers["location"]
    page = browser.get(where).text
    assert "Signed: 0 of 2" in page
    assert f"packager wipe sign {address}{where} --key ops-1.pem --token-file TOKEN" in page
    assert browser.get(f"{where}.json").json()["scope"] == ["digits"]
    assert browser.post(f"{where}/cancel", data={"csrf": token}).headers["location"] == where
    assert browser.get(f"{where}.json").json()["state"] == "cancelled"


def test_drift_and_hardware_are_drawn_with_words_beside_the_bars(browser: httpx.Client, fleet: Fleet) -> None:
    (agent,) = fleet.add("cam-1")
    release = fleet.push("1.0.0")
    fleet.start(release)
    agent.follow()
    assert "has no baseline to compare with" in browser.get(f"/releases/{release}").text
    say(fleet.world, "cam-1", release, 900, 100, confidence=(5, *[0] * 18, 15), celsius=71.5, throttled=0x50000,
        gpu_permille=480, power_mw=5200, power_mode="15W", policy="reduced")  # fmt: skip
    page = browser.get("/devices/cam-1").text
    for text in ("drifted", "PSI 0.88 · KS 0.40", "1\u202f000 samples", "20 answers", "71.5 °C", "5.2 W", "48 % busy"):
        assert text in page, text
    assert "not now, but since its boot" in page
    assert "takes fewer requests, or a smaller variant" in page
    release_page = browser.get(f"/releases/{release}").text
    assert "1 device together" in release_page
    assert 'On their own the most drifted: <a href="/devices/cam-1">' in release_page
    twin = browser.get("/devices/cam-1.json").json()
    (feature,) = twin["quality"][0]["features"]
    assert (feature["word"], feature["samples"], feature["seen"]) == ("drifted", 1000, [0.9, 0.1])


def test_gates_by_drift_and_heat_are_asked_for_by_the_form_and_shown(browser: httpx.Client, fleet: Fleet) -> None:
    fleet.add("cam-1")
    release = fleet.world.push(fleet.world.build(baseline=b"a baseline that nobody here reads"))[0].digest
    form = {"csrf": csrf(browser), "release": release, "amount": "100", "unit": "percent", "soak": "1 min"}
    wrong = browser.post("/rollouts/new", data=form | {"temperature_max_c": "hot"})
    assert "Hottest: &#39;hot&#39; is no number" in wrong.text
    asked = {"drift_psi_max": "0.2", "min_drift_samples": "800", "temperature_max_c": "75", "action": "start"}
    say(fleet.world, "cam-1", release, celsius=90)
    where = browser.post("/rollouts/new", data=form | asked).headers["location"]
    gate = browser.get(f"{where}.json").json()["gate"]
    assert (gate["drift_psi_max"], gate["min_drift_samples"], gate["temperature_max_c"]) == (0.2, 800, 75)
    page = browser.get(where).text
    assert "PSI at most 0.2, judged from 800 samples on" in page
    assert "too few samples yet" in page
    assert "at most 75 °C" in page
    assert '<span class="pill mute">waits</span>' in page
    assert "waits until it is cooler: 90 °C, the gate allows 75 °C" in page


def test_a_capture_is_drafted_shown_and_cancelled(browser: httpx.Client, fleet: Fleet, address: str) -> None:
    (agent,) = fleet.add("cam-1")
    fleet.start(fleet.push("1.0.0"))
    agent.follow()
    token = csrf(browser)
    form = {"csrf": token, "model": "digits", "random": "0", "margin": "5", "classes": "7, 3", "per_day": "20",
            "lives": "2 d"}  # fmt: skip
    for wrong, message in (
        ({"margin": "0", "classes": ""}, "picks no request"),
        ({"classes": "cat"}, "is no class"),
        ({"margin": "100.1"}, "margin_permille"),
    ):
        answer = browser.post("/devices/cam-1/captures", data=form | wrong)
        assert (answer.status_code, message in answer.text) == (422, True), message
    where = browser.post("/devices/cam-1/captures", data=form).headers["location"]
    page = browser.get(where).text
    assert "requests whose two best answers are within 5 %; requests answered with class 3, 7" in page
    assert f"packager capture sign {address}{where} --key ops-1.pem --token-file TOKEN" in page
    assert "Capture of digits" in browser.get("/devices/cam-1").text
    assert "A capture of digits on cam-1" in browser.get("/").text
    made = browser.get(f"{where}.json").json()
    assert made["not_after"] == int(fleet.world.clock.now) + 2 * 86_400
    assert browser.post(f"{where}/cancel", data={"csrf": token}).headers["location"] == where
    assert browser.get(f"{where}.json").json()["state"] == "cancelled"
    assert "A capture of digits on cam-1" not in browser.get("/").text


def test_a_claim_token_is_shown_once_and_devices_are_let_in(browser: httpx.Client, fleet: Fleet) -> None:
    token = csrf(browser)
    made = browser.post("/enrol", data={"csrf": token, "tags": "site=lab", "expires": "2 h"})
    found = re.search(r'id="token">(dunlin1-[\w-]+)<', made.text)
    assert found is not None
    assert found[1] not in browser.get("/enrol").text
    fleet.world.device("cam-9", auto_approve=False)
    assert "cam-9" in browser.get("/enrol").text
    back = browser.post("/devices/cam-9/approve", data={"csrf": token, "from": "enrol"})
    assert back.headers["location"] == "/enrol"
    assert browser.get("/devices/cam-9.json").json()["state"] == "active"


def test_a_microcontroller_is_shown_with_its_gateway_and_moved_by_a_form(browser: httpx.Client, fleet: Fleet) -> None:
    (agent,) = behind(fleet, "gw-1", "mcu-1")
    fleet.add("gw-2")
    built = fleet.world.build(runtime="tflm", size=60_000)
    fleet.start(fleet.world.push(built)[0].digest, selector={"devices": ["mcu-1"]})
    page = browser.get("/devices/mcu-1").text
    for shown in ("behind gateway", 'href="/devices/gw-1"', "flash, in the clear", "its own flash", "Firmware"):
        assert shown in page
    assert "Its certificate is not renewed" not in page
    agent.follow()
    page = browser.get("/devices/mcu-1").text
    assert "12 KiB of 64 KiB" in page
    assert browser.get("/devices/mcu-1.json").json() == browser.get("/api/v1/devices/mcu-1").json() | {
        "events": [],
        "events_next": None,
    }
    token = csrf(browser)
    assert "behind gateway gw-1 already" in html.unescape(
        browser.post("/devices/mcu-1/gateway", data={"csrf": token, "gateway": "gw-1"}).text
    )
    moved = browser.post("/devices/mcu-1/gateway", data={"csrf": token, "gateway": " gw-2 "})
    assert (moved.status_code, moved.headers["location"]) == (303, "/devices/mcu-1")
    assert "Behind this gateway" in browser.get("/devices/gw-2").text
    assert "Behind this gateway" not in browser.get("/devices/gw-1").text


def test_alarms_are_shown_until_they_are_dismissed(browser: httpx.Client, fleet: Fleet) -> None:
    (agent,) = behind(fleet, "gw-1", "mcu-1")
    for _ in range(3):
        hear(fleet.world, agent.device.address, "reported", b"\x00")
    assert "passed on reported that the device did not sign" in browser.get("/").text
    assert "3 times since" in browser.get("/devices/mcu-1").text
    assert browser.post("/devices/mcu-1/dismiss", data={"csrf": csrf(browser)}).status_code == 303
    assert "did not sign" not in browser.get("/").text + browser.get("/devices/mcu-1").text


def test_enrolling_a_microcontroller_is_explained(browser: httpx.Client) -> None:
    command = "fleet-agent child enroll --line /dev/ttyACM0 --id NAME --token-file"
    assert command in browser.get("/enrol").text
    made = browser.post("/enrol", data={"csrf": csrf(browser), "expires": "2 h"}).text
    assert made.count(command) == 2


def test_empty_pages_say_what_to_do_next(browser: httpx.Client) -> None:
    assert "packager push" in browser.get("/").text
    assert "fleet-agent enroll" in browser.get("/devices").text
    assert "packager build" in browser.get("/releases").text
    assert "packager push" in browser.get("/rollouts").text
    assert "packager push" in browser.get("/rollouts/new").text
    assert "None is open" in browser.get("/enrol").text


def test_errors_are_pages_too(browser: httpx.Client) -> None:
    missing = browser.get("/devices/nope")
    assert missing.status_code == 404
    assert "there is no device" in html.unescape(missing.text)
    assert browser.get("/devices/nope.json").headers["content-type"] == "application/problem+json"
    assert browser.get("/no/such/page").status_code == 404


def test_lists_are_paged(browser: httpx.Client, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_server.web.pages.devices.PAGE", 2)
    fleet.add("a-1", "a-2", "a-3", tags={"k": "v w"})
    first = browser.get("/devices?tag=k%3Dv+w")
    (following,) = re.findall(r'href="(/devices\?after=[^"]+)"', first.text)
    second = browser.get(html.unescape(following))
    assert "/devices/a-3" in second.text
    assert "/devices/a-1" not in second.text


def test_static_files_are_kept_by_browsers_and_come_from_here(nobody: httpx.Client) -> None:
    page = nobody.get("/signin").text
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert all(one.startswith("/") and not one.startswith("//") for one in addresses)
    for one in addresses:
        if one.startswith("/static/"):
            answer = nobody.get(one)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
    assert nobody.get("/static/../pages/__init__.py").status_code == 404


def test_what_others_wrote_stands_beside_its_licence() -> None:
    vendor = STATIC / "vendor"
    named = (vendor / "LICENCES.txt").read_text()
    assert {path.name for path in vendor.iterdir()} == {"LICENCES.txt", "htmx.min.js", "sse.js"}
    assert "htmx.min.js" in named
    assert "sse.js" in named
