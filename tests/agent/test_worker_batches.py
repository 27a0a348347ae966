"""Requests that wait together run together, and nobody can tell from the answers."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from fleet_agent import frames
from fleet_agent.frames import Image, Response, Status, Tensor
from fleet_agent.runtimes.errors import ModelRunError
from fleet_agent.worker.model import Model
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, LOOK_UP_IO, WIDE, WIDE_IO
from tests.agent.local_api_parts import Worker
from tests.agent.test_worker import data_socket, golden, receive, tensor

ROW = np.array([[1, 2, 3, 4]], "float32")
SAMPLES = (ROW, ROW * 2), (ROW * 3, ROW * 6)
"""Their outputs do not matter here: what counts is that stacked and single runs agree."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def adder(worker: Worker, tmp_path: Path) -> Worker:
    worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ADD_IO)
    return worker


def row(value: float, rows: int = 1) -> Tensor:
    return tensor("x", np.full((rows, 4), value, "float32"))


def together(worker: Worker, *contents: Sequence[Tensor] | Image) -> list[Response]:
    """Send all requests in one piece, so that they wait together; answers in the order in which they came."""
    packed = [frames.pack_image(one) if isinstance(one, Image) else frames.pack_tensors(one) for one in contents]
    sock = data_socket(worker)
    sock.sendall(b"".join(frames.pack_request(number, one) for number, one in enumerate(packed)))
    answers = [receive(sock) for _ in packed]
    assert [answer.id for answer in answers] == list(range(len(packed)))
    return answers


def values(response: Response) -> list[float]:
    return np.frombuffer(response.tensors[0].data, "float32").tolist()


def test_requests_that_wait_run_as_one_and_each_gets_its_own_rows(adder: Worker) -> None:
    assert adder.batch(golden(*SAMPLES), 16) == 16
    answers = together(adder, [row(1)], [row(2, rows=3)], [row(3)])
    assert [values(answer) for answer in answers] == [[3.0] * 4, [4.0] * 12, [5.0] * 4]
    assert [answer.tensors[0].shape for answer in answers] == [(1, 4), (3, 4), (1, 4)]
    assert [(answer.timing.rows, answer.timing.members) for answer in answers] == [(5, 3)] * 3
    assert [answer.timing.leads for answer in answers] == [True, False, False]
    # One run, one time: it is counted for each, and its share is what a budget is held against.
    assert len({answer.timing.run_ns for answer in answers}) == 1
    assert answers[0].run_us == answers[0].timing.run_ns // 3000


def test_a_batch_has_as_many_rows_as_were_allowed(adder: Worker) -> None:
    adder.batch(golden(*SAMPLES), 4)
    answers = together(adder, *[[row(n)] for n in range(10)])
    assert [values(answer) for answer in answers] == [[n + 2.0] * 4 for n in range(10)]
    # The first may have been read before the others came.
    assert max(answer.timing.members for answer in answers) == 4
    assert sum(answer.timing.leads for answer in answers) in {3, 4}


def test_rows_are_counted_not_requests(adder: Worker) -> None:
    adder.batch(golden(*SAMPLES), 4)
    answers = together(adder, *[[row(n, rows=3)] for n in range(4)])
    assert [(answer.timing.rows, answer.timing.members) for answer in answers] == [(3, 1)] * 4
    assert [values(answer) for answer in answers] == [[n + 2.0] * 12 for n in range(4)]


def test_a_run_with_too_few_rows_is_nobodys_answer() -> None:
    class Lies:
        runs_on, note, maps = "cpu", "", False

        def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
            return [inputs[0][:-1]]

    with pytest.raises(ModelRunError, match=r"came as \[2, 4\] for 3 rows"):
        Model(Lies(), ADD_IO).infer_together([[row(1)], [row(2, rows=2)]])


def test_what_cannot_run_with_others_runs_alone_and_in_its_turn(adder: Worker) -> None:
    adder.batch(golden(*SAMPLES), 8)
    wrong = tensor("x", np.zeros((1, 5), "float32"))
    picture = Image("image/png", 0, b"no picture")
    answers = together(adder, [row(1)], [row(2)], [wrong], [row(3)], picture, [row(4, rows=50)], [row(5)], [row(6)])
    served, refused = Status.SERVED, Status.REFUSED
    assert [one.status for one in answers] == [served, served, refused, served, refused, served, served, served]
    assert [one.timing.members for one in answers if one.status is served] == [2, 2, 1, 1, 2, 2]
    assert [values(one)[0] for one in answers if one.status is served] == [3, 4, 5, 6, 7, 8]


