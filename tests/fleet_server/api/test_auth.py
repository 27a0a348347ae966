"""Who may ask what: tokens, sessions, roles, and requests that another site makes a browser send."""

import httpx
import pytest
from fastapi import FastAPI

from fleet_server.api import auth
from tests.fleet_server.api.conftest import PASSWORD
from tests.fleet_server.rollouts.fleet import Fleet

OPEN = {("/api/v1/session", "post")}


def test_every_call_of_the_api_needs_to_know_who_asks(app: FastAPI, nobody: httpx.Client) -> None:
    """Read out of the schema, so that a call added later cannot be forgotten."""
    calls = [(path, method) for path, methods in app.openapi()["paths"].items() for method in methods]
    assert len(calls) > 25
    for path, method in calls:
        if (path, method) in OPEN:
            continue
        concrete = path.replace("{rollout}", "1").replace("{action}", "pause").replace("{", "").replace("}", "")
        answer = nobody.request(method, concrete, json={})
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_token_is_nobody(nobody: httpx.Client) -> None:
    assert nobody.get("/api/v1/devices", headers={"Authorization": "Bearer dnl_wrong"}).status_code == 401
    assert nobody.get("/api/v1/devices", headers={"Authorization": "Basic eDp5"}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/api/v1/rollouts", {}),
        ("post", "/api/v1/rollouts/1/pause", None),
        ("post", "/api/v1/devices/cam-1/wipes", {}),
        ("post", "/api/v1/devices/cam-1/approve", None),
        ("post", "/api/v1/devices/cam-1/reject", None),
        ("patch", "/api/v1/devices/cam-1", {"tags": {}}),
        ("post", "/api/v1/claim-tokens", {}),
        ("post", "/api/v1/wipes/00/cancel", None),
        ("post", "/api/v1/captures", {}),
        ("delete", "/api/v1/captures/00", None),
        ("patch", "/api/v1/settings", {"probation_s": 1}),
    ],
)
def test_a_viewer_changes_nothing(viewer: httpx.Client, method: str, path: str, body: object) -> None:
    answer = viewer.request(method, path, json=body)
    assert answer.status_code == 403
    assert answer.json()["title"] == "Not allowed"


def test_settings_are_for_admins(operator: httpx.Client, admin: httpx.Client) -> None:
    assert operator.patch("/api/v1/settings", json={"probation_s": 5}).status_code == 403
    assert admin.patch("/api/v1/settings", json={"probation_s": 5}).json()["probation_s"] == 5
    assert operator.get("/api/v1/settings").json()["probation_s"] == 5


def test_a_browser_signs_in_and_out(browser: httpx.Client) -> None:
    who = browser.get("/api/v1/session").json()
    assert who == {"actor": "user:operator", "name": "operator", "role": "operator"}
    cookie = browser.cookies[auth.COOKIE]
    assert browser.delete("/api/v1/session").status_code == 204
    assert auth.COOKIE not in browser.cookies
    browser.cookies.set(auth.COOKIE, cookie)
    assert browser.get("/api/v1/session").status_code == 401, "it is closed on the server as well"


@pytest.mark.usefixtures("people")
def test_the_cookie_is_kept_from_scripts_and_other_sites(nobody: httpx.Client) -> None:
    body = {"name": "viewer", "password": PASSWORD}
    behind_tls = nobody.post("/api/v1/session", json=body, headers={"X-Forwarded-Proto": "https"})
    attributes = {part.strip().lower() for part in behind_tls.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=strict", "secure", "path=/"} <= attributes


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "{address}.evil.example", "http://127.0.0.1:1"]
)
def test_another_site_cannot_use_the_cookie(
    browser: httpx.Client, address: str, fleet: Fleet, origin: str | None
) -> None:
    fleet.add("cam-1")
    del browser.headers["Origin"]
    headers = {} if origin is None else {"Origin": origin.format(address=address)}
    answer = browser.patch("/api/v1/devices/cam-1", json={"tags": {"stolen": "yes"}}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]
    assert browser.get("/api/v1/devices/cam-1").json()["tags"] == {}
    assert browser.patch("/api/v1/devices/cam-1", json={"tags": {}}, headers={"Origin": address}).status_code == 200


@pytest.mark.usefixtures("people")
def test_guessing_is_slowed_down(nobody: httpx.Client) -> None:
    for _ in range(5):
        wrong = nobody.post("/api/v1/session", json={"name": "admin", "password": "wrong"})
        assert wrong.status_code == 401
    throttled = nobody.post("/api/v1/session", json={"name": "admin", "password": "wrong"})
    assert throttled.status_code == 429
    assert int(throttled.headers["retry-after"]) >= 1


def test_an_expired_session_is_nobody(browser: httpx.Client, fleet: Fleet) -> None:
    fleet.world.clock.now += 13 * 3600
    assert browser.get("/api/v1/session").status_code == 401
