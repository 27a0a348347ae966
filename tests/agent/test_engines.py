"""Engines of TensorRT, against a fake with the real one's names and failures that computes: built in the background,
kept encrypted, loaded into a sandboxed worker, proven, switched to without a lost request; and all that goes wrong.
"""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dunlin_contract.errors import ContractError
from fleet_agent import control, engine_file
from fleet_agent.config import file
from fleet_agent.config.workers import Settings
from fleet_agent.doctor import runtimes as doctor
from fleet_agent.doctor.check import About, Check, ok
from fleet_agent.engine_file import Head
from fleet_agent.hardware.reading import Reading
from fleet_agent.paths import Paths
from fleet_agent.runtimes import installed
from fleet_agent.sandbox import profiles
from fleet_agent.supervisor import engines as supervisor
from fleet_agent.unlocker import engines
from fleet_agent.unlocker.keystore import StorageKey
from tests.agent.fakes import Interpreter
from tests.agent.fleet import Agent, Fleet, Release, commit, until
from tests.agent.test_ways import Asking

VERSIONS = {"tensorrt": "10.3.0", "pycuda": "2024.1"}
SETTINGS = '[worker]\ndelegate = "engine"\n'
KEY = StorageKey(bytes(range(16)), bytes(range(32)))


class Gpu:
    """A device with a GPU: its interpreter, and files of its system."""

    def __init__(self, folder: Path, fleet: Fleet) -> None:
        self.fleet = fleet
        self.python = Interpreter(folder / "interpreter", VERSIONS)
        self.root = folder / "machine"
        for name, text in (("etc/nvpmodel.conf", "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=15W >"),):
            path = self.root / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
        self.power_mode(0)
        (fleet.state / "agent.toml").write_text(SETTINGS)

    def power_mode(self, number: int) -> None:
        path = self.root / "var/lib/nvpmodel/status"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"pmode:{number:04}")

    def l4t(self, release: str) -> None:
        (self.root / "etc/nv_tegra_release").write_text(f"# R36 (release), REVISION: {release}, GCID: 1\n")

    def agent(self) -> Agent:
        return Agent(
            self.fleet,
            hook=f"""
from pathlib import Path
from fleet_agent.hardware import kernel
kernel.ROOT = Path({str(self.root)!r})
from fleet_agent.supervisor import engines
engines._LOOK_S = 0.2
""",
        )

    @property
    def file(self) -> Path:
        (found,) = self.fleet.state.glob("models/adder/*/engine")
        return found

    def model(self) -> dict[str, Any]:
        """What status says of the model; nothing while the agent starts."""
        status = next(control.ask(Paths(self.fleet.state).control, {"do": "status"}, 10), None)
        return dict(status["models"].get("adder", {})) if status is not None else {}

    def until_runs_on(self, what: str) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            model = self.model()
            return model if model.get("runs_on") == what else None

        return dict(until(there, lambda: f"runs on {what}, says {self.model()}, {self.codes('note')}"))

    def codes(self, kind: str) -> list[tuple[str | None, str]]:
        return [(event.code, event.text) for event in self.fleet.events if event.kind == kind]

    def built(self) -> int:
        return sum(code == "engine-built" for code, _ in self.codes("note"))


