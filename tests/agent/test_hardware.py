"""Sensors: files as kernels have them, vendors' libraries as they answer and as they fail, and who pays for it."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dunlin_contract.telemetry import Hardware
from fleet_agent.clock import Clock
from fleet_agent.config import file
from fleet_agent.doctor import hardware as doctor
from fleet_agent.doctor.check import About, Check
from fleet_agent.hardware import jetson, kernel, nvidia, raspberry, sources
from fleet_agent.hardware.reading import LackingError, Reading
from fleet_agent.paths import Paths
from fleet_agent.runtimes import installed
from fleet_agent.supervisor import sensing
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.sensing import Hearers, Sensing
from tests.agent.fakes import Interpreter
from tests.agent.fakes import put as fake

PATIENCE_S = 30.0


def files(root: Path, **texts: str) -> Path:
    """A machine's files: ``__`` stands for a slash."""
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(autouse=True)
def _no_fake_stays() -> Iterator[None]:
    yield
    for name in ("jtop", "pynvml"):
        sys.modules.pop(name, None)


JETSON = {
    "sys__class__thermal__thermal_zone0__temp": "48312\n",
    "sys__class__thermal__thermal_zone1__temp": "51000\n",
    "sys__class__thermal__thermal_zone2__temp": "-256000\n",
    "sys__class__hwmon__hwmon1__name": "ina3221\n",
    "sys__class__hwmon__hwmon1__in1_label": "VDD_IN\n",
    "sys__class__hwmon__hwmon1__in1_input": "5056\n",
    "sys__class__hwmon__hwmon1__curr1_input": "1300\n",
    "sys__class__hwmon__hwmon1__in2_label": "VDD_CPU_GPU_CV\n",
    "sys__class__hwmon__hwmon1__in2_input": "5056\n",
    "sys__class__hwmon__hwmon1__curr2_input": "240\n",
    "sys__class__hwmon__hwmon1__in7_label": "sum of shunt voltages\n",
    "sys__class__hwmon__hwmon1__in7_input": "8\n",
    "sys__devices__platform__gpu.0__load": "374\n",
    "var__lib__nvpmodel__status": "pmode:0002\n",
    "etc__nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MODE_15W >\n",
    "etc__nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
}


def test_a_jetson_by_its_files_alone(tmp_path: Path) -> None:
    root = files(tmp_path, **JETSON)
    assert kernel.read(root) == Reading(510, None, 5056 * 1300 // 1000, 374, "MODE_15W")
    assert kernel.drivers(root) == "36.4.3"


def test_rails_are_added_up_where_none_measures_the_whole_board(tmp_path: Path) -> None:
    texts = {name: text.replace("VDD_IN", "VDD_GPU_SOC") for name, text in JETSON.items()}
    assert kernel.read(files(tmp_path, **texts)).power_mw == 5056 * 1300 // 1000 + 5056 * 240 // 1000


def test_a_raspberry_pi_by_its_files(tmp_path: Path) -> None:
    root = files(tmp_path, **{"sys__devices__platform__soc__soc:firmware__get_throttled": "50005\n"})
    assert kernel.read(root) == Reading(throttled=0x50005)
    other = files(tmp_path / "5", sys__class__hwmon__hwmon0__name="rpi_volt\n")
    assert kernel.read(other).throttled is None
    files(other, sys__class__hwmon__hwmon0__in0_lcrit_alarm="1\n")
    assert kernel.read(other).throttled == 1


def test_a_workstation_driver_and_a_machine_that_has_nothing(tmp_path: Path) -> None:
    said = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n"
    assert kernel.drivers(files(tmp_path, proc__driver__nvidia__version=said)) == "535.129.03"
    assert kernel.read(tmp_path / "none") == Reading()
    assert kernel.drivers(tmp_path / "none") == ""


@pytest.mark.parametrize("text", ["", "hot\n", "99999999\n", "\xff\n", "1" * 5000])
def test_a_sensor_that_talks_nonsense_is_none(tmp_path: Path, text: str) -> None:
    root = files(tmp_path, sys__class__thermal__thermal_zone0__temp=text)
    files(root, **{"sys__devices__gpu.0__load": text, "var__lib__nvpmodel__status": text})
    assert kernel.read(root) == Reading()


def test_jtop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, "jtop.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert jetson.read() == Reading(512, None, 6573, 374, "MODE_15W")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("stopped", "The jtop.service is not active. Please run: sudo jtop --install-service"),
        ("group", "I can't access jtop.service. Please logout or reboot this board."),
        ("ended", "jtop's service ended: sudo systemctl restart jtop.service"),
    ],
)
def test_jtop_without_its_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, why: str) -> None:
    fake(tmp_path, "jtop.py", fault)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(LackingError) as error:
        jetson.read()
    assert str(error.value) == why


