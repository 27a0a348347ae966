"""The link on one line, decided without a line: frames lost, repeated, out of order, cut short; bad children."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunlin_contract import link
from dunlin_contract.link import Data, Get, Got, Hello, Message, Nothing, Offer, OfferKind, Took, Up, UpKind, Welcome
from fleet_agent.gateway import line as lines
from fleet_agent.gateway.line import Effects, Line
from fleet_agent.gateway.offers import REPEAT_S
from fleet_agent.gateway.uplink import BURST, DENIED_PAUSE_S, Hand

NONCE = bytes(16)
HELLO = Hello(True, NONCE, "mcu-1")
NAMES = [bytes([n]) * 32 for n in range(20)]


class Bench:
    """A line, a clock, and what is around: objects that are here, directives, ids that may not come in."""

    def __init__(self, hello: Hello | None = HELLO, *, connected: bool = True) -> None:
        self.now = 1000.0
        self.objects: dict[bytes, bytes] = {}
        self.directives: dict[str, bytes] = {}
        self.barred: dict[str, str] = {}
        self.line = Line("gate", self)
        self.notes: list[str] = []
        self.hands: list[Hand] = []
        if connected:
            self.did(self.line.connected(True, self.now))
        if hello is not None:
            self.say(hello)

    def admit(self, device: str) -> str:
        return self.barred.get(device, "")

    def desired(self, device: str) -> bytes:
        return self.directives.get(device, b"")

    def find(self, name: bytes) -> bytes | None:
        return self.objects.get(name)

    def did(self, effects: Effects) -> list[Message]:
        """Take note of effects; returns the messages to the child."""
        self.notes += effects.notes
        self.hands += effects.hand
        return [link.parse(body) for body in effects.send]

    def say(self, *messages: Message) -> list[Message]:
        return self.did(self.line.frames([message.to_body() for message in messages], self.now))

    def wait(self, seconds: float) -> list[Message]:
        """Let time go by, stopping where the line wants to be asked."""
        end, answers = self.now + seconds, []
        while (due := self.line.next_at(self.now)) is not None and due <= end:
            self.now = max(self.now, due)
            answers += self.did(self.line.tick(self.now))
        self.now = end
        return answers

    def offer(self, kind: OfferKind, data: bytes) -> list[Message]:
        return self.did(self.line.message(kind, data, self.now))

    def arrive(self, name: bytes, data: bytes) -> list[Message]:
        return self.did(self.line.arrived(name, data, self.now))

    def handed(self, ok: bool = True) -> list[Message]:
        return self.did(self.line.handed(self.hands[-1].number, ok, self.now))


def pieces(payload: bytes, number: int = 1, kind: UpKind = UpKind.EVENTS) -> list[Up]:
    size = link.PIECE_BYTES
    return [Up(kind, number, at, len(payload), payload[at : at + size]) for at in range(0, len(payload), size)]


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


# Objects.


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


# Offers.


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


# Messages up.


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