@pytest.fixture(name="gpu")
def _gpu(tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    gpu = Gpu(tmp_path, fleet)
    monkeypatch.setattr(sys, "executable", str(gpu.python.path))
    return gpu


@pytest.fixture(name="release")
def _release(fleet: Fleet) -> Release:
    return fleet.release(1.0)


def test_an_engine_is_built_while_the_model_serves_and_takes_over_without_a_lost_request(
    gpu: Gpu, release: Release
) -> None:
    gpu.python.fault("slow")
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        until(lambda: gpu.model().get("engine"), "it is being built")
        with Asking(agent) as asking:
            until(lambda: len(asking.answers) > 20, "served meanwhile")
            assert gpu.model()["runs_on"] == "cpu"
            gpu.python.fault("")
            model = gpu.until_runs_on("engine")
            answered = len(asking.answers)
            until(lambda: len(asking.answers) > answered + 20, "served by the engine")
        assert set(asking.answers) == {1.0}
        assert model["way"] == "engine"
        assert model["sandbox"]["seccomp"] is True
        gpu.fleet.until_event("note", "engine")
        texts = [text for code, text in gpu.codes("note") if code in {"engine-build", "engine-built", "engine"}]
        assert texts == [
            "an engine for adder 1.0.0 is being built; it runs as usual meanwhile",
            "the engine for adder 1.0.0: Building Engine",
            "the engine for adder 1.0.0 is built",
            "adder 1.0.0 runs on the engine",
        ]
        assert len(agent.children()["worker"]) == 2
        assert "builder" not in agent.children()
    plaintext = release.plaintext[-4096:-2048]
    for path in gpu.fleet.state.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert plaintext not in data, path
            assert b"fake plan" not in data, path


def test_the_engine_is_found_again_and_built_anew_when_what_it_is_for_has_changed(gpu: Gpu, release: Release) -> None:
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        gpu.until_runs_on("engine")
    assert gpu.built() == 1
    with gpu.agent() as agent:
        gpu.until_runs_on("engine")
        assert gpu.built() == 1
        with Asking(agent) as asking:
            # A power mode is set while it runs.
            gpu.power_mode(2)
            until(lambda: gpu.built() == 2, "built anew")
            gpu.until_runs_on("engine")
        assert set(asking.answers) == {1.0}
    # Another GPU is noticed by the worker only.
    gpu.python.fault("other-gpu")
    with gpu.agent() as agent:
        until(lambda: gpu.built() == 3, "built anew")
        gpu.until_runs_on("engine")
        assert agent.infer() == 1.0
    assert not [text for code, text in gpu.codes("note") if code == "engine-failed"]


def test_an_engine_depends_on_all_that_it_is_for(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = dict(VERSIONS)
    monkeypatch.setattr(installed, "version", lambda name: versions.get(name, "1" if name == "numpy" else None))
    reading = [Reading(power_mode="MAXN")]

    def key(model: bytes = b"model", batch: int = 16) -> bytes:
        settings = Settings(batch=batch, delegate="engine")
        parts: Any = SimpleNamespace(reading=lambda: reading[0], root=gpu.root)
        made = supervisor.Engines(parts)
        made._models[b"release", "onnx"] = model
        copy: Any = SimpleNamespace(release=b"release", variant="onnx")
        instance: Any = SimpleNamespace(copy=copy, settings=settings)
        return made._key(instance)

    keys = [key(), key(model=b"other"), key(batch=8)]
    reading[0] = Reading(power_mode="15W")
    keys.append(key())
    gpu.l4t("4.3")
    keys.append(key())
    versions["tensorrt"] = "10.4.0"
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[-1]


FAULTS = {
    "op": "TensorRT does not read the model: In function importFallbackPluginImporter: [8] Assertion failed",
    "none": "TensorRT built no engine: Error Code 10: Could not find any implementation for node Conv_0",
    "memory": "TensorRT cannot build the engine: MemoryError: std::bad_alloc",
    "crash": "the process that builds it was killed by SIGSEGV",
    "no-gpu": "TensorRT cannot build the engine: LogicError: cuInit failed: no CUDA-capable device is detected",
    "context": "TensorRT cannot prepare the engine: memory is short",
    "no-memory": "the GPU has no memory for the engine's tensors: MemoryError: cuMemAlloc failed: out of memory",
    "wrong": "outputs are off by up to 1",
    "execute": "golden sample 0: it gives no reason",
    "launch": "golden sample 0: TensorRT failed: LaunchError: cuStreamSynchronize failed",
    "deserialize": "TensorRT does not take the engine: IRuntime::deserializeCudaEngine: Error Code 1",
}


def test_whatever_fails_onnx_runtime_serves_until_something_has_changed(gpu: Gpu, release: Release) -> None:
    def failures() -> list[str]:
        return [text for code, text in gpu.codes("note") if code == "engine-failed"]

    with gpu.agent() as agent:
        gpu.python.fault(next(iter(FAULTS)))
        commit(gpu.fleet, agent, release, 1.0)
        with Asking(agent) as asking:
            for number, (fault, why) in enumerate(FAULTS.items()):
                gpu.python.fault(fault)
                gpu.power_mode(number)
                until(lambda number=number: len(failures()) > number, f"{fault} is told")  # type: ignore[misc]
                assert why in failures()[number]
                assert gpu.model()["runs_on"] == "cpu"
        assert set(asking.answers) == {1.0}
        begun = sum(text.startswith("an engine") for code, text in gpu.codes("note") if code == "engine-build")
        assert begun == len(FAULTS) + 1, "one more for an engine that no longer loads, and no more"
        assert len(failures()) == len(FAULTS)
        assert len(agent.children()["worker"]) == 1


def test_without_tensorrt_it_says_what_to_install(gpu: Gpu, release: Release) -> None:
    (gpu.python.site / "tensorrt-10.3.0.dist-info").rmdir()
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        text = gpu.fleet.until_event("note", "engine-failed").text
        assert "TensorRT is not on this device: install it with JetPack, or pip install tensorrt" in text
        assert gpu.model()["engine"].startswith("no engine: TensorRT is not on this device")
        assert agent.infer() == 1.0


def test_an_engine_that_dies_while_it_serves_costs_nobody_an_answer(gpu: Gpu, release: Release) -> None:
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        gpu.until_runs_on("engine")
        with Asking(agent) as asking:
            os.kill(max(agent.children()["worker"]), signal.SIGKILL)
            gpu.fleet.until_event("note", "engine-failed")
        assert set(asking.answers) == {1.0}
        assert gpu.model()["runs_on"] == "cpu"


def test_a_damaged_or_cut_engine_is_built_anew(gpu: Gpu, release: Release) -> None:
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        gpu.until_runs_on("engine")
    whole = gpu.file.read_bytes()
    # What the head does not tell, the worker never sees; more of both below.
    damages = (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1]))
    for number, damaged in enumerate(damages, 2):
        gpu.file.write_bytes(damaged)
        with gpu.agent():
            until(lambda number=number: gpu.built() == number, "built anew")  # type: ignore[misc]
            gpu.until_runs_on("engine")
    assert not [text for code, text in gpu.codes("note") if code == "engine-failed"]


