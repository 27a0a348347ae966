"""The worker as a process: its orders, the golden self-test, its data socket, and what it is kept from."""

import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.golden import Golden, Sample, TensorData
from fleet_agent import frames, ipc
from fleet_agent.frames import BY_NAME, LENGTH, Response, Status, Tensor
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, LITERT_IO, PAIR_IO, SPIN_IO
from tests.agent.local_api_parts import PATIENCE_S, Worker

ROW = np.array([[1, 2, 3, 4]], "float32")


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def data_socket(worker: Worker) -> socket.socket:
    worker.data.settimeout(PATIENCE_S)
    return worker.data


def tensor(name: str, array: np.ndarray) -> Tensor:
    return Tensor(name, BY_NAME[array.dtype.name], array.shape, array.tobytes())


def receive(sock: socket.socket) -> Response:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += (more := sock.recv(count - len(data)))
            assert more, "the worker closed its data socket"
        return data

    return frames.parse_response(memoryview(exactly(LENGTH.unpack(exactly(4))[0])))


def ask(worker: Worker, *tensors: Tensor, number: int = 7) -> Response:
    sock = data_socket(worker)
    sock.sendall(frames.pack_request(number, frames.pack_tensors(tensors)))
    return receive(sock)


def golden(*pairs: tuple[np.ndarray, np.ndarray], names: tuple[str, str] = ("x", "y")) -> bytes:
    x, y = names
    samples = [Sample(inputs=(recorded(x, given),), outputs=(recorded(y, expected),)) for given, expected in pairs]
    return Golden(samples=tuple(samples)).to_bytes()


def recorded(name: str, array: np.ndarray) -> TensorData:
    return TensorData(name=name, dtype=array.dtype.name, shape=array.shape, data=array.tobytes())


# loading


@pytest.mark.parametrize(
    ("runtime", "make", "io"), [("onnxruntime", models.add, ADD_IO), ("litert", models.litert_add, LITERT_IO)]
)
def test_loads_and_answers(worker: Worker, tmp_path: Path, runtime: str, make, io) -> None:
    answer = worker.load(make(tmp_path / "m", 2.0), runtime, io)
    assert answer["is"] == "loaded"
    assert answer["rss"] > 10_000_000
    response = ask(worker, tensor("x", ROW), number=41)
    assert (response.id, response.status) == (41, Status.SERVED)
    assert np.frombuffer(response.tensors[0].data, "float32").tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("model", "runtime", "io", "code"),
    [
        (b"garbage", "onnxruntime", ADD_IO, "load-failed"),
        (b"garbage", "litert", LITERT_IO, "load-failed"),
        (b"garbage", "tensorrt", ADD_IO, "runtime-missing"),
        (None, "onnxruntime", PAIR_IO, "io-mismatch"),
    ],
)
def test_a_load_that_fails_says_why(worker: Worker, tmp_path: Path, model, runtime: str, io, code: str) -> None:
    answer = worker.load(model or models.add(tmp_path / "m", 1), runtime, io)
    assert (answer["is"], answer["code"]) == ("failed", code)
    assert 10 < len(answer["text"]) < 400


# the golden self-test


@pytest.fixture
def adder(worker: Worker, tmp_path: Path) -> Worker:
    worker.load(models.add(tmp_path / "m", 2.0), "onnxruntime", ADD_IO)
    return worker


def test_golden_passes_and_is_timed(adder: Worker) -> None:
    verdict = adder.golden(golden((ROW, ROW + 2), (ROW * 2, ROW * 2 + 2)), 0.0, 1000)
    assert verdict["ok"], verdict
    assert (verdict["max_error"], verdict["top1_permille"], verdict["text"]) == (0.0, 1000, "")
    assert 0 < verdict["p95_us"] < 1_000_000


def test_golden_allows_the_tolerance_and_no_more(adder: Worker) -> None:
    payload = golden((ROW, ROW + 2.25))
    assert adder.golden(payload, 0.25, 1000)["ok"]
    verdict = adder.golden(payload, 0.2, 1000)
    assert not verdict["ok"]
    assert verdict["max_error"] == 0.25
    assert "off by up to 0.25; the manifest allows 0.2" in verdict["text"]


def test_golden_counts_the_samples_whose_largest_output_is_the_expected_one(adder: Worker) -> None:
    swapped = np.array([[3, 4, 6, 5]], "float32")
    payload = golden((ROW, ROW + 2), (ROW, ROW + 2), (ROW, swapped), (ROW, ROW + 2))
    assert adder.golden(payload, 1.0, 750)["ok"]
    verdict = adder.golden(payload, 1.0, 751)
    assert (verdict["ok"], verdict["top1_permille"]) == (False, 750)
    assert "750 of 1000" in verdict["text"]


def test_golden_takes_a_tie_for_agreement(adder: Worker) -> None:
    tied = np.array([[1, 2, 4, 4]], "float32")
    assert adder.golden(golden((tied, tied + 2)), 0.0, 1000)["ok"]


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (golden((ROW, np.zeros((1, 3), "float32"))), "sample 0: output"),
        (golden((ROW, ROW.astype("float64"))), "float64"),
        (golden((np.zeros((1, 3), "float32"), ROW)), "shape [1, 3]"),
        (golden((ROW, ROW + 2))[:-1], "unreadable"),
        (b"", "unreadable"),
    ],
    ids=["shape", "dtype", "input", "cut", "empty"],
)
def test_golden_samples_of_another_model_fail(adder: Worker, payload: bytes, says: str) -> None:
    verdict = adder.golden(payload, 100.0, 0)
    assert not verdict["ok"]
    assert says in verdict["text"]


