"""No byte of a model in the clear on a disk, in a log, a text, a process list or a core, whatever happens to it."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.agent import plaintext
from tests.agent.fleet import Agent, Fleet, commit, samples, until
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import Worker
from tests.agent.plaintext import Needles

CORES_OF_OTHERS = [Path("/var/lib/systemd/coredump"), Path("/var/crash"), Path("/var/lib/apport/coredump")]
_HOOK = """
import os, resource
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
os.chdir({folder!r})
"""


def pattern() -> str:
    """Where this machine's kernel puts cores."""
    return Path("/proc/sys/kernel/core_pattern").read_text().strip()


def places_of_cores(folder: Path) -> list[Path]:
    """Where the core of a process that ran in ``folder`` would be."""
    where = pattern()
    own = [Path(where).parent] if where.startswith("/") else []
    return [folder, *own, *CORES_OF_OTHERS]


def of_processes(pids: list[int]) -> list[Path]:
    """What everybody may read of a process."""
    return [Path(f"/proc/{pid}/{name}") for pid in pids for name in ("environ", "cmdline", "comm", "status")]


def swap_areas() -> list[Path]:
    """Swap files of this machine; a partition is searched by whoever may read it."""
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    return [Path(line.split()[0]) for line in lines]


def newer(paths: list[Path], than: float) -> list[Path]:
    """Of all files there, those written since."""
    found = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return [file for file in found if file.is_file() and file.stat().st_mtime >= than]


@pytest.fixture(name="model")
def _model() -> bytes:
    return plaintext.model(1.0, seed=1)


@pytest.fixture(name="needles")
def _needles(model: bytes) -> Needles:
    return Needles(plaintext.tensors(model))


# The search itself.


@pytest.mark.parametrize("written", ["raw", "hex", "HEX", "base64", "repr", "escapes"])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4095])
def test_what_is_planted_is_found(tmp_path: Path, model: bytes, needles: Needles, written: str, offset: int) -> None:
    import base64

    tensor = plaintext.tensors(model)[1][: 16 << 10]
    text = {
        "raw": lambda: tensor,
        "hex": lambda: tensor.hex().encode(),
        "HEX": lambda: tensor.hex().upper().encode(),
        "base64": lambda: base64.b64encode(bytes(offset) + tensor),
        "repr": lambda: repr(tensor).encode(),
        "escapes": lambda: "".join(f"\\x{byte:02x}" for byte in tensor).encode(),
    }[written]()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(os.urandom(offset) + text + os.urandom(999))
    (tmp_path / "other").write_bytes(os.urandom(1 << 20))
    assert needles.search(tmp_path) == [tmp_path / "deep" / "er" / "file"]


def test_a_page_in_a_swap_file_is_found(tmp_path: Path, model: bytes, needles: Needles) -> None:
    page = 4096
    pages = [bytes(page - 10) + b"SWAPSPACE2", *(os.urandom(page) for _ in range(63))]
    (tmp_path / "swap").write_bytes(b"".join(pages))
    assert not needles.search(tmp_path / "swap")
    pages[40] = plaintext.tensors(model)[0][page : 2 * page]
    (tmp_path / "swap").write_bytes(b"".join(pages))
    assert needles.search(tmp_path / "swap") == [tmp_path / "swap"]


def test_a_process_that_says_it_aloud_is_found(model: bytes, needles: Needles) -> None:
    secret = plaintext.tensors(model)[0][:4096].hex()
    for arguments, environment in ((["-c", "input()", secret], {}), (["-c", "input()"], {"MODEL": secret})):
        process = subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, env=environment)
        try:
            until(lambda pid=process.pid: needles.search(*of_processes([pid])), "it is found")
        finally:
            process.communicate(b"\n")


_DIES = """
import os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
os.chdir(sys.argv[1])
data = open("model", "rb").read()
os.unlink("model")
os.kill(os.getpid(), 11)
"""


def crashing(folder: Path, model: bytes) -> int:
    """Wait status of an ordinary process that dies while it has the model in memory."""
    (folder / "model").write_bytes(model)
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", _DIES, str(folder)], {})
    return os.waitpid(pid, 0)[1]


def test_a_core_of_an_ordinary_process_is_found_and_a_worker_leaves_none(
    tmp_path: Path, model: bytes, needles: Needles, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.WCOREDUMP(crashing(tmp_path, model)):
        pytest.skip(f"this machine makes no cores (limit, or core_pattern {pattern()!r})")
    if not pattern().startswith(("/", "|")):
        assert needles.search(tmp_path)

    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        worker = Worker()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert worker.load(model, "onnxruntime", ADD_IO)["is"] == "loaded"
    os.kill(worker.pid, signal.SIGSEGV)
    status = worker.wait()
    worker.close()
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)
    assert not list((tmp_path / "worker").iterdir())


# The agent, through everything.


def test_nothing_of_a_model_is_anywhere_after_updates_and_crashes(fleet: Fleet, tmp_path: Path) -> None:
    cores = tmp_path / "cores"
    cores.mkdir()
    began = time.time()
    row = np.zeros((1, plaintext.WIDTH)).tolist()
    models = [plaintext.model(amount, seed) for seed, amount in ((1, 1.0), (2, 2.0), (3, 3.0))]
    needles = Needles(tensor for model in models for tensor in plaintext.tensors(model))
    pids: list[int] = []
    open_to_all: list[bytes] = []

    def look(agent: Agent) -> dict[str, list[int]]:
        children = agent.children()
        now = [agent.process.pid, *(pid for some in children.values() for pid in some)]
        pids.extend(now)
        open_to_all.extend(plaintext._read(path) for path in of_processes(now))
        return children

    with Agent(fleet, hook=_HOOK.format(folder=str(cores))) as agent:
        commit(fleet, agent, fleet.release(1.0, model=models[0]), 1.0)
        look(agent)
        two = fleet.release(2.0, version="2.0.0", counter=2, model=models[1])
        commit(fleet, agent, two, 2.0)

        # A worker that dies with the model in its hands, and a front.
        for kind in ("worker", "front"):
            before = look(agent)[kind]
            for pid in before:
                os.kill(pid, signal.SIGSEGV)
            until(
                lambda kind=kind, before=before: set(agent.children().get(kind, before)) - set(before), f"{kind} again"
            )
            agent.until_serves(2.0)

        # A model that the runtime does not take: what it says of it goes into the log, the journal and an event.
        broken = bytearray(models[2])
        broken[: len(broken) // 2] = models[2][len(broken) // 2 :][: len(broken) // 2]
        three = fleet.release(3.0, version="3.0.0", counter=3, model=bytes(broken), golden=samples(models[2], row))
        fleet.offer(three)
        fleet.desire(three)
        assert fleet.until_phase("refused", three).error_text
        look(agent)
        os.kill(agent.process.pid, signal.SIGSEGV)
        agent.process.wait()

    said = [*map(repr, fleet.reported), *map(repr, fleet.events), *map(repr, fleet.telemetry)]
    assert len(pids) > 8
    assert not list(cores.iterdir()), "a process of the agent left a core"
    assert not [data for data in open_to_all if needles.within(data)]
    assert not [text for text in said if needles.within(text.encode())]
    assert not needles.search(fleet.folder), "something below the state folder, the log or the broker's files"
    assert not needles.search(*swap_areas())
    assert not needles.search(*newer(places_of_cores(cores), began))
