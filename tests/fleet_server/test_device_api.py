"""The devices' listener over real TLS: what each call takes, and how it refuses."""

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from dunlin_contract.enrolment import EnrolReply, Trust
from tests.fleet_server.listener import Listener
from tests.fleet_server.world import Device, World


@pytest.fixture
def api(sqlite_world: World) -> Iterator[httpx.Client]:
    """A client that trusts the device CA and nothing else."""
    listener = Listener(sqlite_world)
    with listener.client(None) as client:
        yield client
    listener.close()


def test_a_device_gets_in_over_tls(api: httpx.Client, sqlite_world: World) -> None:
    token, device = sqlite_world.token(), Device(sqlite_world, "cam-1")
    answer = api.get("/device/v1/trust", params={"root": token.root_digest.hex()})
    assert answer.headers["content-type"] == "application/cbor"
    Trust.from_bytes(answer.content)
    reply = EnrolReply.from_bytes(api.post("/device/v1/enrol", content=device.request(token)).content)
    assert reply.status == "issued"
    renewed = EnrolReply.from_bytes(api.post("/device/v1/renew", content=device.renewal()).content)
    assert renewed.chain[0] != reply.chain[0]


@pytest.mark.parametrize(
    ("path", "body", "status", "rule"),
    [
        ("enrol", b"", 422, "encoding"),
        ("enrol", b"\xff" * 40, 422, "encoding"),
        ("enrol", bytes(20_000), 413, None),
        ("renew", bytes(20_000), 413, None),
        ("renew", b"\xa0", 422, "cose-shape"),
        ("nothing", b"", 404, None),
    ],
)
def test_refusals_are_problem_json(api: httpx.Client, path: str, body: bytes, status: int, rule: str | None) -> None:
    answer = api.post(f"/device/v1/{path}", content=body)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem.get("rule")) == (status, status, rule)
    assert "\n" not in problem["detail"]


def test_a_used_token_is_a_403_that_says_what_to_do(api: httpx.Client, sqlite_world: World) -> None:
    token = sqlite_world.token()
    api.post("/device/v1/enrol", content=Device(sqlite_world, "cam-1").request(token))
    answer = api.post("/device/v1/enrol", content=Device(sqlite_world, "cam-2").request(token))
    assert answer.status_code == 403
    assert "ask an operator for a new one" in answer.json()["detail"]


def test_a_body_without_end_is_cut_off(api: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100_000):
            yield bytes(10_000)

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # the server may hang up while we still send
        assert api.post("/device/v1/enrol", content=endless()).status_code == 413
