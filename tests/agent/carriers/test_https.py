"""The carrier over HTTPS: its runs and its one connection, and a server that goes away and comes back."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunlin_contract import merkle
from dunlin_contract.limits import LIMITS
from fleet_agent.carriers import http, https_fetcher, runs, window
from tests.agent.carrier_parts import Material, Server, Taker
from tests.agent.carriers.real import Pki, over_https
from tests.agent.fleet import until


def cuts(material: Material) -> list[int]:
    """Places in the first answer: in the head at its beginning, in each line and at each line's end; in the body after
    each chunk's first byte, in its middle, before its last byte and after it."""
    head = (
        f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{sum(map(len, material.payloads[0])) - 1}/"
        f"{sum(map(len, material.payloads[0]))}\r\nContent-Length: {sum(map(len, material.payloads[0]))}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    ends = [at + 2 for at in range(len(head)) if head.startswith("\r\n", at)]
    places = [0, 1, *ends, *(end - 1 for end in ends), *(end - 7 for end in ends)]
    at = len(head)
    for chunk in material.payloads[0]:
        places += [at + 1, at + len(chunk) // 2, at + len(chunk) - 1, at + len(chunk)]
        at += len(chunk)
    return sorted(set(places))


def test_a_connection_cut_anywhere_costs_only_what_was_not_whole(pki: Pki, taker: Taker, material: Material) -> None:
    lengths = [len(chunk) for chunk in material.payloads[0]]
    names = [merkle.leaf(chunk) for chunk in material.payloads[0]]
    for place in cuts(material):
        server = Server(pki.server, pki.ca, material.payload)

        def cut(number: int, head: bytes, body: bytes, place: int = place) -> tuple[bytes, bool]:
            if number:
                return head + body, True
            whole = head + body
            return whole[:place], place == len(whole)

        server.answer = cut
        taker.good.clear()
        carrier = over_https(taker, material, pki, server.url)
        taker.want(names)
        taker.until_has(names)
        taker.want([])
        taker.do(carrier.close)
        server.close()
        assert not taker.corrupt
        assert server.asked[0][0] == 0
        if len(server.asked) > 1:
            starts = [sum(lengths[:rank]) for rank in range(len(lengths))]
            assert server.asked[1][0] in starts, (place, server.asked)
            # What came whole before the cut is not asked for again.
            sent = max(0, place - _head_length(material))
            assert server.asked[1][0] == max(start for start in starts if start <= sent)


def _head_length(material: Material) -> int:
    return cuts(material)[-1] - sum(len(chunk) for chunk in material.payloads[0])


def test_while_it_fails_it_offers_nothing_and_later_again(taker: Taker, material: Material, pki: Pki) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    carrier = over_https(taker, material, pki, f"https://127.0.0.1:{port}")
    chunk = next(iter(material.places.items()))
    assert taker.do(lambda: carrier.offers(*chunk))
    taker.want(list(material.chunks))
    until(lambda: taker.do(lambda: not carrier.offers(*chunk)), "it offers nothing")
    assert "Connection refused" in carrier.why
    with_server = Server(pki.server, pki.ca, material.payload, port)
    taker.until_has(list(material.chunks))
    assert taker.do(lambda: carrier.offers(*chunk))
    carrier.close()
    with_server.close()


def test_a_network_that_is_back_is_used_at_once(
    taker: Taker, material: Material, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 1000.0)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    carrier = over_https(taker, material, pki, f"https://127.0.0.1:{port}")
    taker.want(list(material.chunks))
    until(lambda: carrier.why, "it fails")
    server = Server(pki.server, pki.ca, material.payload, port)
    taker.do(carrier.hurry)
    taker.until_has(list(material.chunks))
    carrier.close()
    server.close()


def test_a_server_that_restarts_costs_nothing_that_came_and_no_pause(
    taker: Taker, material: Material, pki: Pki, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 1000.0)
    first = [merkle.leaf(chunk) for chunk in material.payloads[0]]
    carrier = over_https(taker, material, pki, server.url)
    taker.want(first)
    taker.until_has(first)
    server.close()
    again = Server(pki.server, pki.ca, material.payload, server.port)
    taker.want([name for name in material.chunks if name not in first])
    taker.until_has(list(material.chunks))
    carrier.close()
    again.close()
    assert again.connections == 1


def test_runs_use_one_connection_and_no_more_than_they_may(
    taker: Taker, material: Material, pki: Pki, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUN_BYTES", 10_000)
    carrier = over_https(taker, material, pki, server.url)
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    assert server.connections == 1
    assert all(last - first < 10_000 for first, last in server.asked)
    assert len(server.asked) == 7  # of 9, 1 and 4 chunks: two at a time, three where the last is short
    carrier.close()


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 13)), st.integers(1, 40_000))
def test_a_run_is_whole_chunks_of_one_payload_in_order(gone: set[int], most: int) -> None:
    material = Material.random(9, 1, 4)
    names = [name for rank, name in enumerate(material.chunks) if rank not in gone]
    places = material.places
    seen: list[bytes] = []
    before = runs.RUN_BYTES
    runs.RUN_BYTES = most
    try:
        while (run := runs.next_run(names[len(seen) :], places.get)) is not None:
            assert run.names == tuple(names[len(seen) : len(seen) + len(run.names)])
            assert run.last - run.first + 1 == sum(place.length for place in run.places)
            assert len(run.names) == 1 or run.last - run.first < most
            assert len({place.payload for place in run.places}) == 1
            seen += run.names
    finally:
        runs.RUN_BYTES = before
    assert seen == names


def test_the_limits_hold_together() -> None:
    assert LIMITS.object_bytes <= runs.RUN_BYTES
    assert https_fetcher.SILENCE_S < http.PATIENCE_S