def test_golden_fails_on_nan(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.log(tmp_path / "m"), "onnxruntime", ADD_IO)
    verdict = worker.golden(golden((-ROW, ROW)), 1e9, 0)
    assert (verdict["ok"], verdict["text"]) == (False, "golden sample 0: an output is NaN or infinite")


# requests


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ([], "0 inputs were sent; the model takes 1"),
        ([tensor("x", ROW), tensor("x", ROW)], "2 inputs were sent"),
        ([tensor("z", ROW)], "'z'"),
        ([tensor("x", ROW.astype("float64"))], "FP64; FP32 is expected"),
        ([tensor("x", ROW[0])], "shape [4]; [-1, 4] is expected"),
        ([tensor("x", np.zeros((1, 5), "float32"))], "shape [1, 5]"),
        ([tensor("x", np.zeros((0, 4), "float32"))], "shape [0, 4]"),
        ([Tensor("x", BY_NAME["float32"], (1, 4), bytes(15))], "15 bytes of data"),
        ([Tensor("x", BY_NAME["float32"], (2**31, 4), bytes(16))], "16 bytes of data"),
    ],
)
def test_what_the_model_does_not_take_never_reaches_the_runtime(
    adder: Worker, tensors: list[Tensor], says: str
) -> None:
    response = ask(adder, *tensors)
    assert response.status is Status.REFUSED
    assert says in response.text
    assert ask(adder, tensor("x", ROW)).status is Status.SERVED


def test_a_nan_of_the_models_own_making_is_told_apart_from_one_that_was_sent(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.log(tmp_path / "m"), "onnxruntime", ADD_IO)
    assert ask(worker, tensor("x", ROW)).status is Status.SERVED
    assert ask(worker, tensor("x", -ROW)).status is Status.NONFINITE
    assert ask(worker, tensor("x", ROW * np.float32(np.nan))).status is Status.SERVED


def test_requests_sent_together_and_in_pieces_are_answered_in_order(adder: Worker) -> None:
    sock = data_socket(adder)
    rows = [np.full((1 + 9000 * (n % 3), 4), n, "float32") for n in range(12)]
    stream = b"".join(frames.pack_request(n, frames.pack_tensors([tensor("x", row)])) for n, row in enumerate(rows))
    pid = os.fork()
    if pid == 0:
        for at in range(0, len(stream), 50_001):
            sock.sendall(stream[at : at + 50_001])
        os._exit(0)
    for number, row in enumerate(rows):
        response = receive(sock)
        assert response.id == number
        np.testing.assert_array_equal(np.frombuffer(response.tensors[0].data, "float32"), row.ravel() + 2)
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    "junk", [LENGTH.pack(2**32 - 1), LENGTH.pack(9) + bytes(8) + b"\xff", LENGTH.pack(0)], ids=["long", "junk", "empty"]
)
def test_garbage_closes_the_data_socket_and_a_new_one_serves(adder: Worker, junk: bytes) -> None:
    sock = data_socket(adder)
    sock.sendall(junk)
    assert sock.recv(1) == b""
    adder.serve_again()
    assert ask(adder, tensor("x", ROW)).status is Status.SERVED


# the process


def test_closing_the_control_socket_ends_a_worker_that_is_busy(worker: Worker, tmp_path: Path) -> None:
    worker.load(models.spin(tmp_path / "m"), "onnxruntime", SPIN_IO)
    endless = frames.pack_request(1, frames.pack_tensors([tensor("n", np.array(2**62))]))
    data_socket(worker).sendall(endless)
    worker.control.close()
    assert worker.wait() == 0


def test_a_worker_dies_with_the_process_that_started_it() -> None:
    # This test keeps the control socket open, so that only the kernel's signal can end the worker.
    control, theirs = ipc.pair()
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.write(writer, struct.pack("i", ipc.spawn("fleet_agent.worker", theirs)))
        time.sleep(PATIENCE_S)
        os._exit(0)
    theirs.close()
    (child,) = struct.unpack("i", os.read(reader, 4))
    os.close(reader)
    os.close(writer)
    # NoNewPrivs is set right after the death signal.
    _until(lambda: b"NoNewPrivs:\t1" in _proc(child, "status"))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    _until(lambda: not _proc(child, "cmdline"))
    control.close()


def test_a_worker_keeps_no_descriptor_of_the_model_and_leaves_no_core(adder: Worker) -> None:
    names = [str(link.readlink()) for link in Path(f"/proc/{adder.pid}/fd").iterdir()]
    assert not [name for name in names if "memfd" in name]
    assert {str(Path(f"/proc/{adder.pid}/fd/{stream}").readlink()) for stream in (0, 1, 2)} == {"/dev/null"}
    limits = Path(f"/proc/{adder.pid}/limits").read_text()
    assert next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")) == ["0", "0"]
    status = Path(f"/proc/{adder.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status


def test_a_worker_inherits_next_to_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = Worker()
    try:
        worker.load(b"", "onnxruntime", ADD_IO)
        names = {entry.split(b"=")[0] for entry in _proc(worker.pid, "environ").split(b"\0") if entry}
        kept = {b"PATH", b"LANG", b"LC_ALL", b"LC_CTYPE", b"TZ", b"LD_LIBRARY_PATH"}
        assert names <= kept | {b"ORT_DISABLE_TELEMETRY", b"OPENBLAS_NUM_THREADS"}
    finally:
        worker.close()


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _until(true) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