def test_one_bad_request_does_not_take_the_others_with_it(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.look_up(tmp_path / "m"), "onnxruntime", LOOK_UP_IO)
    place = lambda n: [tensor("n", np.array([[n]], "int64"))]  # noqa: E731
    pairs = [(np.array([[n]], "int64"), np.array([[n]], "float32")) for n in (0, 1)]
    assert worker.batch(golden(*pairs, names=("n", "y")), 16) == 16
    good, bad, last = together(worker, place(3), place(99), place(5))
    assert (good.status, bad.status, last.status) == (Status.SERVED, Status.FAILED, Status.SERVED)
    assert (values(good), values(last)) == ([30.0], [50.0])
    # The run that failed is nobody's: each was run alone after it.
    assert (good.timing.members, last.timing.members) == (1, 1)


def test_a_nan_of_the_models_own_making_is_told_of_its_request_only(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.log(tmp_path / "m"), "onnxruntime", ADD_IO)
    assert worker.batch(golden(*SAMPLES), 16) == 16
    answers = together(worker, [row(1)], [row(-1)], [row(float("nan"))], [row(2)])
    assert [one.status for one in answers] == [Status.SERVED, Status.NONFINITE, Status.SERVED, Status.SERVED]
    assert [one.timing.members for one in answers] == [4] * 4


def test_nothing_runs_together_before_samples_have_shown_that_it_may(adder: Worker) -> None:
    assert {answer.timing.members for answer in together(adder, [row(1)], [row(2)], [row(3)])} == {1}


@pytest.mark.parametrize(
    "make",
    [models.share_of_column, models.sum_of_rows],
    ids=["rows change each other", "not a row for each row"],
)
def test_a_free_first_size_that_is_not_one_of_rows_is_found_out(
    worker: Worker, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    worker.load(make(tmp_path / "m"), "onnxruntime", ADD_IO)
    assert worker.batch(golden(*SAMPLES), 16) == 1
    assert {answer.timing.members for answer in together(worker, [row(1)], [row(2)])} == {1}


@pytest.mark.parametrize("pairs", [SAMPLES[:1], SAMPLES[:1] * 3], ids=["one", "three times the same"])
def test_samples_that_cannot_show_a_difference_prove_nothing(adder: Worker, pairs: tuple) -> None:
    assert adder.batch(golden(*pairs), 16) == 1


def test_samples_that_cannot_be_read_prove_nothing(adder: Worker) -> None:
    assert adder.batch(golden(*SAMPLES)[:-1], 16) == 1
    assert adder.batch(b"junk", 16) == 1


def test_answers_stay_in_order_when_requests_come_in_pieces(adder: Worker) -> None:
    adder.batch(golden(*SAMPLES), 16)
    sock = data_socket(adder)
    rows = [np.full((1 + 9000 * (n % 7 == 3), 4), n, "float32") for n in range(60)]
    stream = b"".join(frames.pack_request(n, frames.pack_tensors([tensor("x", one)])) for n, one in enumerate(rows))

    def send() -> None:
        for at in range(0, len(stream), 7001):
            sock.sendall(stream[at : at + 7001])

    sender = threading.Thread(target=send)
    sender.start()
    for number, one in enumerate(rows):
        response = receive(sock)
        assert response.id == number
        np.testing.assert_array_equal(np.frombuffer(response.tensors[0].data, "float32"), one.ravel() + 2)
    sender.join()


def test_outputs_that_no_frame_holds_are_refused_and_the_worker_stays(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.wide(tmp_path / "m"), "onnxruntime", WIDE_IO)
    rows = frames.FRAME_BYTES // (WIDE * 4) + 1
    sock = data_socket(worker)
    for number, count in enumerate((rows, 1)):
        packed = frames.pack_tensors([tensor("x", np.ones((count, models.WIDTH), "float32"))])
        sock.sendall(frames.pack_request(number, packed))
        answer = receive(sock)
        assert answer.status is (Status.REFUSED if count == rows else Status.SERVED)
        assert ("send fewer rows" in answer.text) == (count == rows)
