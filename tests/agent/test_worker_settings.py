"""What agent.toml says of workers, and what a worker makes of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.config import file, workers
from fleet_agent.config.file import ConfigError
from fleet_agent.config.workers import Settings, Workers
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, LITERT_IO
from tests.agent.local_api_parts import Worker


def said(folder: Path, text: str) -> Workers:
    path = folder / "agent.toml"
    path.write_text(text)
    return workers.read(file.read(path))


def test_without_a_word_every_model_has_one_worker() -> None:
    assert workers.read(file.read(None)).of("any") == Settings(1, 16, 0, (), 0, "cpu")


def test_a_model_has_what_all_have_and_what_it_says_itself(tmp_path: Path) -> None:
    text = '[worker]\nthreads = 2\ncpus = [0, 1]\n[[model]]\nname = "digits"\nworkers = 2\nbatch = 1\nthreads = 1\n'
    read = said(tmp_path, text + 'memory_mb = 64\ndelegate = "cuda"\n')
    assert read.of("other") == Settings(threads=2, cpus=(0, 1))
    assert read.of("digits") == Settings(2, 1, 1, (0, 1), 64, "cuda")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[worker]\nthreads = 0", "agent.toml:2: threads must be 1 to 64"),
        ("[worker]\ncpus = []", "agent.toml:2: cpus must be a list of processors' numbers"),
        ("[worker]\ncpus = [1, 1]", "cpus must be a list"),
        ("[worker]\ncpus = [-1]", "cpus must be a list"),
        ('[worker]\ncpus = ["0"]', "cpus must be a list"),
        ("[worker]\ncpus = [true]", "cpus must be a list"),
        ('[worker]\ndelegate = "gpu"', "delegate must be one of cpu, cuda, tensorrt"),
        ("[worker]\nworkers = 2", "unknown key 'worker.workers'"),
        ("[[model]]\nworkers = 2", "needs the name of a model"),
        ('[[model]]\nname = "A model"', "needs the name of a model"),
        ('[[model]]\nname = "m"\n[[model]]\nname = "m"', "model 'm' is there twice"),
        ('[[model]]\nname = "m"\nworkers = 9', "workers must be 1 to 8"),
        ('[[model]]\nname = "m"\nbatch = 0', "batch must be 1 to 64"),
        ('[[model]]\nname = "m"\nmemory_mb = 8', "memory_mb must be 16 to"),
        ('[[model]]\nname = "m"\nbatch = true', "batch must be a whole number"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        said(tmp_path, text)
    assert says in str(error.value)


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def test_a_worker_keeps_to_its_processors_and_starts_no_more_threads(worker: Worker, tmp_path: Path) -> None:
    chosen = min(os.sched_getaffinity(0))
    answer = worker.load(models.add(tmp_path / "m", 1.0), "onnxruntime", ADD_IO, 4, cpus=[chosen])
    assert (answer["is"], answer["threads"]) == ("loaded", 1)
    assert {frozenset(os.sched_getaffinity(int(task.name))) for task in Path(f"/proc/{worker.pid}/task").iterdir()} == {
        frozenset({chosen})
    }


def test_processors_that_are_not_there_are_told(worker: Worker, tmp_path: Path) -> None:
    answer = worker.load(models.add(tmp_path / "m", 1.0), "onnxruntime", ADD_IO, cpus=[1000])
    assert (answer["is"], answer["code"]) == ("failed", "settings")
    assert "cannot run on processors 1000" in answer["text"]


@pytest.mark.parametrize("delegate", ["cuda", "tensorrt"])
@pytest.mark.parametrize(
    ("runtime", "make", "io"), [("onnxruntime", models.add, ADD_IO), ("litert", models.litert_add, LITERT_IO)]
)
def test_without_the_delegate_the_processor_computes_and_it_is_told(
    worker: Worker, tmp_path: Path, runtime: str, make, io, delegate: str
) -> None:
    answer = worker.load(make(tmp_path / "m", 1.0), runtime, io, delegate=delegate)
    assert (answer["is"], answer["runs_on"]) == ("loaded", "cpu")
    expected = "install onnxruntime-gpu" if runtime == "onnxruntime" else "LiteRT runs on the CPU"
    assert expected in answer["note"]


def test_nothing_is_noted_of_what_runs_as_asked(worker: Worker, tmp_path: Path) -> None:
    assert worker.load(models.add(tmp_path / "m", 1.0), "onnxruntime", ADD_IO)["note"] == ""


def test_a_runtime_reports_nothing_to_anybody(worker: Worker, tmp_path: Path) -> None:
    """onnxruntime's wheel does so when it is imported, unless it is told not to before that."""
    worker.load(models.add(tmp_path / "m", 1.0), "onnxruntime", ADD_IO)
    environment = Path(f"/proc/{worker.pid}/environ").read_bytes().split(b"\0")
    assert b"ORT_DISABLE_TELEMETRY=1" in environment
    links = [str(link.readlink()) for link in Path(f"/proc/{worker.pid}/fd").iterdir()]
    internet = {
        line.split()[9]
        for name in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{worker.pid}/net/{name}").read_text().splitlines()[1:]
    }
    assert not {link for link in links if link.removeprefix("socket:[").removesuffix("]") in internet}
    assert not [link for link in links if link.startswith("/") and not link.startswith(("/dev/", "/proc/", "/memfd:"))]
    # One that serves the data socket beside the one that obeys: none of the runtime's own.
    assert len(list(Path(f"/proc/{worker.pid}/task").iterdir())) == 2
