"""Damaged, forged, stale and foreign input over the real broker: refused, told, and the serving release untouched."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dunlin_contract import cose, keys, topics
from dunlin_contract.cose import Role
from dunlin_contract.directive import Directive
from fleet_agent.paths import Paths
from tests.agent.fleet import Agent, Fleet, commit, flipped, sha256, until


@pytest.fixture(name="serving")
def _serving(fleet: Fleet) -> Iterator[tuple[Fleet, Agent]]:
    """A device that serves release 1.0 (y = x + 1)."""
    with Agent(fleet) as agent:
        commit(fleet, agent, fleet.release(1.0, counter=3), 1.0)
        yield fleet, agent
        assert agent.infer() == 1.0, "the serving release was touched"


def test_a_flipped_byte_in_a_chunk_is_dropped_and_the_chunk_fetched_again(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    bad = next(iter(one.chunks))
    fleet.mangle = lambda name, data: flipped(data) if name == bad else data
    with Agent(fleet) as agent:
        fleet.offer(one)
        fleet.desire(one)
        fleet.until_event("object-corrupt")
        assert agent.infer() is None
        fleet.mangle = lambda _, data: data
        fleet.publish_object(bad, one.chunks[bad])
        agent.until_serves(1.0)


def test_a_flipped_byte_in_a_manifest_object_is_dropped_too(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    name = sha256(one.envelope)
    fleet.mangle = lambda this, data: flipped(data) if this == name else data
    with Agent(fleet) as agent:
        fleet.offer(one)
        fleet.desire(one)
        fleet.until_event("object-corrupt")
        fleet.mangle = lambda _, data: data
        fleet.publish_object(name, one.envelope)
        agent.until_serves(1.0)


def test_a_manifest_whose_signature_does_not_hold_is_refused(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    two = fleet.release(2.0, version="2.0.0", counter=4)
    two = replace(two, envelope=flipped(two.envelope))
    fleet.offer(two)
    fleet.desire(two)
    assert fleet.until_phase("refused", two).error_code == "signature"


def test_a_release_by_an_unknown_key_is_refused(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    two = fleet.release(2.0, version="2.0.0", counter=4, signer=keys.generate())
    fleet.offer(two)
    fleet.desire(two)
    assert fleet.until_phase("refused", two).error_code == "signer-unknown"


def test_the_director_cannot_sign_releases(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    two = fleet.release(2.0, version="2.0.0", counter=4, signer=fleet.signers.director)
    fleet.offer(two)
    fleet.desire(two)
    assert fleet.until_phase("refused", two).error_code == "signer-unknown"


def test_a_flipped_byte_in_a_grant_is_refused(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    two = fleet.release(2.0, version="2.0.0", counter=4)
    fleet.offer(two)
    fleet.desire(two, grants={"adder": flipped(fleet.grant(two))})
    assert fleet.until_phase("refused", two).error_code == "grant-open"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"counter": 1}, "floor"),
        ({"runtime": "tensorrt"}, "no-variant"),
        ({"not_after": int(time.time()) - 3600}, "manifest-time"),
    ],
)
def test_a_genuine_release_that_must_not_run_here_is_refused(
    serving: tuple[Fleet, Agent], changes: dict, code: str
) -> None:
    fleet, _ = serving
    two = fleet.release(2.0, version="2.0.0", **({"counter": 4} | changes))
    fleet.offer(two)
    fleet.desire(two, floor=3)
    model = fleet.until_phase("refused", two)
    assert model.error_code == code
    if code == "no-variant":
        assert model.rejected[0].reasons == ("runtime tensorrt is not installed",)


def test_a_removed_model_comes_back_with_its_floor(fleet: Fleet) -> None:
    """Else a director's key alone could remove a model and then desire an old release of it."""
    one, old = fleet.release(1.0, counter=4), fleet.release(2.0, version="0.9.0", counter=2)
    with Agent(fleet) as agent:
        fleet.offer(one, old)
        fleet.desire(one, floor=3)
        agent.until_serves(1.0)
        fleet.desire()
        fleet.until_event("model-removed")
        fleet.desire(old)
        assert fleet.until_phase("refused", old).error_code == "floor"


