"""Payloads by HTTP range on the devices' listener: who gets which bytes, and what a slow or greedy device costs."""

import dataclasses
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from dunlin_contract import merkle, topics
from dunlin_contract.limits import LIMITS
from fleet_server.db.models import ObjectRow, OutboxRow
from fleet_server.device_api import payloads
from fleet_server.services import enrolment, objects, releases
from tests.fleet_server.listener import Listener, told
from tests.fleet_server.world import ACTOR, Bundle, World


@pytest.fixture
def listener(sqlite_world: World) -> Iterator[Listener]:
    made = Listener(sqlite_world)
    yield made
    made.close()


def bytes_of(built: Bundle, payload: int) -> bytes:
    ranges = list(built.manifest.leaf_ranges())
    return b"".join(built.chunks[place] for place in ranges[payload])


def test_every_range_of_every_payload_is_what_the_bundle_holds(listener: Listener, sqlite_world: World) -> None:
    device, built = sqlite_world.device(), sqlite_world.build(size=20_000)
    path = told(sqlite_world, device, built)
    with listener.client(device) as client:
        for payload in (0, 1):
            whole = bytes_of(built, payload)
            where = path[:-1] + str(payload)
            for first, last in ((0, 0), (0, len(whole) - 1), (5, len(whole) // 2), (len(whole) - 1, len(whole) + 9)):
                answer = client.get(where, headers={"Range": f"bytes={first}-{last}"})
                expected = whole[first : last + 1]
                assert (answer.status_code, answer.content) == (206, expected)
                shown = f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
                assert answer.headers["content-range"] == shown
                assert answer.headers["content-length"] == str(len(expected))
            assert client.get(where, headers={"Range": "bytes=-3"}).content == whole[-3:]
            everything = client.get(where)
            assert (everything.status_code, everything.content) == (200, whole)


def test_a_range_beyond_the_end_is_416_with_the_length(listener: Listener, sqlite_world: World) -> None:
    device, built = sqlite_world.device(), sqlite_world.build()
    path = told(sqlite_world, device, built)
    length = built.manifest.payloads[0].ciphertext_length
    with listener.client(device) as client:
        answer = client.get(path, headers={"Range": f"bytes={length}-{length + 5}"})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{length}")


def test_who_has_no_certificate_gets_nothing_and_may_still_enrol(listener: Listener, sqlite_world: World) -> None:
    path = told(sqlite_world, sqlite_world.device(), sqlite_world.build())
    with listener.client(None) as client:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert client.get("/device/v1/trust").status_code == 200


def test_a_device_gets_only_what_it_was_told_to_have(listener: Listener, sqlite_world: World) -> None:
    first, second = sqlite_world.device("cam-1"), sqlite_world.device("cam-2")
    path = told(sqlite_world, first, sqlite_world.build())
    with listener.client(second) as client:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "wait for its next directive" in answer.json()["detail"]
    with sqlite_world.ctx.db.write() as session:
        enrolment.reject(session, sqlite_world.ctx, "cam-1", ACTOR, sqlite_world.clock.now)
    with listener.client(first) as client:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "not in the fleet" in answer.json()["detail"]


def test_a_certificate_of_the_server_itself_is_no_device(listener: Listener, sqlite_world: World) -> None:
    path = told(sqlite_world, sqlite_world.device(), sqlite_world.build())
    context = listener.context(None)
    context.load_cert_chain(listener.paths.certificate("client"), listener.paths.key("client"))
    with httpx.Client(base_url=f"https://localhost:{listener.port}", verify=context, trust_env=False) as client:
        assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["{release}/2", "{release}/31", "{release}/999", "{release}/-1", "{release}/x", "{RELEASE}/0", "{release}0/0"],
)
def test_what_is_not_there_is_404(listener: Listener, sqlite_world: World, path: str) -> None:
    device, built = sqlite_world.device(), sqlite_world.build()
    told(sqlite_world, device, built)
    release = "a" * 64 if "{RELEASE}" in path else built.digest.hex()
    path = path.format(release=release, RELEASE=release.upper())
    with listener.client(device) as client:
        assert client.get(f"/device/v1/payloads/{path}").status_code == 404


def test_a_bundle_that_is_cut_short_is_told_and_not_sent(listener: Listener, sqlite_world: World) -> None:
    device, built = sqlite_world.device(), sqlite_world.build()
    path = told(sqlite_world, device, built)
    stored = sqlite_world.ctx.config.bundles_dir / f"{built.digest.hex()}.dnb"
    os.truncate(stored, stored.stat().st_size - 1)
    with listener.client(device) as client:
        answer = client.get(path)
        assert answer.status_code == 500
        assert "restore" in answer.json()["detail"]


def test_a_device_that_reads_nothing_holds_few_answers_and_a_little_memory(
    listener: Listener, sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, built = sqlite_world.device(), sqlite_world.build(size=24 << 20)
    path = told(sqlite_world, device, built)
    read = 0
    really = os.pread

    def counted(file: int, length: int, at: int) -> bytes:
        nonlocal read
        if length == payloads.BLOCK_BYTES:
            read += length
        return really(file, length, at)

    monkeypatch.setattr(os, "pread", counted)
    held = []
    for _ in range(payloads.STREAMS):
        held.append(listener.context(device).wrap_socket(_dial(listener.port), server_hostname="localhost"))
        held[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert held[-1].recv(12) == b"HTTP/1.1 200"
    with listener.client(device) as client:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        assert read < payloads.STREAMS * (8 << 20)
        for one in held:
            one.close()
        while client.get(path, headers={"Range": "bytes=0-0"}).status_code != 206:
            time.sleep(0.02)


def test_requests_that_come_at_one_moment_get_no_more_answers_than_others(
    listener: Listener, sqlite_world: World
) -> None:
    device, built = sqlite_world.device(), sqlite_world.build(size=24 << 20)
    path = told(sqlite_world, device, built)
    context = listener.context(device)
    asking = [context.wrap_socket(_dial(listener.port), server_hostname="localhost") for _ in range(12)]
    for one in asking:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answers = [one.recv(12) for one in asking]
    for one in asking:
        one.close()
    assert answers.count(b"HTTP/1.1 200") == payloads.STREAMS
    assert answers.count(b"HTTP/1.1 429") == len(asking) - payloads.STREAMS


def test_a_device_that_stops_reading_is_given_up(
    listener: Listener, sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "BLOCK_S", 0.2)
    device, built = sqlite_world.device(), sqlite_world.build(size=24 << 20)
    path = told(sqlite_world, device, built)
    with closing(listener.context(device).wrap_socket(_dial(listener.port), server_hostname="localhost")) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert sock.recv(12) == b"HTTP/1.1 200"
        files = Path("/proc/self/fd")
        while any(_target(one).endswith(".dnb") for one in files.iterdir()):
            time.sleep(0.02)


def test_a_large_payload_stays_off_the_broker(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "LIMITS", dataclasses.replace(LIMITS, broker_payload_bytes=9_000))
    device, built = sqlite_world.device(), sqlite_world.build(size=20_000)
    told(sqlite_world, device, built)
    large, small = (list(built.manifest.leaf_ranges())[index] for index in (0, 1))
    with sqlite_world.ctx.db.read() as session:
        kinds = [one.kind for one in session.exec(select(ObjectRow)) if one.release == built.digest.hex()]
        owed = {row.topic for row in session.exec(select(OutboxRow))}
    assert sorted(kinds) == ["chunk"] * len(small) + ["index", "manifest"]
    leaves = [merkle.leaf(chunk) for chunk in built.chunks]
    assert not owed & {topics.obj(leaves[place]) for place in large}
    assert {topics.obj(leaves[place]) for place in small} <= owed
    with sqlite_world.ctx.db.write() as session:
        missing = [leaves[place].hex() for place in large]
        assert objects.republish_missing(session, device.name, missing, sqlite_world.clock.now + 60) == 0


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40))
def test_a_part_is_never_outside_the_payload(first: int, last: int, length: int) -> None:
    wanted = payloads.part(f"bytes={first}-{last}", length)
    if last < first:
        assert wanted is None
    else:
        assert wanted is not None
        assert list(wanted) == [at for at in range(first, last + 1) if at < length]


@pytest.mark.parametrize(
    "asked", [None, "", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes=1", "bytes=" + "9" * 40 + "-"]
)
def test_what_is_no_single_range_means_everything(asked: str | None) -> None:
    assert payloads.part(asked, 10) is None


def _dial(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    return sock


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
