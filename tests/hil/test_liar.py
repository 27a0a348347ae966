"""The line in between: what it carries, what it tells, and each lie."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from dunlin_contract import link
from hil.liar import Liar
from hil.lies import Corrupt, Reorder, Stop, Withhold, noise

NAME = bytes(range(32))
PREFIX = NAME[: link.PREFIX_BYTES]
NONCE = bytes(16)


class Line:
    """Both ends of a liar's line."""

    def __init__(self) -> None:
        self.liar = Liar()
        self._board_side = socket.create_server(("127.0.0.1", 0))
        self.liar.connect(f"socket://127.0.0.1:{self._board_side.getsockname()[1]}")
        port = int(self.liar.address.rpartition(":")[2])
        self.gateway = socket.create_connection(("127.0.0.1", port))
        self.board, _ = self._board_side.accept()
        self._decoders = {self.gateway: link.Decoder(), self.board: link.Decoder()}
        for one in (self.gateway, self.board):
            one.settimeout(20)

    def say(self, end: socket.socket, *messages: link.Message) -> None:
        end.sendall(b"".join(link.encode(one.to_body()) for one in messages))

    def hear(self, end: socket.socket, count: int) -> list[link.Message]:
        found: list[link.Message] = []
        while len(found) < count:
            data = end.recv(4096)
            assert data
            found += [link.parse(body) for body in self._decoders[end].feed(data)]
        return found

    def close(self) -> None:
        self.liar.close()
        for one in (self.gateway, self.board, self._board_side):
            one.close()


@pytest.fixture
def line() -> Iterator[Line]:
    with closing(Line()) as line:
        yield line


def data(number: int) -> link.Data:
    return link.Data(PREFIX, number, bytes([number]) * 3)


def test_the_truth_goes_both_ways(line: Line) -> None:
    hello, welcome = link.Hello(False, NONCE, ""), link.Welcome("gateway")
    line.say(line.board, hello)
    assert line.hear(line.gateway, 1) == [hello]
    line.say(line.gateway, welcome)
    assert line.hear(line.board, 1) == [welcome]
    assert line.liar.heard.hellos == [hello]


def test_what_is_no_frame_goes_through_as_it_is(line: Line) -> None:
    line.board.sendall(b"\x07noise\x00")
    assert line.gateway.recv(100) == b"\x07noise\x00"


def test_an_offered_message_is_overheard(line: Line) -> None:
    content = b"abcdef"
    name = hashlib.sha256(content).digest()
    offer = link.Offer(link.OfferKind.DESIRED, len(content), name)
    line.say(line.gateway, offer, *(link.Data(name[:8], at, content[at : at + 3]) for at in (0, 3)))
    line.hear(line.board, 3)
    assert line.liar.said(link.OfferKind.DESIRED) == content


def test_its_own_offer_is_repeated_until_it_is_taken(line: Line) -> None:
    message = b"forged"
    taken: list[bool] = []
    offering = threading.Thread(target=lambda: taken.append(line.liar.offer(link.OfferKind.DESIRED, message, 20)))
    offering.start()
    first, second = line.hear(line.board, 2)
    assert first == second
    assert isinstance(first, link.Offer)
    line.say(line.board, link.Get(first.name, 0, 1024))
    assert link.Data(first.name[:8], 0, message) in line.hear(line.board, 1)
    line.say(line.board, link.Took(first.name))
    offering.join()
    assert taken == [True]


def test_corrupt(line: Line) -> None:
    line.liar.down = Corrupt([NAME], times=1)
    line.say(line.gateway, data(1), data(2))
    assert line.hear(line.board, 2) == [link.Data(PREFIX, 1, b"\x00\x01\x01"), data(2)]


def test_withhold(line: Line) -> None:
    line.liar.down = Withhold(1)
    line.say(line.gateway, data(1), data(2))
    assert line.hear(line.board, 2) == [link.Nothing(PREFIX), data(2)]


def test_reorder(line: Line) -> None:
    line.liar.down = Reorder()
    line.say(line.gateway, data(1), data(2), data(3))
    assert line.hear(line.board, 4) == [data(2), data(1), data(3), data(3)]


def test_stop(line: Line) -> None:
    stop = Stop([NAME], pieces=1)
    line.liar.down = stop
    line.say(line.gateway, data(1), data(2), link.Welcome("gateway"))
    assert line.hear(line.board, 2) == [data(1), link.Welcome("gateway")]
    assert stop.reached.is_set()


def test_noise_is_the_same_for_a_seed() -> None:
    one, other = (noise(7, lost=0.2, changed=0.2, cut=0.2, added=0.2) for _ in range(2))
    frames = [link.encode(data(number).to_body()) for number in range(100)]
    spoilt = [one(frame) for frame in frames]
    assert spoilt == [other(frame) for frame in frames]
    assert 20 < sum(a == b for a, b in zip(frames, spoilt, strict=True)) < 80


def test_the_gateway_stays_while_the_board_comes_and_goes(line: Line) -> None:
    line.board.close()
    line.board, _ = line._board_side.accept()
    line.board.settimeout(20)
    line._decoders[line.board] = link.Decoder()
    line.say(line.gateway, data(1))
    assert line.hear(line.board, 1) == [data(1)]