def test_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, "pynvml.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert nvidia.read() == Reading(670, 0b100, 43_210, 410)
    assert sys.modules["pynvml"].opened == []
    (tmp_path / "fault").write_text("unsupported")
    assert nvidia.read() == Reading(670)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("library", "NVML does not start (NVML Shared Library Not Found): check NVIDIA's driver, such as with"),
        ("driver", "NVML does not start (Driver Not Loaded): check NVIDIA's driver"),
        ("none", "NVML shows no GPU: Invalid Argument"),
    ],
)
def test_nvml_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, why: str) -> None:
    fake(tmp_path, "pynvml.py", fault)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(LackingError) as error:
        nvidia.read()
    assert str(error.value).startswith(why)
    assert sys.modules["pynvml"].opened == []


@pytest.mark.parametrize(("read", "what"), [(jetson.read, "jetson-stats"), (nvidia.read, "nvidia-ml-py")])
def test_a_library_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], Reading], what: str
) -> None:
    for name in ("jtop", "pynvml"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LackingError, match=f"pip install {what}"):
        read()


def test_vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raspberry, "PROGRAMS", (str(fake(tmp_path, "vcgencmd")),))
    assert raspberry.read() == Reading(temperature_dc=483, throttled=0x50005)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("group", "add the agent's user to the group video"),
        ("vchi", "VCHI initialization failed"),
        ("odd", "group video"),
        ("hangs", "does not answer"),
    ],
)
def test_vcgencmd_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, why: str) -> None:
    monkeypatch.setattr(raspberry, "PROGRAMS", (str(fake(tmp_path, "vcgencmd", fault)),))
    monkeypatch.setattr(raspberry, "_PATIENCE_S", 0.2 if fault == "hangs" else 10)
    with pytest.raises(LackingError, match=why):
        raspberry.read()


def test_no_vcgencmd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raspberry, "PROGRAMS", ())
    with pytest.raises(LackingError, match="apt-get install"):
        raspberry.read()


def test_sources_are_asked_where_their_hardware_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, str] = {}
    monkeypatch.setattr(installed, "version", there.get)
    assert sources.present(tmp_path) == ()
    files(tmp_path, usr__bin__vcgencmd="", dev__nvidiactl="")
    assert sources.present(tmp_path) == ("vcgencmd",)
    there["nvidia_ml_py"] = there["jetson_stats"] = "1"
    assert sources.present(tmp_path) == ("vcgencmd", "nvml")
    files(tmp_path, **JETSON, **{"sys__devices__platform__soc__soc:firmware__get_throttled": "0\n"})
    assert sources.present(tmp_path) == ("jtop",)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"temperature_dc": 3001, "throttled": -1, "power_mw": 2**32, "gpu_permille": 1001, "power_mode": 5},
        {"temperature_dc": "48", "throttled": True, "power_mw": 1.5, "gpu_permille": None, "power_mode": "\n"},
    ],
)
def test_what_another_process_says_is_believed_within_bounds(body: object) -> None:
    assert Reading.from_map(body) == Reading()


def test_a_reading_goes_over_what_another_source_said() -> None:
    one, other = Reading(temperature_dc=400, power_mw=5), Reading(temperature_dc=500, power_mw=6, power_mode="MAXN")
    assert one.over(other) == Reading(temperature_dc=500, power_mw=5, power_mode="MAXN")
    assert Reading.from_map(one.over(other).to_map()) == one.over(other)


