"""A model that has taken its worker over: it reaches nothing, and other models do not notice."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dunlin_contract.manifest import Io
from fleet_agent import frames
from fleet_agent.frames import BY_NAME, LENGTH, Tensor
from fleet_agent.sandbox.record import Record
from tests.agent import attacks, hostile_runtime
from tests.agent import local_api_models as models
from tests.agent.fleet import Agent, Fleet, until
from tests.agent.local_api_models import ADD_IO, io
from tests.agent.local_api_parts import PATIENCE_S, Worker

IO = io(("x", "float32", (1, 4)), ("y", "float32", (1, 4)))
DIGITS = Path(__file__).parents[2] / "examples/digits/models"
NOBODY_IN_PARTICULAR = 64_321
ROOT = os.geteuid() == 0
USERS = [None, *([[NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR]] if ROOT else [])]
# Calls that a machine may keep from everybody, so that there is nothing to see here.
MAY_BE_OFF = {
    "trace_a_process", "copy_the_memory_of_a_process", "open_the_memory_of_a_process", "make_a_namespace", "use_a_ring",
    "use_kernel_keys", "count_events_of_the_processor", "list_the_files_of_a_process",
    "read_the_environment_of_a_process",
}  # fmt: skip


@pytest.fixture(scope="module", name="python")
def _python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_runtime.python(tmp_path_factory.mktemp("hostile"))


_VICTIM = """
import ctypes
secret = ctypes.create_string_buffer(b"secrets!")
print(ctypes.addressof(secret), flush=True)
input()
"""


@pytest.fixture(scope="module", name="victim")
def _victim() -> Iterator[tuple[int, int]]:
    """A process of the same user that protects itself in no way, and an address of 8 bytes of it."""
    process = subprocess.Popen([sys.executable, "-c", _VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    yield process.pid, int(process.stdout.readline())
    process.communicate(b"\n")


@pytest.fixture(scope="module", name="other")
def _other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Another model's worker, which must not notice."""
    worker = Worker()
    path = models.add(tmp_path_factory.mktemp("other") / "other.onnx", 2.0)
    answer = worker.load(path, "onnxruntime", ADD_IO)
    assert answer["is"] == "loaded", answer
    yield worker
    worker.close()


@pytest.fixture(name="facts")
def _facts(tmp_path: Path, victim: tuple[int, int]) -> Iterator[dict[str, Any]]:
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    key.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "service"))
        unix.listen()
        yield {
            "victim": victim[0],
            "address": victim[1],
            "key": str(key),
            "folder": str(tmp_path),
            "port": tcp.getsockname()[1],
            "service": str(tmp_path / "service"),
            "socket": 3,
        }


def ask(worker: Worker, row: list[float]) -> list[float]:
    worker.data.settimeout(PATIENCE_S)
    data = np.array([row], "float32").tobytes()
    worker.data.sendall(frames.pack_request(1, frames.pack_tensors([Tensor("x", BY_NAME["float32"], (1, 4), data)])))

    def exactly(count: int) -> bytes:
        got = b""
        while len(got) < count:
            got += (more := worker.data.recv(count - len(got)))
            assert more, "the worker closed its data socket"
        return got

    response = frames.parse_response(memoryview(exactly(LENGTH.unpack(exactly(4))[0])))
    assert response.tensors, response.text
    return [float(value) for value in np.frombuffer(response.tensors[0].data, "float32")]


def descriptors(worker: Worker) -> list[str]:
    """What a worker has open."""
    return [link.readlink().as_posix() for link in Path(f"/proc/{worker.pid}/fd").iterdir()]


def hostile(python: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(python))
        return Worker()


def attempt(attack: str, facts: dict[str, Any], python: Path, patch: pytest.MonkeyPatch, **order: object) -> int:
    """How an attack in a real worker ends: 0, or the errno that refused it."""
    worker = hostile(python, patch)
    try:
        answer = worker.load(json.dumps({"attack": attack, "facts": facts}).encode(), "onnxruntime", IO, **order)
        assert answer["is"] == "loaded", answer
        return int(ask(worker, [0] * 4)[0])
    finally:
        worker.close()