def test_killed_while_it_builds_or_writes_it_begins_anew(gpu: Gpu, release: Release) -> None:
    gpu.python.fault("slow")
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        until(lambda: agent.children().get("builder"), "building")
        agent.stop(signal.SIGKILL)
    (slot,) = gpu.fleet.state.glob("models/adder/a")
    (slot / ".engine.new").write_bytes(b"half")
    gpu.python.fault("")
    with gpu.agent() as agent:
        gpu.until_runs_on("engine")
        assert agent.infer() == 1.0
    assert not (slot / ".engine.new").exists()


def test_a_model_that_leaves_takes_its_engine_and_its_builder_with_it(gpu: Gpu, release: Release) -> None:
    with gpu.agent() as agent:
        commit(gpu.fleet, agent, release, 1.0)
        gpu.until_runs_on("engine")
        gpu.python.fault("slow")
        gpu.power_mode(2)
        until(lambda: agent.children().get("builder"), "another one is being built")
        gpu.fleet.desire()
        until(lambda: not agent.children().get("builder"), "it is built no longer")
        until(lambda: not agent.children().get("worker"), "workers are gone")
        assert not list(gpu.fleet.state.glob("models/*/*/*"))
    assert not [text for code, text in gpu.codes("note") if code == "engine-failed"]


