"""What a worker counts of its requests, and which of them it keeps."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.drift import SHARES, Baseline, Feature, psi
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Io, Postprocess, Quantization
from dunlin_contract.manifest import Tensor as Spec
from fleet_agent import captured, frames
from fleet_agent.frames import Image, Status, Tensor
from fleet_agent.worker.capturing import Policy
from fleet_agent.worker.quality import Chance, Quality, measured
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, LITERT_IO
from tests.agent.local_api_parts import Worker
from tests.agent.test_worker import ask, data_socket, golden, receive, tensor

SCORES = Io(
    inputs=(Spec(name="x", dtype="float32", shape=(1, 4)),),
    outputs=(Spec(name="y", dtype="float32", shape=(1, 4)),),
    postprocess=Postprocess(softmax=True, top_k=1),
)
ROWS = replace(ADD_IO, postprocess=Postprocess(softmax=False, top_k=1))


def feature(side: str, name: str, what: str, *edges: float) -> Feature:
    first = SHARES - len(edges)
    return Feature(side=side, tensor=name, what=what, edges=edges, expected=(first, *[1] * len(edges)))


MEAN = feature("input", "x", "mean", 0.0, 10.0)
CLASS = feature("output", "y", "class", 0.5, 1.5, 2.5)


def baseline(*features: Feature) -> bytes:
    return Baseline(features=features).to_bytes()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def counts(worker: Worker) -> dict[str, list]:
    # A request that is answered, and not counted, comes after the looks at those before it.
    assert ask(worker, tensor("nothing", row(0))).status is Status.REFUSED
    worker.send(do="counts")
    answer = worker.receive()
    assert answer.pop("is") == "counts"
    return answer


def row(*values: float) -> np.ndarray:
    return np.array([values], "float32")


# what is counted


@pytest.mark.parametrize(("runtime", "make"), [("onnxruntime", models.add), ("litert", models.litert_add)])
def test_requests_and_answers_fall_into_the_bins_of_the_baseline(
    worker: Worker, tmp_path: Path, runtime: str, make: Callable[..., Path]
) -> None:
    io = replace(LITERT_IO if runtime == "litert" else ADD_IO, postprocess=Postprocess(softmax=True, top_k=1))
    worker.load(make(tmp_path / "m", 2.0), runtime, io, baseline=baseline(MEAN, CLASS))
    assert counts(worker) == {"drift": [[0] * 3, [0] * 4], "confidence": [0] * 20}
    for values in ((-1, -1, -1, -1), (0, 0, 0, 0), (1, 2, 4, 1), (20, 20, 20, 60), (10, 10, 10, 10)):
        ask(worker, tensor("x", row(*values)))
    seen = counts(worker)
    # Below 0, in [0, 10), from 10 on; classes 0, 0, 2, 3, 0.
    assert seen["drift"] == [[1, 2, 2], [3, 0, 1, 1]]
    assert sum(seen["confidence"]) == 5
    assert (seen["confidence"][5], seen["confidence"][19]) == (3, 1)


def test_neither_self_tests_nor_refused_requests_are_counted(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ADD_IO, labels=b"a\nb\n", baseline=baseline(MEAN))
    samples = golden((row(1, 2, 3, 4), row(3, 4, 5, 6)), (row(2, 2, 2, 2), row(4, 4, 4, 4)))
    worker.golden(samples, 0.1, 0)
    assert worker.batch(samples, 4) == 4
    assert ask(worker, tensor("x", np.zeros((1, 5), "float32"))).status is Status.REFUSED
    assert counts(worker)["drift"] == [[0, 0, 0]]
    ask(worker, tensor("x", row(1, 2, 3, 4)))
    assert counts(worker)["drift"] == [[0, 1, 0]]


def test_requests_that_run_together_count_like_those_that_do_not(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ROWS, baseline=baseline(MEAN, CLASS))
    samples = golden((row(1, 2, 3, 4), row(3, 4, 5, 6)), (row(2, 2, 2, 2), row(4, 4, 4, 4)))
    assert worker.batch(samples, 16) == 16
    contents = [row(-1, -1, -1, -1), row(1, 2, 3, 4), np.concatenate([row(9, 0, 0, 0), row(50, 50, 51, 50)])]
    packed = [frames.pack_tensors([tensor("x", one)]) for one in contents]
    sock = data_socket(worker)
    sock.sendall(b"".join(frames.pack_request(number, one) for number, one in enumerate(packed)))
    members = {receive(sock).timing.members for _ in packed}
    assert max(members) > 1
    # Four rows, one of them below zero.
    assert counts(worker)["drift"] == [[1, 2, 1], [2, 0, 1, 1]]


def test_what_is_no_number_is_counted_nowhere(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.log(tmp_path / "m"), "onnxruntime", ROWS, baseline=baseline(MEAN, CLASS))
    assert ask(worker, tensor("x", row(-1, 1, 1, 1))).status is Status.NONFINITE
    assert ask(worker, tensor("x", row(float("nan"), 1, 1, 1))).status is Status.SERVED
    seen = counts(worker)
    assert seen["drift"] == [[0, 1, 0], [0, 0, 0, 0]]
    assert sum(seen["confidence"]) == 0


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not a baseline",
        b"\xff" * 70_000,
        baseline(feature("input", "nowhere", "mean", 1.0)),
        baseline(feature("output", "x", "mean", 1.0), feature("input", "y", "class", 1.0)),
        baseline(feature("input", "x", "value", 1.0)),
    ],
    ids=["empty", "garbage", "too long", "no such tensor", "the other side", "a value of four"],
)
def test_a_baseline_that_does_not_fit_stops_no_model(worker: Worker, tmp_path: Path, broken: bytes) -> None:
    assert worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ADD_IO, baseline=broken)["is"] == "loaded"
    assert ask(worker, tensor("x", row(1, 2, 3, 4))).status is Status.SERVED
    assert sum(map(sum, counts(worker)["drift"])) == 0


def of(array: np.ndarray, what: str, *, quantization: Quantization | None = None, soft: bool = False) -> float:
    spec = Spec(name="t", dtype=array.dtype.name, shape=array.shape, quantization=quantization)
    (found,) = measured(spec, tensor("t", array), what, by_row=False, soft=soft)
    return found


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64", "bool"])
def test_features_are_what_numpy_says_in_real_units(dtype: str) -> None:
    values = (np.arange(200_000) * 7919 % 101).astype(dtype)
    exact = values.astype("float64")
    assert of(values, "mean") == pytest.approx(exact.mean())
    assert of(values, "deviation") == pytest.approx(exact.std())
    assert of(values, "class") == exact.argmax()
    assert of(values, "confidence") == exact.max()
    steps = Quantization(scale=0.5, zero_point=3)
    assert of(values, "mean", quantization=steps) == pytest.approx((exact.mean() - 3) / 2)
    assert of(values, "deviation", quantization=steps) == pytest.approx(exact.std() / 2)
    assert of(values, "confidence", quantization=steps) == pytest.approx((exact.max() - 3) / 2)
    soft = np.exp((exact - exact.max()) / 2)
    assert of(values, "confidence", quantization=steps, soft=True) == pytest.approx(1 / soft.sum())
    assert of(values[7:8], "value", quantization=steps) == pytest.approx((exact[7] - 3) / 2)
    assert np.isnan(of(values, "value"))


def test_counts_stop_at_what_every_language_can_hold() -> None:
    quality = Quality(SCORES, baseline(MEAN))
    one = [tensor("x", row(1, 1, 1, 1))], [tensor("y", row(1, 1, 1, 1))]
    quality.count(1 << 52, *one)
    quality.count(1 << 63, *one)
    assert quality.counts()["drift"] == [[0, LIMITS.sequence, 0]]


def test_a_model_that_is_not_watched_costs_nothing() -> None:
    assert Quality(ADD_IO).weight() == 0
    assert Quality(SCORES).weight() == 1
    assert Quality(ADD_IO, baseline(MEAN)).weight() == 1


# how often it is counted

MS = 1_000_000


def test_counting_takes_a_fiftieth_and_is_fair() -> None:
    """1 ms of counting each, requests of two kinds in turns every 0.1 ms: a fiftieth allows 20 a second."""
    bits = np.random.default_rng(7)
    chance = Chance(lambda k: int(bits.integers(1 << k)))
    stood = [0, 0]
    spent = now = 0
    requests = 200_000
    for number in range(requests):
        now += MS // 10
        if weight := chance.weight():
            stood[number % 2] += weight
            chance.took(MS, now)
            spent += MS
    assert spent < 0.03 * now
    # Each of some 400 stands for some 500: within 4 sigma, which a cap on the first 20 of a second would miss by far.
    for kind in stood:
        assert abs(kind - requests / 2) < 0.3 * requests / 2


def test_counting_comes_back_when_there_is_time_again() -> None:
    chance = Chance(lambda _: 0)
    for number in range(200):
        chance.took(MS, number * MS)
    assert chance.doublings > 3
    now = 1000 * MS
    for _ in range(20):
        now += 60_000 * MS
        chance.took(MS, now)
    assert chance.doublings == 0
    assert chance.weight() == 1


def test_weights_leave_the_index_where_it_was() -> None:
    expected = (SHARES - 30_000, 20_000, 10_000)
    assert psi([64 * n for n in (355, 200, 100)], expected) == pytest.approx(psi([355, 200, 100], expected), abs=0.02)


# what is kept


@pytest.mark.parametrize(
    ("policy", "answer", "reason"),
    [
        (Policy(classes=frozenset({2})), (0, 0, 5, 0), "class"),
        (Policy(classes=frozenset({2})), (0, 6, 5, 0), ""),
        (Policy(margin_permille=100), (1, 0, 10, 9.01), "margin"),
        (Policy(margin_permille=100), (1, 0, 10, 8.99), ""),
        (Policy(margin_permille=100), (-10, -10.5, -30, -40), "margin"),
        (Policy(margin_permille=100), (float("nan"), 10, 9.5, 0), ""),
        (Policy(random_permille=1000), (1, 0, 0, 0), "random"),
        (Policy(random_permille=500), (1, 0, 0, 0), ""),
        (Policy(random_permille=501), (1, 0, 0, 0), "random"),
        (Policy(random_permille=1000, margin_permille=1, classes=frozenset({0})), (1, 0, 0, 0), "class"),
        (Policy(), (1, 1, 1, 1), ""),
    ],
)
def test_which_requests_are_kept(policy: Policy, answer: tuple[float, ...], reason: str) -> None:
    assert policy.reason(SCORES, [tensor("y", row(*answer))], chance=lambda: 0.5) == reason


def test_a_quantized_answer_is_judged_in_real_units() -> None:
    spec = Spec(name="y", dtype="int8", shape=(1, 3), quantization=Quantization(scale=0.1, zero_point=-128))
    io = replace(SCORES, outputs=(spec,))
    near = tensor("y", np.array([[-128, -78, -79]], "int8"))  # 0, 5.0, 4.9
    assert Policy(margin_permille=30).reason(io, [near]) == "margin"
    assert Policy(margin_permille=10).reason(io, [near]) == ""


class Room:
    """The supervisor's side."""

    def __init__(self, worker: Worker, **order: object) -> None:
        self._worker = worker
        self.fd = captured.room()
        worker.send((self.fd,), **{"do": "capture", "random": 0, "margin": 0, "classes": []} | order)
        counts(worker)  # it was heard

    def taken(self) -> tuple[str, list[float], list[float]]:
        message = self._worker.receive()
        assert message["is"] == "captured"
        result = captured.unpack(self.fd, message["bytes"])
        return result.reason, *(
            np.frombuffer(side[0].data, "float32").tolist() for side in (result.inputs, result.outputs)
        )