def test_another_models_release_under_this_models_name_is_refused(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    other = replace(fleet.release(2.0, name="other", counter=4), name="adder")
    fleet.offer(other)
    fleet.desire(other)
    assert fleet.until_phase("refused", other).error_code == "release"


def _refused(fleet: Fleet, code: str) -> None:
    before = fleet.reported[-1].seq
    fleet.until_event("directive-refused", code)
    assert fleet.reported[-1].seq == before


def test_a_flipped_byte_in_a_directive(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    fleet.publish(fleet.address.down("desired"), flipped(fleet.desire(publish=False)))
    _refused(fleet, "signature")


def test_a_second_directive_with_the_same_number(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    fleet.desire(seq=fleet.seq)  # removes every model, were it followed
    _refused(fleet, "equivocation")


def test_a_replayed_older_directive(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        fleet.offer(one, two)
        older = fleet.desire(one)
        agent.until_serves(1.0)
        fleet.desire(two)
        agent.until_serves(2.0)
        fleet.publish(fleet.address.down("desired"), older)
        _refused(fleet, "sequence")
        assert agent.infer() == 2.0


@pytest.mark.parametrize("signer", ["release", "stranger"])
def test_a_directive_by_somebody_else(serving: tuple[Fleet, Agent], signer: str) -> None:
    fleet, _ = serving
    fleet.desire(signer=fleet.signers.release if signer == "release" else keys.generate())
    _refused(fleet, "signer-unknown")


def test_a_directive_for_another_device(serving: tuple[Fleet, Agent]) -> None:
    fleet, _ = serving
    now = int(time.time())
    directive = Directive(device="dev-2", epoch=0, seq=50, issued=now, expires=now + 60, desired={})
    envelope = cose.sign1(directive.to_bytes(), fleet.signers.director, Role.DIRECTIVE)
    fleet.publish(fleet.address.down("desired"), envelope)
    _refused(fleet, "device")


def test_an_expired_directive_only_counts_when_it_answers_this_boot(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(two)
        old = int(time.time()) - 9000
        fleet.desire(two, issued=old, lifetime=60)
        _refused(fleet, "freshness")
        fleet.desire(two, issued=old, lifetime=60, nonce=fleet.reported[-1].boot_nonce)
        agent.until_serves(2.0)


def test_an_acknowledgement_by_somebody_else_forgets_nothing(fleet: Fleet) -> None:
    fleet.acking = False
    with Agent(fleet) as agent:
        event = fleet.until_event("boot")
        fleet.ack(event, signer=fleet.signers.release)
        until(lambda: "an acknowledgement was refused" in agent.text(), "the forged one is refused")
    count = len(fleet.events)
    fleet.acking = True
    with Agent(fleet):
        until(lambda: [one.n for one in fleet.events[count:]][:1] == [event.n], "the event comes again")


def test_events_come_again_until_they_are_acknowledged_and_then_never(fleet: Fleet) -> None:
    fleet.acking = False
    with Agent(fleet):
        fleet.until_event("boot")
    with Agent(fleet):
        until(lambda: [one.n for one in fleet.events] == [1, 1, 2], "both are sent, the oldest first")
        fleet.ack(fleet.events[-1])
        until(lambda: _events(fleet) == 0, "the journal is empty")
    with Agent(fleet):
        until(lambda: fleet.events[-1].n == 3, "only the new one")
    assert [one.n for one in fleet.events] == [1, 1, 2, 3]
    assert len({one.stream for one in fleet.events}) == 1


def _events(fleet: Fleet) -> int:
    from fleet_agent.journal import Journal

    return Journal.glance(Paths(fleet.state).journal).event_count()


def test_empty_messages_mean_nothing(fleet: Fleet) -> None:
    two = fleet.release(2.0)
    with Agent(fleet) as agent:
        fleet.desire(two)
        fleet.until_reported("it lacks something", lambda reported: len(reported.missing) > 0)
        for name in two.objects:
            fleet.publish(topics.obj(name), b"")
        fleet.publish(fleet.address.down("desired"), b"")
        fleet.publish(fleet.address.down("ack"), b"", retain=False)
        fleet.offer(two)
        agent.until_serves(2.0)
        fleet.until_reported("nothing is missing", lambda reported: not reported.missing)
        assert not [one for one in fleet.events if one.kind in {"object-corrupt", "directive-refused"}]