def test_what_runs_on_a_gpu_reaches_the_devices_of_gpus_only() -> None:
    for profile in (profiles.worker("engine"), profiles.worker("cuda"), profiles.builder()):
        devices = {Path(rule.path) for rule in profile.rules if rule.path.startswith("/dev")}
        assert Path("/dev/null") in devices
        plain = {"null", "zero", "random", "urandom", "dri"}
        assert all(path.parent == Path("/dev") for path in devices)
        assert {path.name for path in devices if not path.name.startswith("nv")} <= plain


# The file itself.


def head(length: int) -> Head:
    return Head(key=bytes(32), compute="8.7", rows=16, length=length, id=bytes(16), cek=b"")


def kept(path: Path, plaintext: bytes, key: StorageKey = KEY) -> None:
    source = path.with_name("plain")
    source.write_bytes(plaintext)
    with source.open("rb") as reading, path.open("wb") as writing:
        engines.keep(key, head(len(plaintext)), reading.fileno(), writing.fileno())


def opened(path: Path, key: StorageKey = KEY) -> bytes:
    with path.open("rb") as file:
        engine = engines.OpenedEngine(key, file.fileno(), locked=False)
    with open(engine.fd, "rb") as plain:
        plain.seek(0)
        return plain.read()


@pytest.mark.parametrize("length", [1, 1 << 20, (1 << 20) + 1, (5 << 20) - 7])
def test_a_file_opens_to_what_was_kept_under_its_own_key_only(tmp_path: Path, length: int) -> None:
    plaintext = os.urandom(length)
    kept(tmp_path / "engine", plaintext)
    assert opened(tmp_path / "engine") == plaintext
    with pytest.raises(ContractError, match="another model"):
        opened(tmp_path / "engine", StorageKey(KEY.id, bytes(32)))


def test_power_that_fails_at_any_write_leaves_nothing_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write is cut after no, some and all but one of its bytes."""
    plaintext = os.urandom((3 << 20) + 5)
    whole = tmp_path / "whole"
    lengths: list[int] = []
    real = os.write

    def counted(fd: int, data: Any) -> int:
        lengths.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", counted)
    kept(whole, plaintext)
    assert len(lengths) == 5
    cuts = 0
    for place, length in enumerate(lengths):
        for part in (0, length // 2, length - 1):
            at = [0]

            def cut(fd: int, data: Any, at: list[int] = at, place: int = place, part: int = part) -> int:
                at[0] += 1
                if at[0] <= place:
                    return real(fd, data)
                if at[0] == place + 1:
                    real(fd, bytes(data)[:part])
                raise OSError(5, "the power is gone")

            path = tmp_path / f"cut-{place}-{part}"
            monkeypatch.setattr(os, "write", cut)
            with pytest.raises(OSError, match="the power is gone"):
                kept(path, plaintext)
            monkeypatch.setattr(os, "write", real)
            with path.open("rb") as file:
                assert engine_file.head(file.fileno()) is None
            with pytest.raises(ContractError):
                opened(path)
            cuts += 1
    assert cuts == 15


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "engine"
    kept(path, b"plan" * 100)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(ContractError):
            opened(path)


def test_the_doctor_tries_what_engines_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = Interpreter(tmp_path / "interpreter", VERSIONS)
    versions: dict[str, str] = VERSIONS | {"numpy": "2"}
    monkeypatch.setattr(sys, "executable", str(python.path))
    monkeypatch.setattr(installed, "version", versions.get)
    path = tmp_path / "agent.toml"
    path.write_text(SETTINGS)
    about = About(Paths(tmp_path), words=file.read(path), root=tmp_path)

    def found() -> Check:
        (check,) = doctor._delegates(about, ["CPUExecutionProvider"])
        return check

    assert found() == ok("TensorRT 10.3.0 builds engines")
    python.fault("no-gpu")
    assert "no CUDA-capable device is detected" in found().why + found().fix
    del versions["pycuda"]
    assert found().why == "pycuda is not on this device"
    assert found().fix == "pip install pycuda, to run engines"