# A driver of an accelerator does more than a computation; still, nothing of anybody else's.
@pytest.mark.parametrize(
    "attack",
    [
        "read_a_key", "write_a_file", "list_a_folder", "open_the_memory_of_a_process", "list_the_files_of_a_process",
        "read_the_environment_of_a_process", "trace_a_process", "copy_the_memory_of_a_process", "signal_a_process",
        "have_a_process_signalled_by_a_socket", "connect_to_the_internet", "ask_a_name_server", "listen", "fork",
        "start_a_program", "become_a_program", "make_a_namespace", "use_a_ring", "use_kernel_keys", "become_readable",
    ],
)  # fmt: skip
def test_a_worker_for_an_accelerator_is_refused_what_is_not_its_own(
    attack: str, facts: dict[str, Any], python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attempt(attack, facts, python, monkeypatch, delegate="cuda"), "the attack succeeded inside the sandbox"


@pytest.mark.parametrize("account", USERS, ids=["own user", "other user"][: len(USERS)])
@pytest.mark.parametrize("attack", attacks.ATTACKS)
def test_what_succeeds_outside_is_refused_inside(
    attack: str, account, facts: dict[str, Any], other: Worker, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attempt(attack, facts, python, monkeypatch, account=account), "the attack succeeded inside the sandbox"
    assert ask(other, [1, 2, 3, 4]) == [3, 4, 5, 6]

    command = [sys.executable, attacks.__file__, attack, json.dumps(facts)]
    control = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    if control.returncode and attack in MAY_BE_OFF:
        pytest.skip(f"this machine refuses it to everybody ({os.strerror(control.returncode)})")
    assert control.returncode == 0, f"this is no attack: {control.stderr.decode()}"


def test_a_worker_with_a_stray_thread_ends_before_it_sees_the_model(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = python.parents[2] / "stray"
    stray.touch()
    try:
        worker = hostile(python, monkeypatch)
        answer = worker.load(b"{}", "onnxruntime", IO)
    finally:
        stray.unlink()
    assert (answer["is"], answer["code"]) == ("failed", "sandbox")
    assert "threads" in answer["text"]
    assert os.waitstatus_to_exitcode(worker.wait()) == 71
    worker.close()


@pytest.mark.parametrize("account", USERS, ids=["own user", "other user"][: len(USERS)])
@pytest.mark.parametrize(("threads", "delegate"), [(1, "cpu"), (2, "cpu"), (2, "cuda")])
@pytest.mark.parametrize(("runtime", "model"), [("litert", "v1-int8.tflite"), ("onnxruntime", "v1-int8.onnx")])
def test_digits_runs_inside(runtime: str, model: str, threads: int, delegate: str, account) -> None:
    worker = Worker()
    try:
        io = _digits_io(runtime)
        answer = worker.load(DIGITS / model, runtime, io, threads, account=account, delegate=delegate)
        assert answer["is"] == "loaded", answer
        record = Record.from_map(answer["sandbox"])
        assert record is not None
        assert record.seccomp
        assert record.user == (account[0] if account else None)
        status = Path(f"/proc/{worker.pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (facts["Seccomp"], facts["NoNewPrivs"]) == ("2", "1")
        assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0
        if account:
            assert facts["Uid"].split() == [str(account[0])] * 4
            assert facts["Groups"].split() == []
        if ROOT:
            links = {link.partition(":")[0] for link in descriptors(worker)}
            # Paths below /proc are held by rules (landlock.py), and cannot be read.
            kinds = {"/proc" if link.startswith("/proc/") else link for link in links}
            assert kinds <= {"/dev/null", "socket", "/proc", "anon_inode", "/memfd"}
    finally:
        worker.close()


@pytest.mark.skipif(not ROOT, reason="only root may look into a worker")
def test_a_worker_inherits_nothing_that_its_supervisor_was_started_with() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    worker = Worker()
    try:
        assert worker.load(b"", "onnxruntime", IO)["is"] == "failed"
        assert not [link for link in descriptors(worker) if link.startswith("pipe")]
    finally:
        worker.close()
        os.close(reader)
        os.close(writer)


def test_every_process_of_a_running_agent_is_confined(fleet: Fleet) -> None:
    def filtered(kind: str) -> bool:
        pids = agent.children().get(kind, [])
        with suppress(OSError):
            return bool(pids) and all("Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text() for pid in pids)
        return False

    with Agent(fleet) as agent:
        one = fleet.release(1.0)
        fleet.offer(one)
        fleet.desire(one)
        for kind in ("unlocker", "worker", "front"):
            until(lambda kind=kind: filtered(kind), f"the {kind} is confined")
        agent.until_serves(1.0)
        command = [sys.executable, "-m", "fleet_agent.cli", "status", "--json", "--state-dir", str(fleet.state)]
        status = json.loads(subprocess.check_output(command))
        record = Record.from_map(status["models"]["adder"]["sandbox"])
        assert record is not None
        assert record.seccomp


def _digits_io(runtime: str) -> Io:
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    if runtime == "litert":
        interpreter = Interpreter(str(DIGITS / "v1-int8.tflite"))
        side = [interpreter.get_input_details()[0], interpreter.get_output_details()[0]]
        return io(*((one["name"], one["dtype"].__name__, tuple(map(int, one["shape_signature"]))) for one in side))
    session = onnxruntime.InferenceSession(str(DIGITS / "v1-int8.onnx"))
    nodes = [session.get_inputs()[0], session.get_outputs()[0]]
    kinds = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}
    shapes = [tuple(size if isinstance(size, int) else -1 for size in node.shape) for node in nodes]
    return io(*((node.name, kinds[node.type], shape) for node, shape in zip(nodes, shapes, strict=True)))
