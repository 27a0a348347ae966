"""The link on one line, decided without a line: who is there, who is not served, and noise."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dunlin_contract import link
from dunlin_contract.link import Data, Get, Got, Hello, Nothing, Took, Welcome
from fleet_agent.gateway import line as lines
from tests.agent.gateway_line_parts import HELLO, NAMES, NONCE, Bench, pieces

# Who is there.


def test_a_child_is_welcomed_each_time_it_says_hello_and_silence_makes_it_offline() -> None:
    bench = Bench(None)
    assert bench.say(HELLO) == [Welcome("gate")]
    assert (bench.line.device, bench.line.online, bench.line.enrolled) == ("mcu-1", True, True)
    bench.wait(lines.SILENCE_S - 1)
    assert bench.say(HELLO) == [Welcome("gate")]
    bench.wait(lines.SILENCE_S - 1)
    assert bench.line.online
    bench.wait(1)
    assert (bench.line.device, bench.line.online) == ("mcu-1", False)
    bench.say(Took(NAMES[0]))
    assert bench.line.online
    assert bench.notes == ["mcu-1 answers", "mcu-1 is silent", "mcu-1 answers"]


def test_nobody_is_heard_before_hello_nor_after_the_line_was_closed() -> None:
    bench = Bench(None)
    rest = [Get(NAMES[0], 0, 10), Took(NAMES[0]), *pieces(b"x")]
    assert bench.say(*rest) == []
    bench.say(HELLO)
    assert bench.line.closed().changed
    assert bench.say(*rest) == []
    assert bench.hands == []


def test_a_child_without_an_id_can_only_take_offers() -> None:
    bench = Bench(Hello(False, NONCE, ""))
    assert bench.say(*pieces(b"x")) == []
    assert bench.say(Get(NAMES[0], 0, 10)) == [Nothing(NAMES[0][:8])]
    assert bench.line.wanted == []


def test_an_id_that_may_not_be_here_gets_no_answer_and_one_line_in_the_log() -> None:
    bench = Bench()
    bench.barred["mcu-2"] = "mcu-2 is alive on another line"
    liar = Hello(True, NONCE, "mcu-2")
    for _ in range(3):
        assert bench.say(liar, *pieces(b"x"), Get(NAMES[0], 0, 9)) == []
    assert [note for note in bench.notes if "alive" in note] == [
        "whoever is on the line is not served: mcu-2 is alive on another line"
    ]
    assert (bench.line.device, bench.hands) == ("", [])
    bench.barred.clear()
    assert bench.say(liar) == [Welcome("gate")]
    assert bench.line.refused == ""


def test_another_version_of_the_link_is_named() -> None:
    bench = Bench(None)
    body = bytearray(HELLO.to_body())
    body[1] = 9
    bench.did(bench.line.frames([bytes(body)], bench.now))
    assert "link version 9 is not 1" in bench.line.refused


def test_a_line_that_returns_our_own_words_is_counted_and_not_answered() -> None:
    bench = Bench()
    assert bench.say(Welcome("gate"), Data(bytes(8), 0, b"x"), Nothing(bytes(8)), Got(1, 1)) == []
    assert bench.line.errors == 4


def test_a_child_that_changes_its_name_all_the_time_does_not_fill_the_log() -> None:
    bench = Bench()
    for number in range(1000):
        bench.say(Hello(True, NONCE, f"mcu-{number}"))
    assert len(bench.notes) < 40


# Noise.


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([b"\0", HELLO.to_body(), b"\x02" * 39])), max_size=60)
)
@settings(deadline=None)
def test_whatever_comes_a_line_stays_small_and_goes_on(blocks: list[bytes]) -> None:
    bench = Bench(None)
    decoder = link.Decoder()
    sent = 0
    for block in blocks:
        effects = bench.line.frames([block, *decoder.feed(block), *decoder.feed(link.encode(block or b"x"))], bench.now)
        sent = len(effects.send)
        bench.did(effects)
        bench.wait(0.5)
        assert len(bench.line.wanted) <= lines.WANTS
        assert sent <= 20
    bench.line.closed()
    assert bench.say(HELLO) == [Welcome("gate")]


@given(
    payload=st.binary(min_size=1, max_size=link.UP_BYTES),
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.6),
)
@settings(deadline=None, max_examples=50)
def test_a_message_comes_whole_over_a_line_that_loses_repeats_and_reorders(
    payload: bytes, seed: int, loss: float
) -> None:
    chance = random.Random(seed)
    bench = Bench()
    parts = pieces(payload, 3)
    base = 0
    for _ in range(3000):
        window = [part for part in parts if base <= part.offset < base + link.WINDOW_BYTES]
        through = [part for part in window if chance.random() >= loss]
        through += [part for part in through if chance.random() < 0.2]
        chance.shuffle(through)
        answers = bench.say(HELLO, *through)
        if bench.hands:
            answers += bench.handed()
        bench.wait(1)
        heard = [answer.next for answer in answers if isinstance(answer, Got) and chance.random() >= loss]
        base = max([base, *heard])
        if base == len(payload):
            break
    assert base == len(payload)
    assert {hand.payload for hand in bench.hands} == {payload}


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_a_damaged_stream_costs_frames_and_nothing_else(data: st.DataObject) -> None:
    """Bits flipped, bytes lost and added on the line itself: what is handed over is what was said."""
    bench = Bench()
    decoder = link.Decoder()
    payload = data.draw(st.binary(min_size=1, max_size=2000))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(500):
        for part in pieces(payload, 3):
            frame = bytearray(link.encode(part.to_body()))
            fate = chance.randrange(8)
            if fate == 0:
                frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            elif fate == 1:
                del frame[chance.randrange(len(frame))]
            elif fate == 2:
                frame.insert(chance.randrange(len(frame)), chance.randrange(256))
            elif fate == 3:
                frame = frame[: chance.randrange(len(frame))]
            bench.did(bench.line.frames(decoder.feed(bytes(frame)), bench.now))
        if bench.hands:
            break
    assert [hand.payload for hand in bench.hands] == [payload]
