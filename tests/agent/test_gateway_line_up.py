"""A child's messages up its line: in pieces, once each, and got only when the broker has them."""

import random

from dunlin_contract.link import Got, Hello, UpKind
from fleet_agent.gateway.uplink import BURST, DENIED_PAUSE_S
from tests.agent.gateway_line_parts import Bench, pieces


def test_a_message_goes_to_the_broker_when_it_is_whole_and_is_got_when_the_broker_has_it() -> None:
    bench = Bench()
    payload = random.Random(2).randbytes(1000)
    parts = pieces(payload, 7)
    assert bench.say(*parts[:-1]) == [Got(7, part.offset + len(part.data)) for part in parts[:-1]]
    assert bench.hands == []
    assert bench.say(parts[-1]) == [Got(7, parts[-1].offset)]
    assert [(hand.kind, hand.payload) for hand in bench.hands] == [(UpKind.EVENTS, payload)]
    assert bench.say(parts[-1]) == [Got(7, parts[-1].offset)]
    assert bench.handed() == [Got(7, 1000)]
    assert bench.say(parts[-1]) == [Got(7, 1000)]
    assert len(bench.hands) == 1


def test_pieces_out_of_order_and_repeated_say_where_to_go_on() -> None:
    bench = Bench()
    one, two, three = pieces(bytes(range(200)) * 3, 7)
    assert bench.say(three, two) == [Got(7, 0), Got(7, 0)]
    assert bench.say(one, one, three) == [Got(7, 240)] * 3
    assert bench.say(two, two) == [Got(7, 480)] * 2
    bench.say(three)
    assert bench.hands[0].payload == bytes(range(200)) * 3


def test_a_new_id_drops_the_unfinished_one() -> None:
    bench = Bench()
    bench.say(*pieces(bytes(600), 1)[:2])
    bench.say(*pieces(b"whole", 2))
    assert bench.hands[0].payload == b"whole"


def test_an_answer_of_the_broker_to_an_older_message_confirms_nothing() -> None:
    bench = Bench()
    bench.say(*pieces(b"one", 1))
    first = bench.hands[0].number
    bench.say(*pieces(b"two", 1, UpKind.REPORTED))
    assert bench.did(bench.line.handed(first, True, bench.now)) == []
    assert bench.handed() == [Got(1, 3)]


def test_a_reset_forgets_a_message_so_that_its_number_can_come_again() -> None:
    bench = Bench()
    bench.say(*pieces(b"one", 1))
    bench.handed()
    bench.say(Hello(True, bytes([1]) * 16, "mcu-1"))
    bench.say(*pieces(b"two", 1))
    assert [hand.payload for hand in bench.hands] == [b"one", b"two"]


def test_without_a_broker_a_message_waits_and_what_was_on_its_way_goes_again() -> None:
    bench = Bench(connected=False)
    bench.say(*pieces(b"one", 1))
    assert bench.hands == []
    bench.did(bench.line.connected(True, bench.now))
    assert len(bench.hands) == 1
    bench.did(bench.line.connected(False, bench.now))
    bench.did(bench.line.connected(True, bench.now))
    assert [hand.payload for hand in bench.hands] == [b"one", b"one"]
    assert bench.handed() == [Got(1, 3)]


def test_a_refused_publish_is_tried_again_later_and_never_confirmed() -> None:
    bench = Bench()
    bench.say(*pieces(b"one", 1))
    assert bench.handed(False) == []
    assert bench.say(*pieces(b"one", 1)) == [Got(1, 0)]
    assert len(bench.hands) == 1
    bench.wait(DENIED_PAUSE_S)
    assert len(bench.hands) == 2


def test_a_child_that_says_too_much_waits_and_loses_nothing() -> None:
    bench = Bench()
    for number in range(BURST):
        bench.say(*pieces(b"x", number))
        assert bench.handed() == [Got(number, 1)]
    assert bench.say(*pieces(b"more", 5000)) == [Got(5000, 0)]
    assert len(bench.hands) == BURST
    bench.wait(1.01)
    assert bench.hands[-1].payload == b"more"
    assert bench.handed() == [Got(5000, 4)]
    assert [note for note in bench.notes if "a second" in note] == [
        "mcu-1 says more than one message a second: it has to wait"
    ]
