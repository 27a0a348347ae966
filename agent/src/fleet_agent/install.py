"""``fleet-agent install``: makes this installation a service that systemd starts and watches. Run again, it mends."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fleet_agent import files, paths
from fleet_agent.errors import SetupError

USER = "fleet-agent"
WORKER = "dunlin-worker"
PACKAGED = Path("/usr/lib/fleet-agent")
"""Where the Debian package installs."""
_UNIT = Path("etc/systemd/system/fleet-agent.service")
_TEMPLATE = Path(__file__).with_name("fleet-agent.service")
# ProtectHome= of the unit hides these from it.
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))
_USERADD = ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")

Run = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is not yet as it must be; ``what`` in words, ``do`` sees to it."""

    what: str
    do: Callable[[], object]


def unit(command: Path) -> str:
    """The unit that starts ``command``."""
    return _TEMPLATE.read_text("utf-8").replace("@COMMAND@", str(command))


def check_place(places: Sequence[Path]) -> None:
    """Whether a service of another user can start the agent from here.

    Raises:
        SetupError: not from these folders.
    """
    for place in places:
        real = place.resolve()
        closed = next((one for one in (real, *real.parents) if not one.stat().st_mode & stat.S_IXOTH), None)
        if closed is not None or any(real.is_relative_to(hidden) for hidden in _HIDDEN):
            raise SetupError(
                f"a service cannot start the agent from {real}, which is one user's: install it for all, with "
                f"python3 -m venv /usr/local/lib/fleet-agent, or take the Debian package"
            )


def steps(root: Path, command: Path, run: Run) -> Iterator[Step]:
    """What is left to do below ``root``, in order; each step is looked at when those before it are done."""
    users = _names(root / "etc/passwd")
    home = str(paths.DEFAULT)
    if USER not in users:
        yield Step(f"make the user {USER}", partial(run, [*_USERADD, "--home-dir", home, USER]))
    if WORKER not in users:
        yield Step(f"make the user {WORKER}", partial(run, [*_USERADD, "--home-dir", "/nonexistent", WORKER]))
    state = root / home.lstrip("/")
    if not state.is_dir():
        yield Step(f"make the folder {home}", partial(run, _install_folder(state)))
    file, text = root / _UNIT, unit(command)
    changed = not file.exists() or file.read_text("utf-8", "replace") != text
    if changed:
        yield Step(f"write /{_UNIT}", partial(_write, file, text))
    if not (root / "run/systemd/system").exists():
        return
    if changed:
        yield Step("tell systemd", partial(run, ["systemctl", "daemon-reload"]))
    if not (root / "etc/systemd/system/multi-user.target.wants/fleet-agent.service").is_symlink():
        yield Step("start it with the system", partial(run, ["systemctl", "enable", "fleet-agent"]))
    if (state / "enrolment.cbor").exists():
        verb = "restart" if changed else "start"
        yield Step(f"{verb} the agent", partial(run, ["systemctl", verb, "fleet-agent"]))


def install(*, dry: bool, say: Callable[[str], None]) -> None:
    """Do what is left to do, or with ``dry`` only say it.

    Raises:
        SetupError: not root, a place that will not do, or a step that failed.
    """
    if Path(sys.prefix) == PACKAGED:
        raise SetupError("the Debian package has made the service already: enrol, then systemctl start fleet-agent")
    command = Path(sys.prefix) / "bin" / "fleet-agent"
    check_place([Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), command])
    if not dry and os.geteuid() != 0:
        raise SetupError(
            "installing needs root: sudo fleet-agent install (with --dry-run it only says what it would do)"
        )
    for step in steps(Path("/"), command, _run):
        say(f"would {step.what}" if dry else step.what)
        if not dry:
            step.do()
    if not (paths.DEFAULT / "enrolment.cbor").exists():
        say(f"next: runuser -u {USER} -- {command} enroll --token-file - < TOKEN; systemctl start fleet-agent")


def _names(passwd: Path) -> set[str]:
    return {line.partition(":")[0] for line in passwd.read_text("utf-8", "replace").splitlines()}


def _install_folder(folder: Path) -> list[str]:
    return ["install", "--directory", "--mode", "0700", "--owner", USER, "--group", USER, str(folder)]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(file, text.encode(), 0o644)


def _run(words: Sequence[str]) -> None:
    program = shutil.which(words[0])
    if program is None:
        raise SetupError(f"{words[0]} is not on this machine: the agent's service needs a usual Linux with systemd")
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SetupError(f"{' '.join(words)} failed: {said[-1] if said else f'code {done.returncode}'}")
