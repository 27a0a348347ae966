"""Which targets there are: inventory.yaml, read into one dataclass a kind. Unknown words are errors, not ignored."""

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from demo.board import MACHINES


class InventoryError(Exception):
    """The inventory cannot be used; the text is one line that says what to change."""


@dataclass(frozen=True, slots=True)
class Host:
    """The firmware as a process of this machine."""

    default: bool = False


@dataclass(frozen=True, slots=True)
class Qemu:
    """The firmware on an emulated board. ``machine``: QEMU's name of it."""

    machine: str
    default: bool = False


@dataclass(frozen=True, slots=True)
class Serial:
    """A real board. ``line``: DEVICE[@BAUD]. ``erase``: a command after which it was never enrolled.

    ``power_off`` and ``power_on``: commands; without them, what needs a power cut is skipped.
    """

    line: str
    hardware_class: str
    erase: str
    power_off: str = ""
    power_on: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Ssh:
    """A Linux machine with fleet-agent. ``host``: what ssh takes, and the login asks for no password.

    ``ssh`` and ``agent``: the commands, here and there. ``state_dir``: a folder there for the scenarios' own devices.
    """

    host: str
    ssh: str = "ssh"
    agent: str = "fleet-agent"
    state_dir: str = "/var/tmp/dunlin-hil"  # noqa: S108 - of the other machine, and it outlives a restart
    power_off: str = ""
    power_on: str = ""
    default: bool = False


Entry = Host | Qemu | Serial | Ssh
KINDS: Mapping[str, type[Entry]] = {"host": Host, "qemu": Qemu, "serial": Serial, "ssh": Ssh}


def load(path: Path) -> dict[str, Entry]:
    """Read an inventory.

    Raises:
        InventoryError: with the file, the target and the word that is wrong.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"{path}: cannot be read ({error})") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InventoryError(f"{path}: {line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise InventoryError(f"{path}: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or not found:
        raise InventoryError(f"{path}: write one target a block, such as `host:` with `kind: host` below it")
    return {str(name): _entry(path, str(name), block) for name, block in found.items()}


def chosen(entries: Mapping[str, Entry], names: str) -> list[str]:
    """Names of the targets to run: those asked for (blank-separated), or the default ones.

    Raises:
        InventoryError: a name that is not in the inventory, or nothing to run.
    """
    wanted = names.split() or [name for name, entry in entries.items() if entry.default]
    for name in wanted:
        if name not in entries:
            raise InventoryError(f"no target {name}: the inventory has {', '.join(entries)}")
    if not wanted:
        raise InventoryError("no target has `default: true`: name some with TARGETS=")
    return wanted


def check_here(name: str, entry: Entry) -> None:
    """Say at once, and not after minutes of setting up, that this machine cannot reach a target.

    Raises:
        InventoryError: a line that is not there, or a command that is not installed.
    """
    if isinstance(entry, Serial):
        device = entry.line.partition("@")[0]
        if not Path(device).exists():
            raise InventoryError(f"{name}: {device} is not there: plug the board in, or correct its `line`")
        commands = [entry.erase, entry.power_off, entry.power_on]
    elif isinstance(entry, Ssh):
        commands = [entry.ssh, entry.power_off, entry.power_on]
    else:
        commands = []
    for command in filter(None, commands):
        try:
            program = shlex.split(command)[0]
        except (ValueError, IndexError):
            raise InventoryError(f"{name}: `{command}` is no command: mind its quotation marks") from None
        if shutil.which(program) is None:
            raise InventoryError(f"{name}: {program} is not installed, or not on the PATH")


def check_tflm(root: str) -> None:
    """Say at once that a folder is no checkout of TensorFlow Lite Micro; "" asks for none.

    Raises:
        InventoryError: naming the folder.
    """
    if root and not (Path(root) / "tensorflow/lite/micro/micro_interpreter.h").is_file():
        raise InventoryError(
            f"TFLM_ROOT {root} is no checkout of TensorFlow Lite Micro: see firmware_tflm/README.md, or leave it out"
        )


def _entry(path: Path, name: str, block: Any) -> Entry:
    where = f"{path}: {name}"
    if not isinstance(block, dict):
        raise InventoryError(f"{where}: needs a block with `kind`")
    kind = KINDS.get(str(block.get("kind")))
    if kind is None:
        raise InventoryError(f"{where}: kind is one of {', '.join(KINDS)}")
    known = {field.name: field for field in fields(kind)}
    words = {str(word): value for word, value in block.items() if word != "kind"}
    for word, value in words.items():
        if word not in known:
            raise InventoryError(f"{where}: {word} is not a word here; there are {', '.join(known)}")
        if not isinstance(value, bool if word == "default" else str):
            raise InventoryError(f"{where}: {word} must be {'true or false' if word == 'default' else 'text'}")
    for word, field in known.items():
        if field.default is MISSING and word not in words:
            raise InventoryError(f"{where}: {word} is missing")
    if kind is Qemu and words["machine"] not in MACHINES:
        raise InventoryError(f"{where}: machine is one of {', '.join(MACHINES)}")
    if ("power_off" in words) != ("power_on" in words):
        raise InventoryError(f"{where}: power_off and power_on go together")
    return kind(**words)
