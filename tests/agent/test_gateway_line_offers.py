"""What is offered to a child on its line, until it is taken, replaced or taken back."""

import hashlib

from dunlin_contract import link
from dunlin_contract.link import Data, Get, Hello, Nothing, Offer, OfferKind, Took, Welcome
from fleet_agent.gateway import line as lines
from fleet_agent.gateway.offers import REPEAT_S
from tests.agent.gateway_line_parts import HELLO, NONCE, Bench


def test_an_offer_is_repeated_until_it_is_taken_and_its_bytes_are_there() -> None:
    bench = Bench()
    data = b"directive" * 100
    name = hashlib.sha256(data).digest()
    offer = Offer(OfferKind.DESIRED, len(data), name)
    assert bench.offer(OfferKind.DESIRED, data) == [offer]
    assert bench.wait(REPEAT_S * 2 + 0.1) == [offer, offer]
    assert bench.say(Get(name, 890, 1024)) == [Data(name[:8], 890, data[890:])]
    bench.say(Took(name))
    assert bench.wait(lines.SILENCE_S / 2) == []
    assert bench.say(Get(name, 890, 1024)) == [Data(name[:8], 890, data[890:])]


def test_the_latest_of_a_kind_replaces_the_one_before_and_an_empty_one_takes_it_back() -> None:
    bench = Bench()
    bench.offer(OfferKind.DESIRED, b"old")
    bench.offer(OfferKind.DESIRED, b"new")
    old, new = hashlib.sha256(b"old").digest(), hashlib.sha256(b"new").digest()
    assert bench.wait(REPEAT_S) == [Offer(OfferKind.DESIRED, 3, new)]
    bench.say(Took(old))
    assert bench.wait(REPEAT_S) == [Offer(OfferKind.DESIRED, 3, new)]
    assert bench.offer(OfferKind.DESIRED, b"") == []
    assert bench.wait(REPEAT_S) == []


def test_a_reset_is_offered_everything_again_and_a_silent_child_nothing() -> None:
    bench = Bench()
    bench.offer(OfferKind.DESIRED, b"one")
    name = hashlib.sha256(b"one").digest()
    bench.say(Took(name))
    assert bench.say(HELLO) == [Welcome("gate")]
    again = Hello(True, bytes([1]) * 16, "mcu-1")
    assert bench.say(again) == [Welcome("gate"), Offer(OfferKind.DESIRED, 3, name)]
    bench.wait(lines.SILENCE_S)
    assert bench.wait(60) == []
    assert bench.offer(OfferKind.ACK, b"ack") == []
    answers = bench.say(again)
    assert Offer(OfferKind.ACK, 3, hashlib.sha256(b"ack").digest()) in answers


def test_a_child_that_comes_back_gets_the_retained_directive() -> None:
    bench = Bench(None)
    bench.directives["mcu-1"] = b"kept"
    assert Offer(OfferKind.DESIRED, 4, hashlib.sha256(b"kept").digest()) in bench.say(HELLO)


def test_what_was_offered_to_one_child_is_not_there_for_the_next_on_the_line() -> None:
    bench = Bench()
    bench.offer(OfferKind.ENROL, b"reply")
    name = hashlib.sha256(b"reply").digest()
    bench.say(Hello(True, NONCE, "mcu-2"))
    assert bench.say(Get(name, 0, 5)) == []
    assert bench.wait(lines.HOLD_S) == [Nothing(name[:8])]


def test_a_directive_waits_until_its_child_says_that_it_is_enrolled() -> None:
    bench = Bench(Hello(False, NONCE, "mcu-1"))
    assert bench.offer(OfferKind.DESIRED, b"first") == []
    reply = Offer(OfferKind.ENROL, 5, hashlib.sha256(b"reply").digest())
    assert bench.offer(OfferKind.ENROL, b"reply") == [reply]
    assert bench.say(Took(reply.name)) == []
    assert bench.say(HELLO) == [Welcome("gate"), Offer(OfferKind.DESIRED, 5, hashlib.sha256(b"first").digest())]


def test_a_claim_is_offered_to_a_child_that_is_not_enrolled_until_it_is_taken_back() -> None:
    claim = link.Claim("mcu-1", "dunlin1-secret")
    data = claim.to_bytes()
    name = hashlib.sha256(data).digest()
    bench = Bench()
    assert bench.did(bench.line.claim(data, bench.now)) == []
    assert bench.wait(REPEAT_S) == []
    bench = Bench(Hello(False, NONCE, ""))
    offer = Offer(OfferKind.CLAIM, len(data), name)
    assert bench.did(bench.line.claim(data, bench.now)) == [offer]
    bench.say(Took(name))
    # It lost power before it had written the claim down.
    assert bench.say(Hello(False, bytes([1]) * 16, "")) == [Welcome("gate"), offer]
    bench.did(bench.line.claim(b"", bench.now))
    assert bench.say(Get(name, 0, 100)) == [Nothing(name[:8])]
    assert "secret" not in repr(vars(bench.line)["_offers"].__dict__) + repr(claim)
