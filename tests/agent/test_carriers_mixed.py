"""Several carriers as one: who is asked for what, who takes over from whom, and one download that all three bring."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dunlin_contract import topics
from dunlin_contract.limits import LIMITS
from fleet_agent.carriers import window
from fleet_agent.carriers.base import Place
from fleet_agent.carriers.mixed import Mixed
from fleet_agent.carriers.mqtt import MqttCarrier
from fleet_agent.status import lines
from tests.agent.carrier_parts import FakeSource, Material, Server, Taker, bundle_bytes, payload_of
from tests.agent.fleet import Agent, Fleet, flipped, until


@pytest.fixture
def taker() -> Iterator[Taker]:
    made = Taker()
    yield made
    made.close()


class Three:
    """Three fakes behind one carrier, each with a stock of its own."""

    def __init__(self, taker: Taker, material: Material, kinds: Sequence[str] = ("usb", "mqtt", "http")) -> None:
        self.taker = taker
        self.material = material
        self.mixed = mixed = Mixed(taker.loop, taker, material.places.get)
        taker.carrier = mixed
        self.sources = {kind: FakeSource(kind, taker.loop, mixed.part(kind), material.chunks) for kind in kinds}
        taker.do(lambda: mixed.join(*self.sources.values()))

    def asked(self, kind: str) -> list[bytes]:
        return [name for names in self.sources[kind].asked for name in names]

    def changed(self, kind: str, *, fresh: bool = False) -> None:
        self.taker.do(lambda: self.mixed.part(kind).changed(fresh=fresh))

    def bring(self) -> None:
        self.taker.want(list(self.material.chunks))
        self.taker.until_has(list(self.material.chunks))


@pytest.fixture
def three(taker: Taker, monkeypatch: pytest.MonkeyPatch) -> Three:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 0.05)
    return Three(taker, Material.random(12))


def test_the_first_that_offers_is_asked_and_no_other(three: Three) -> None:
    three.bring()
    assert three.asked("usb") == list(three.material.chunks)
    assert not three.asked("mqtt")
    assert not three.asked("http")


def test_what_one_is_silent_on_another_brings(three: Three) -> None:
    names = list(three.material.chunks)
    for name in names[4:]:
        del three.sources["usb"].stock[name]
    for name in names[8:]:
        del three.sources["mqtt"].stock[name]
    three.bring()
    assert three.asked("mqtt") == names[4:]
    assert three.asked("http") == names[8:]
    status = three.taker.do(three.mixed.status)
    assert [status["of"][kind]["objects"] for kind in ("usb", "mqtt", "http")] == [4, 4, 4]
    assert set(three.taker.silent) == set(names[8:])  # the broker's silences are the server's to mend, and no others


@pytest.mark.parametrize("liar", ["usb", "mqtt", "http"])
def test_wrong_bytes_of_any_are_brought_by_another(three: Three, liar: str) -> None:
    for kind in three.sources:
        if kind != liar:
            three.sources[kind].able = False
    bad = three.sources[liar]
    bad.stock = {name: flipped(data) for name, data in bad.stock.items()}
    three.taker.want(list(three.material.chunks))
    until(lambda: len(three.taker.corrupt) >= 12, "all came damaged")
    for kind in three.sources:
        three.sources[kind].able = True
        three.changed(kind)
    three.taker.until_has(list(three.material.chunks))
    status = three.taker.do(three.mixed.status)
    assert status["of"][liar]["objects"] == 0
    assert set(bad.blamed) == set(three.material.chunks)
    # The server puts right what lies wrong on the broker, once it hears of it.
    assert set(three.taker.silent) == (set(three.material.chunks) if liar == "mqtt" else set())


def test_when_all_fail_there_is_a_pause_that_grows_and_an_end(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 10.0)
    for source in three.sources.values():
        source.stock = {name: flipped(data) for name, data in source.stock.items()}
    name = next(iter(three.material.chunks))
    three.taker.want([name])
    until(lambda: len(three.taker.corrupt) >= 12, "four rounds are over")
    rounds = len(three.taker.corrupt) // 3
    assert three.mixed._trouble[name].times in (rounds, rounds + 1)
    for source in three.sources.values():
        source.stock = three.material.chunks
    three.taker.until_has([name])
    assert not three.mixed._trouble


def test_who_comes_fresh_is_asked_at_once(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 1000.0)
    stock, three.sources["usb"].able, three.sources["http"].able = dict(three.material.chunks), False, False
    three.sources["mqtt"].stock = {}
    three.taker.want(list(stock))
    until(lambda: len(three.taker.silent) == 12, "all are silent")
    three.sources["mqtt"].stock = stock
    three.changed("mqtt", fresh=True)
    three.taker.until_has(list(stock))


def test_nobody_able_is_told_and_waited_out(three: Three) -> None:
    for source in three.sources.values():
        source.able = False
    three.taker.want(list(three.material.chunks))
    assert three.taker.do(three.mixed.status)["waiting"] == 12
    three.sources["http"].able = True
    three.changed("http")
    three.taker.until_has(list(three.material.chunks))
    assert three.taker.do(three.mixed.status)["waiting"] == 0


def test_wanting_nothing_stops_all(three: Three) -> None:
    three.taker.want(list(three.material.chunks))
    three.taker.want([])
    assert all(not source._wanted for source in three.sources.values())


def test_the_same_name_can_be_wanted_twice(three: Three) -> None:
    name = next(iter(three.material.chunks))
    for _ in range(3):
        three.taker.good.clear()
        three.taker.want([name])
        three.taker.until_has([name])


def test_the_broker_is_not_asked_for_what_it_never_holds(taker: Taker) -> None:
    link = type("Nobody", (), {"subscribe": lambda *_: None, "unsubscribe": lambda *_: None})()
    carrier = MqttCarrier(taker.loop, link, taker, 4, 10.0)
    at_most = Place(bytes(32), 0, 0, 100, LIMITS.broker_payload_bytes, 0)
    large = Place(bytes(32), 0, 0, 100, LIMITS.broker_payload_bytes + 1, 0)
    assert not carrier.offers(bytes(32), at_most)
    taker.do(lambda: carrier.online(True))
    assert carrier.offers(bytes(32), at_most)
    assert carrier.offers(bytes(32), None)
    assert not carrier.offers(bytes(32), large)


# The whole agent.


@pytest.fixture
def carried(tmp_path: Path) -> Iterator[tuple[Fleet, Server, list[str]]]:
    """A fleet whose device also has a server's listener and a stick, and the agent's options for them."""
    fleet = Fleet(tmp_path)
    fleet.start()
    pki = tmp_path / "pki"
    server = Server(fleet.ca.files(pki, "https"), pki / "ca.crt", lambda _: None)
    fleet.enrol(url=server.url)
    stick = tmp_path / "stick"
    stick.mkdir()
    config = tmp_path / "agent.toml"
    config.write_text(f'[carriers]\nusb = "{stick}"\n')
    yield fleet, server, ["--config", str(config)]
    server.close()
    fleet.stop()


def test_one_download_comes_from_all_three(carried: tuple[Fleet, Server, list[str]], tmp_path: Path) -> None:
    fleet, server, options = carried
    release = fleet.release(7.0, ballast=60_000)
    ranks = list(release.leaves)
    third = len(ranks) // 3
    assert third >= 4

    def spoil(rank: int, chunk: bytes) -> bytes:
        return chunk if rank < third else flipped(chunk)

    chunks = [release.chunks[leaf] for leaf in ranks]
    file = tmp_path / "stick" / ".unfinished"
    file.write_bytes(bundle_bytes(release.envelope, b"".join(ranks), chunks, spoil))
    file.rename(tmp_path / "stick" / "adder-1.0.0.dnb")
    for leaf in ranks[third : 2 * third]:
        fleet.publish_object(leaf, release.chunks[leaf])

    def cut(number: int, head: bytes, body: bytes) -> tuple[bytes, bool]:
        whole = head + body
        return (whole[: len(head) + 5000], False) if number == 0 else (whole, True)

    server.answer = cut
    server.payload = lambda path: payload_of(release, path)
    with Agent(fleet, arguments=options) as agent:
        fleet.desire(release)
        agent.until_serves(7.0)
        said = subprocess.run(
            [sys.executable, "-m", "fleet_agent.cli", "status", "--json", "--state-dir", str(fleet.state)],
            capture_output=True,
            check=True,
        )
        status = json.loads(said.stdout)
        of = status["carriers"]["of"]
        # Neither the manifest nor the index was published: they came from the stick as well.
        assert of["usb"]["objects"] == third + 2
        assert of["mqtt"]["objects"] >= third
        assert of["http"]["objects"] == len(ranks) - 2 * third
        assert status["corrupt_objects"] == len(ranks) - third
        assert any(line.startswith("  by http: ") for line in lines(status, {}))
        assert len(server.asked) > 1
        fleet.until_event("object-corrupt")


def test_a_payload_that_is_too_large_for_the_broker_comes_by_http_alone(
    carried: tuple[Fleet, Server, list[str]],
) -> None:
    fleet, server, options = carried
    release = fleet.release(3.0, ballast=40_000)
    server.payload = lambda path: payload_of(release, path)
    hook = (
        "import dataclasses\nfrom fleet_agent.carriers import base\n"
        "base.LIMITS = dataclasses.replace(base.LIMITS, broker_payload_bytes=20_000)"
    )
    large = next(iter(release.manifest.leaf_ranges()))
    fleet.offer(release)
    with Agent(fleet, hook=hook, arguments=options) as agent:
        fleet.desire(release)
        agent.until_serves(3.0)
    assert sum(last - first + 1 for first, last in server.asked) == release.manifest.payloads[0].ciphertext_length
    assert len(large) > 1
    assert not any(reported.missing for reported in fleet.reported)


def test_without_a_server_or_stick_the_broker_does_as_before(fleet: Fleet, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[carriers]\nhttp = false\n")
    release = fleet.release(5.0)
    missing = release.leaves[2]
    with Agent(fleet, arguments=["--config", str(config)]) as agent:
        for name, data in release.objects.items():
            if name != missing:
                fleet.publish_object(name, data)
        fleet.desire(release)
        fleet.until_reported("the chunk is missing", lambda reported: reported.missing == (missing,))
        fleet.publish(topics.obj(missing), release.chunks[missing])
        agent.until_serves(5.0)