def test_what_is_kept_comes_whole_and_one_at_a_time(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ADD_IO)
    ask(worker, tensor("x", row(9, 9, 9, 9)))
    room = Room(worker, classes=[3])
    for values in ((1, 0, 0, 0), (1, 2, 3, 4), (5, 6, 7, 8)):
        ask(worker, tensor("x", row(*values)))
    assert room.taken() == ("class", [1, 2, 3, 4], [3, 4, 5, 6])
    worker.send(do="captured")
    assert counts(worker)["confidence"] == []  # the order was heard
    ask(worker, tensor("x", row(0, 0, 0, 1)))
    assert room.taken() == ("class", [0, 0, 0, 1], [2, 2, 2, 3])
    worker.send(do="captured")
    worker.send(do="capture")
    counts(worker)
    ask(worker, tensor("x", row(0, 0, 0, 1)))
    # Nothing more: the next word is the answer to a question.
    counts(worker)


def test_an_image_is_kept_as_it_came() -> None:
    data = captured.pack("random", Image("image/png", 0, b"picture"), [tensor("y", row(1, 2, 3, 4))])
    fd = captured.room()
    os.pwrite(fd, data, 0)
    result = captured.unpack(fd, len(data))
    assert [(one.name, one.dtype, one.shape, one.data) for one in result.inputs] == [
        ("image/png", "uint8", (7,), b"picture")
    ]
    os.close(fd)


def test_what_the_fleet_would_not_take_is_told_once_and_stops_nothing(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ADD_IO)
    room = Room(worker, random=1000)
    large = tensor("x", np.zeros((LIMITS.result_bytes // 32, 4), "float32"))
    for _ in range(3):
        ask(worker, large)
    assert worker.receive() == {"is": "captured", "bytes": 0}
    ask(worker, tensor("x", row(1, 2, 3, 4)))
    assert room.taken()[0] == "random"


def test_the_supervisors_memory_can_be_made_neither_longer_nor_shorter() -> None:
    fd = captured.room()
    for length in (0, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, length)
    os.close(fd)


def test_every_reason_is_one_that_the_supervisor_knows() -> None:
    answers = [(1, 2, 3, 4), (4, 4, 4, 4)]
    policies = [Policy(1000), Policy(0, 1000), Policy(0, 0, frozenset(range(4)))]
    found = {
        policy.reason(SCORES, [tensor("y", row(*answer))]) for policy, answer in itertools.product(policies, answers)
    }
    assert found | {"disagreement"} == {*captured.REASONS}
    assert isinstance(tensor("y", row(1)), Tensor)
