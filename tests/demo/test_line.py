"""What is overheard on a serial line: whole messages, whatever the line does to the pieces."""

import pytest

from demo.line import Tap
from dunlin_contract import cose, keys, link
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.link import Hello, Up, UpKind
from dunlin_contract.reported import Reported
from tests.support.fake_following import DESCRIPTION


def frames(kind: UpKind, number: int, message: bytes, size: int = 100) -> list[bytes]:
    """The frames of one message."""
    pieces = [(at, message[at : at + size]) for at in range(0, len(message), size)]
    return [link.encode(Up(kind, number, at, len(message), piece).to_body()) for at, piece in pieces]


def report(key: keys.PrivateKey, number: int) -> bytes:
    said = Reported(
        epoch=1,
        seq=1,
        boot_nonce=bytes(16),
        models={},
        device=DESCRIPTION,
        number=number,
        uptime_s=1,
        time_s=0,
        agent_version="1",
        root_version=1,
    )
    return cose.sign1(said.to_bytes(), key, Role.REPORTED)


def test_messages_come_together_again() -> None:
    tap, first, second = Tap(), bytes(range(250)), bytes(range(250, 0, -1))
    one, two, three = frames(UpKind.REPORTED, 1, first)
    stream = [one, b"noise", b"\0", two, one[:40], b"\0", two, three, *frames(UpKind.EVENTS, 2, second)]
    data = link.encode(Hello(True, bytes(16), "lamp-4").to_body()) + b"".join(stream)
    for at in range(0, len(data), 7):  # wherever pieces of a stream begin and end
        tap.hear(data[at : at + 7])
    assert tap.messages[UpKind.REPORTED] == [first]
    assert tap.messages[UpKind.EVENTS] == [second]


def test_a_message_that_is_cut_off_or_repeated_counts_once() -> None:
    tap, cut, whole = Tap(), bytes(200), bytes(range(201))
    tap.hear(frames(UpKind.REPORTED, 1, cut)[0])  # and then power failed
    for _ in range(2):
        tap.hear(b"".join(frames(UpKind.REPORTED, 1, whole)))
    assert tap.messages[UpKind.REPORTED] == [whole]


def test_what_another_key_signed_is_noticed() -> None:
    tap, key, other = Tap(), keys.generate(), keys.generate()
    tap.hear(b"".join(frames(UpKind.REPORTED, 1, report(key, 4)) + frames(UpKind.REPORTED, 2, report(key, 5))))
    assert tap.signed(keys.spki(key)) == ([4, 5], 0)
    tap.hear(b"".join(frames(UpKind.REPORTED, 3, report(other, 6))))
    with pytest.raises(ContractError):
        tap.signed(keys.spki(key))
