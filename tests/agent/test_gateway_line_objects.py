"""Objects that a child asks for on its line: in pieces, later, or not at all."""

import hashlib
import random

import pytest

from dunlin_contract import link
from dunlin_contract.link import Data, Get, Nothing
from fleet_agent.gateway import line as lines
from tests.agent.gateway_line_parts import NAMES, Bench


def test_an_object_that_is_here_comes_in_pieces_in_order() -> None:
    bench = Bench()
    data = random.Random(1).randbytes(3000)
    bench.objects[NAMES[0]] = data
    got = b""
    for offset in range(0, len(data), link.GET_BYTES):
        for answer in bench.say(Get(NAMES[0], offset, link.GET_BYTES)):
            assert isinstance(answer, Data)
            assert (answer.prefix, answer.offset) == (NAMES[0][:8], len(got))
            got += answer.data
    assert got == data
    assert bench.line.sent_bytes == len(data)


@pytest.mark.parametrize("offset", [3000, 3001, 2**32 - 1])
def test_at_and_beyond_the_end_there_is_one_piece_without_bytes(offset: int) -> None:
    bench = Bench()
    bench.objects[NAMES[0]] = bytes(3000)
    assert bench.say(Get(NAMES[0], offset, 1)) == [Data(NAMES[0][:8], offset, b"")]


def test_a_get_waits_for_its_object_and_is_answered_as_soon_as_that_comes() -> None:
    bench = Bench()
    assert bench.say(Get(NAMES[0], 5, 10)) == []
    assert bench.line.wanted == [NAMES[0]]
    bench.wait(0.5)
    assert bench.arrive(NAMES[0], b"0123456789" * 3) == [Data(NAMES[0][:8], 5, b"5678901234")]
    assert bench.line.wanted == []
    assert bench.wait(60) == []


def test_none_after_a_second_and_forgotten_when_it_is_not_asked_for_again() -> None:
    bench = Bench()
    bench.say(Get(NAMES[0], 0, 10))
    assert bench.wait(lines.HOLD_S) == [Nothing(NAMES[0][:8])]
    assert bench.line.wanted == [NAMES[0]]
    bench.wait(lines.FORGET_S - lines.HOLD_S - 0.5)
    bench.say(Get(NAMES[0], 0, 10))
    assert bench.wait(lines.HOLD_S) == [Nothing(NAMES[0][:8])]
    assert bench.line.wanted == [NAMES[0]]
    bench.wait(lines.FORGET_S)
    assert bench.line.wanted == []
    assert bench.arrive(NAMES[0], b"late") == []


def test_the_latest_get_of_a_name_is_answered() -> None:
    bench = Bench()
    bench.say(Get(NAMES[0], 0, 10), Get(NAMES[0], 2, 1))
    assert bench.arrive(NAMES[0], b"0123") == [Data(NAMES[0][:8], 2, b"2")]


def test_at_most_four_objects_are_wanted_at_a_time() -> None:
    bench = Bench()
    for name in NAMES[: lines.WANTS]:
        assert bench.say(Get(name, 0, 1)) == []
    assert bench.say(Get(NAMES[9], 0, 1)) == [Nothing(NAMES[9][:8])]
    assert bench.line.wanted == NAMES[: lines.WANTS]
    bench.arrive(NAMES[0], b"x")
    assert bench.say(Get(NAMES[9], 0, 1)) == []
    assert len(bench.line.wanted) == lines.WANTS


def test_an_object_larger_than_an_index_page_is_none() -> None:
    bench = Bench()
    bench.say(Get(NAMES[0], 0, 1))
    assert bench.arrive(NAMES[0], bytes(lines.OBJECT_BYTES + 1)) == [Nothing(NAMES[0][:8])]


def test_a_child_cannot_make_the_gateway_fetch_much_more_than_it_reads() -> None:
    bench = Bench()
    fetched = 0
    for number in range(1000):
        name = hashlib.sha256(bytes([number % 256, number // 256])).digest()
        bench.say(Get(name, 0, 1))
        if name in bench.line.wanted:
            bench.arrive(name, bytes(lines.OBJECT_BYTES))
            fetched += lines.OBJECT_BYTES
    assert fetched <= 2 * 8 * lines.OBJECT_BYTES
    assert any("asks for much more than it reads" in note for note in bench.notes)


def test_a_child_that_reads_what_it_asks_for_is_never_held_back() -> None:
    bench = Bench()
    chunk = bytes(4112)
    for number in range(2000):
        name = hashlib.sha256(bytes([number % 256, number // 256])).digest()
        assert bench.say(Get(name, 0, 1024)) == []
        bench.arrive(name, chunk)
        bench.objects[name] = chunk
        for offset in range(1024, len(chunk), 1024):
            bench.say(Get(name, offset, 1024))
    assert bench.line.sent_bytes == 2000 * len(chunk)