class Machine:
    """A supervisor's loop with sensing alone, on a Jetson whose jtop is a fake."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.python = Interpreter(folder / "interpreter", {"jtop.py": "7.2.2"})
        monkeypatch.setattr(sys, "executable", str(self.python.path))
        monkeypatch.setattr(installed, "version", {"jetson_stats": "7.2.2"}.get)
        self.root = files(folder / "root", etc__nv_tegra_release=JETSON["etc__nv_tegra_release"])
        self.loop = Loop()
        self.told: list[tuple[str, str, str]] = []
        hearers = Hearers(lambda *event: self.told.append(event), lambda _: None)
        self.sensing = Sensing(self.loop, Clock(), None, hearers, self.root)

    @property
    def lacking(self) -> dict[str, str]:
        said = self.sensing.status()["lacking"]
        assert isinstance(said, dict)
        return said

    def run(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S

        def look() -> None:
            asking = any(thread.name == "hardware" for thread in threading.enumerate())
            if (until() and not asking) or time.monotonic() > end:
                self.loop.stop()
            else:
                self.loop.after(0.02, look)

        self.loop.post(self.sensing.start)
        self.loop.post(look)
        self.loop.run()
        self.sensing.close()
        assert until()


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_library_is_asked_in_a_process_of_its_own(machine: Machine) -> None:
    machine.run(lambda: machine.sensing.reading.power_mw is not None)
    assert machine.sensing.hardware() == Hardware(
        temperature_dc=512, power_mw=6573, gpu_permille=374, power_mode="MODE_15W"
    )
    assert machine.lacking == {}
    assert "jtop" not in sys.modules


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("stopped", "The jtop.service is not active"),
        ("crashes", "its library failed: killed by SIGSEGV"),
        ("hangs", "its library failed: no answer in"),
        ("other", "unexpected TypeError: a bug of the library"),
    ],
)
def test_a_library_that_fails_costs_its_numbers_only(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, fault: str, why: str
) -> None:
    if fault == "hangs":
        monkeypatch.setattr(sensing, "_ANSWER_S", 3.0)
    machine.python.fault(fault)
    files(machine.root, sys__class__thermal__thermal_zone0__temp="48312\n")
    machine.run(lambda: bool(machine.lacking))
    assert machine.lacking["jtop"].startswith(why)
    assert machine.sensing.hardware() == Hardware(temperature_dc=483)


# What the doctor says of them.


def examined(root: Path, text: str = "") -> dict[str, Check]:
    root.mkdir(exist_ok=True)
    path = root / "agent.toml"
    path.write_text(text)
    about = About(Paths(root), words=file.read(path), root=root)
    found = doctor.look(about)
    assert all(check.why and check.fix for check in found if check.verdict != "ok"), found
    return {check.what: check for check in found}


def test_the_doctor_says_what_sensors_say(tmp_path: Path) -> None:
    assert examined(tmp_path / "none") == {}
    assert list(examined(files(tmp_path / "jetson", **JETSON))) == ["sensors: 6.6 W, GPU 37 %, power mode MODE_15W"]


@pytest.mark.parametrize(
    ("flags", "what"),
    [("1", "the power supply is too weak"), ("e", "the firmware slows the processor down"), ("50000", None)],
)
def test_the_doctor_knows_a_board_that_is_slowed_down(tmp_path: Path, flags: str, what: str | None) -> None:
    root = files(tmp_path, **{"sys__devices__platform__soc__soc:firmware__get_throttled": f"{flags}\n"})
    assert list(examined(root)) == ([what] if what else [])


def test_the_doctor_names_what_says_nothing_and_a_policy_without_a_sensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Interpreter(tmp_path / "interpreter", {"jtop.py": "7.2.2"})
    monkeypatch.setattr(sys, "executable", str(python.path))
    monkeypatch.setattr(installed, "version", {"jetson_stats": "7.2.2"}.get)
    root = files(tmp_path / "root", etc__nv_tegra_release=JETSON["etc__nv_tegra_release"])
    assert list(examined(root)) == ["sensors: 6.6 W, GPU 37 %, power mode MODE_15W"]
    python.fault("stopped")
    found = examined(root, "[power]")
    assert found["jtop says nothing"].fix == "sudo jtop --install-service"
    assert found["[power] in agent.toml has no effect"].why == "no sensor says how warm this device is"
    files(root, dev__nvidiactl="")
    monkeypatch.setattr(installed, "version", {}.get)
    assert examined(root)["an NVIDIA GPU that nobody asks"].fix == "pip install nvidia-ml-py"
