"""``fleet-agent install`` against a root folder of its own: what it would do, in which order, and nothing twice."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fleet_agent import install
from fleet_agent.errors import SetupError

COMMAND = Path("/usr/local/lib/fleet-agent/bin/fleet-agent")


class Machine:
    """A root folder, and what would have been run on it; ``broken`` is a program that fails."""

    def __init__(self, root: Path, *, systemd: bool = True) -> None:
        self.root = root
        self.ran: list[str] = []
        self.broken = ""
        (root / "etc").mkdir()
        self.passwd = root / "etc/passwd"
        self.passwd.write_text("root:x:0:0::/root:/bin/sh\n")
        if systemd:
            (root / "run/systemd/system").mkdir(parents=True)

    def run(self, words: Sequence[str]) -> None:
        if words[0] == self.broken:
            raise SetupError(f"{words[0]} failed")
        self.ran.append(" ".join(words[:2] if words[0] == "systemctl" else [words[0], words[-1]]))
        if words[0] == "useradd":
            self.passwd.write_text(self.passwd.read_text() + f"{words[-1]}:x:9:9::/:/\n")
        if words[0] == "install":
            Path(words[-1]).mkdir(parents=True)
        if words[:2] == ["systemctl", "enable"]:
            link = self.root / "etc/systemd/system/multi-user.target.wants/fleet-agent.service"
            link.parent.mkdir(parents=True)
            link.symlink_to("../fleet-agent.service")

    def install(self, command: Path = COMMAND) -> list[str]:
        said = []
        for step in install.steps(self.root, command, self.run):
            said.append(step.what)
            step.do()
        return said

    @property
    def unit(self) -> Path:
        return self.root / "etc/systemd/system/fleet-agent.service"

    def enrol(self) -> None:
        (self.root / "var/lib/fleet-agent/enrolment.cbor").touch()


def test_a_new_machine_and_then_nothing_is_left_to_do(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.install() == [
        "make the user fleet-agent",
        "make the user dunlin-worker",
        "make the folder /var/lib/fleet-agent",
        "write /etc/systemd/system/fleet-agent.service",
        "tell systemd",
        "start it with the system",
    ]
    assert f"ExecStart={COMMAND} run" in machine.unit.read_text()
    assert machine.unit.stat().st_mode & 0o777 == 0o644
    assert machine.install() == []


def test_an_enrolled_device_is_started_and_a_new_version_restarted(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install()
    machine.enrol()
    assert machine.install() == ["start the agent"]
    assert machine.install(Path("/usr/local/lib/other/bin/fleet-agent")) == [
        "write /etc/systemd/system/fleet-agent.service",
        "tell systemd",
        "restart the agent",
    ]
    assert machine.ran[-1] == "systemctl restart"


def test_interrupted_it_goes_on_where_it_was(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.broken = "install"
    with pytest.raises(SetupError):
        machine.install()
    machine.broken = ""
    assert machine.install()[0] == "make the folder /var/lib/fleet-agent"


def test_a_machine_without_systemd_gets_the_unit_and_no_orders(tmp_path: Path) -> None:
    machine = Machine(tmp_path, systemd=False)
    machine.install()
    assert machine.unit.exists()
    assert not [one for one in machine.ran if one.startswith("systemctl")]


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert len(list(install.steps(tmp_path, COMMAND, machine.run))) == 6
    assert (sorted(tmp_path.rglob("*")), machine.ran) == (before, [])


@pytest.mark.parametrize("place", ["/home", "/root", "/run/user"])
def test_an_installation_in_somebodys_home_is_no_service(place: str) -> None:
    with pytest.raises(SetupError, match="install it for all"):
        install.check_place([Path(place)])
    install.check_place([Path("/usr/bin")])


def test_a_folder_that_others_may_not_enter_is_no_place(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(SetupError, match="is one user's"):
        install.check_place([closed])


def test_what_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(SetupError, match="is not on this machine"):
        install._run(["no-such-program"])
    with pytest.raises(SetupError, match=r"^ls --no-such-option failed: "):
        install._run(["ls", "--no-such-option"])
    install._run(["true"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    def verify(change: Callable[[str], str]) -> str:
        file = tmp_path / "fleet-agent.service"
        file.write_text(change(install.unit(Path("/bin/true"))))
        done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
        return done.stderr

    assert verify(lambda text: text) == ""
    assert "Unknown key 'WatchDogSec'" in verify(lambda text: text.replace("WatchdogSec", "WatchDogSec"))


PACKAGING = Path(__file__).resolve().parent.parent.parent / "packaging"
SCRIPTS = sorted(
    path
    for path in PACKAGING.rglob("*")
    if path.is_file() and path.read_bytes().startswith((b"#!/bin/sh", b"#!/usr/bin/env"))
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_packaging_script_is_one(script: Path) -> None:
    shell = "sh" if script.read_bytes().startswith(b"#!/bin/sh") else "bash"
    subprocess.run([shell, "-n", script], check=True)
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("package", ["fleet-agent", "fleet-agent-onnx"])
def test_removing_a_package_takes_what_python_compiled_of_it_and_no_more(tmp_path: Path, package: str) -> None:
    ours, cache = tmp_path / "lib/ours", tmp_path / "lib/__pycache__"
    for folder in (ours / "__pycache__", cache):
        folder.mkdir(parents=True)
    listed = [tmp_path / "lib", tmp_path / "lib/one.py", ours, ours / "two.py", ours / "data.txt"]
    for file in (*listed[1:2], *listed[3:], tmp_path / "lib/theirs.py"):
        file.touch()
    compiled = [cache / "one.cpython-311.pyc", ours / "__pycache__/two.cpython-311.pyc"]
    others = cache / "theirs.cpython-311.pyc"
    for file in (*compiled, others):
        file.touch()
    dpkg = tmp_path / "bin/dpkg"
    dpkg.parent.mkdir()
    dpkg.write_text('#!/bin/sh\n[ "$1" = -L ] && printf "%s\\n" ' + " ".join(f"'{path}'" for path in listed))
    dpkg.chmod(0o755)
    script = PACKAGING / "deb" / package / "prerm"
    subprocess.run(["sh", script, "upgrade"], env={"PATH": f"{dpkg.parent}:/usr/bin:/bin"}, check=True)
    assert not [file for file in compiled if file.exists()]
    assert not (ours / "__pycache__").exists()
    assert others.exists()
    assert all(path.exists() for path in listed)


@pytest.mark.parametrize(("script", "action"), [("postinst", "configure"), ("postrm", "remove")])
def test_an_agent_that_gains_or_loses_a_runtime_is_restarted_once(tmp_path: Path, script: str, action: str) -> None:
    """And one that is gone by then is no reason to fail."""
    told, systemd = tmp_path / "told", tmp_path / "systemd"
    systemd.mkdir()
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {told}\n[ {script} = postinst ] || exit 5\n')
    systemctl.chmod(0o755)
    text = (PACKAGING / "deb" / "fleet-agent-onnx" / script).read_text()
    text = text.replace("/run/systemd/system", str(systemd)).replace("/usr/lib/fleet-agent/bin/python3", "true")
    for words in (["upgrade"], [action]):
        subprocess.run(["sh", "-c", text, "sh", *words], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    assert told.read_text() == "try-restart fleet-agent\n"
