"""Frames and control messages: what goes in comes out, and nothing else is taken for one."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunlin_contract.manifest import Tensor as Spec
from fleet_agent import frames, ipc
from fleet_agent.frames import DTYPES, FrameError, Image, Prediction, RequestError, Response, Status, Tensor, Timing

tensors = st.lists(
    st.builds(
        Tensor,
        name=st.text(max_size=80),
        dtype=st.sampled_from(DTYPES),
        shape=st.lists(st.integers(0, 2**32 - 1), max_size=8).map(tuple),
        data=st.binary(max_size=200),
    ),
    max_size=5,
)

nanoseconds = st.integers(0, 2**64 - 1)
timings = st.builds(
    Timing, *[nanoseconds] * 4, rows=st.integers(0, 2**32 - 1), members=st.integers(1, 2**16 - 1), leads=st.booleans()
)
predictions = st.lists(
    st.builds(Prediction, place=st.integers(0, 2**32 - 1), score=st.floats(width=32, allow_nan=False), label=st.text()),
    max_size=5,
)


def body(frame: bytes) -> memoryview:
    assert frames.LENGTH.unpack_from(frame)[0] == len(frame) - 4
    return memoryview(frame)[4:]


@given(st.integers(0, 2**32 - 1), tensors)
def test_requests_come_back_as_they_were(number: int, sent: list[Tensor]) -> None:
    request = frames.parse_request(body(frames.pack_request(number, frames.pack_tensors(sent))))
    assert (request.id, request.content) == (number, sent)


@given(st.integers(0, 2**32 - 1), st.sampled_from(frames.IMAGE_TYPES), st.integers(0, 2**16 - 1), st.binary())
def test_images_come_back_as_they_were(number: int, kind: str, top_k: int, data: bytes) -> None:
    sent = Image(kind, top_k, data)
    request = frames.parse_request(body(frames.pack_request(number, frames.pack_image(sent))))
    assert (request.id, request.content) == (number, sent)


@given(st.integers(0, 2**32 - 1), st.sampled_from(frames.SERVED), timings, tensors, predictions)
def test_answers_come_back_as_they_were(
    number: int, status: Status, timing: Timing, sent: list[Tensor], best: list[Prediction]
) -> None:
    response = frames.parse_response(body(frames.pack_served(number, status, timing, sent, best)))
    assert response == Response(number, status, timing, sent, tuple(best), "")
    assert response.run_us * timing.members * 1000 <= timing.run_ns


@given(st.text())
def test_reasons_come_back_capped(text: str) -> None:
    response = frames.parse_response(body(frames.pack_unserved(3, Status.FAILED, Timing(run_ns=9), text)))
    assert (response.id, response.status, response.timing.run_ns, response.tensors) == (3, Status.FAILED, 9, [])
    assert text.startswith(response.text.rstrip("\ufffd"))
    assert len(response.text.encode()) >= min(len(text.encode()), frames.TEXT_BYTES - 3)


@given(st.binary(max_size=300))
def test_junk_is_a_frame_error_or_a_frame(junk: bytes) -> None:
    # Also behind a head that is right, where the tensors begin.
    served = bytes(body(frames.pack_served(1, Status.SERVED, Timing(), [])))[:-3]
    requests, responses = frames.parse_request, frames.parse_response
    for parse, sent in ((requests, junk), (responses, junk), (responses, served + junk)):
        try:
            parse(memoryview(sent))
        except FrameError:
            continue


@given(tensors, st.data())
def test_a_cut_or_lengthened_frame_is_refused(sent: list[Tensor], data: st.DataObject) -> None:
    whole = bytes(body(frames.pack_request(1, frames.pack_tensors(sent))))
    with pytest.raises(FrameError):
        frames.parse_request(memoryview(whole[: data.draw(st.integers(0, len(whole) - 1))]))
    with pytest.raises(FrameError):
        frames.parse_request(memoryview(whole + b"\0"))


@given(tensors, predictions, st.data())
def test_a_cut_answer_is_refused(sent: list[Tensor], best: list[Prediction], data: st.DataObject) -> None:
    whole = bytes(body(frames.pack_served(1, Status.SERVED, Timing(), sent, best)))
    with pytest.raises(FrameError):
        frames.parse_response(memoryview(whole[: data.draw(st.integers(0, len(whole) - 1))]))


def test_a_request_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(FrameError, match="kind 2"):
        frames.parse_request(memoryview(bytes(4) + b"\2" + bytes(9)))
    with pytest.raises(FrameError, match="not a request"):
        frames.parse_request(memoryview(bytes(4) + b"\1\7" + bytes(9)))


def test_free_sizes_take_anything_but_nothing() -> None:
    spec = Spec(name="x", dtype="uint8", shape=(-1, 2))
    frames.check_inputs([spec], [Tensor("x", frames.BY_NAME["uint8"], (3, 2), bytes(6))])
    for shape in ((0, 2), (3, 3), (2,), (1, 3, 2)):
        with pytest.raises(RequestError, match="shape"):
            frames.check_inputs([spec], [Tensor("x", frames.BY_NAME["uint8"], shape, bytes(6))])


# control messages


def test_messages_keep_their_bounds_and_carry_descriptors() -> None:
    ours, theirs = ipc.pair()
    reader, writer = os.pipe()
    ipc.send(ours, {"do": "first", "blob": b"\x00" * 1000}, [writer])
    ipc.send(ours, {"do": "second", "float": 0.5, "nested": {1: [2, 3]}})
    os.close(writer)
    first, second = ipc.recv(theirs), ipc.recv(theirs)
    assert first is not None
    assert second is not None
    assert (first.body["do"], second.body, second.fds) == (
        "first",
        {"do": "second", "float": 0.5, "nested": {1: [2, 3]}},
        [],
    )
    assert not os.get_inheritable(first.fds[0])
    os.write(first.fds[0], b"through")
    ipc.close_all(first.fds)
    assert os.read(reader, 100) == b"through"
    assert os.read(reader, 100) == b""
    os.close(reader)
    ours.close()
    assert ipc.recv(theirs) is None
    theirs.close()


@pytest.mark.parametrize("junk", [b"\xff", b"\x01", b"\x80", b"\xa1\x01\x02", b"\xa1\x61a\x18\x01", bytes(70_000)])
def test_what_is_no_message_is_refused_and_its_descriptors_are_closed(junk: bytes) -> None:
    ours, theirs = ipc.pair()
    reader, writer = os.pipe()
    socket.send_fds(ours, [junk], [writer])
    os.close(writer)
    with pytest.raises(ipc.IpcError):
        ipc.recv(theirs)
    # The only writing end left was the one in the message.
    assert os.read(reader, 1) == b""
    os.close(reader)
    ours.close()
    theirs.close()


def test_more_than_a_message_may_hold_is_not_sent() -> None:
    ours, theirs = ipc.pair()
    with pytest.raises(ValueError, match="too big"):
        ipc.send(ours, {"blob": bytes(ipc.MESSAGE_BYTES)})
    with pytest.raises(ValueError, match="too big"):
        ipc.send(ours, {}, [0] * (ipc.MESSAGE_FDS + 1))
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        ipc.recv(theirs)
    ours.close()
    theirs.close()
