"""The inventory: a closed vocabulary, one line for each mistake."""

from pathlib import Path

import pytest

from hil.conftest import INVENTORY
from hil.inventory import Host, InventoryError, Qemu, Serial, Ssh, check_here, check_tflm, chosen, load

BOARD = "esp:\n  kind: serial\n  line: /dev/ttyUSB0\n  hardware_class: esp32-s3\n  erase: 'true'\n"


def read(tmp_path: Path, text: str) -> object:
    file = tmp_path / "inventory.yaml"
    file.write_text(text)
    return load(file)


def test_ours_is_read_and_runs_what_is_simulated() -> None:
    entries = load(INVENTORY)
    assert entries["host"] == Host(default=True)
    assert entries["m55"] == Qemu(machine="mps3-an547", default=True)
    assert chosen(entries, "") == ["host", "m4", "m55", "here"]
    assert chosen(entries, "m4 host") == ["m4", "host"]


def test_its_examples_are_entries(tmp_path: Path) -> None:
    _, _, examples = INVENTORY.read_text().partition("# bench-esp32:")
    lines = [line.removeprefix("# ") for line in ("# bench-esp32:" + examples).splitlines()]
    found = load_text(tmp_path, "\n".join(line for line in lines if ":" in line and not line.startswith("A ")))
    assert isinstance(found["bench-esp32"], Serial)
    assert isinstance(found["pi"], Ssh)


def load_text(tmp_path: Path, text: str) -> dict[str, object]:
    file = tmp_path / "examples.yaml"
    file.write_text(text)
    return dict(load(file))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "write one target a block"),
        ("a: [", "inventory.yaml: line 1: expected"),
        ("a:\n  kind: host\n b: 1", "inventory.yaml: line 3: expected"),
        ("- a", "write one target a block"),
        ("a: 1", "a: needs a block with `kind`"),
        ("a:\n  kind: usb", "a: kind is one of host, qemu, serial, ssh"),
        ("a:\n  kind: qemu", "a: machine is missing"),
        ("a:\n  kind: qemu\n  machine: raspi3", "a: machine is one of mps2-an386, mps3-an547"),
        ("a:\n  kind: host\n  defualt: true", "a: defualt is not a word here; there are default"),
        ("a:\n  kind: host\n  default: 1", "a: default must be true or false"),
        (BOARD + "  power_off: 'off'", "esp: power_off and power_on go together"),
        (BOARD.replace("  line: /dev/ttyUSB0\n", ""), "esp: line is missing"),
        (BOARD.replace("esp32-s3", "3"), "esp: hardware_class must be text"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(InventoryError) as error:
        read(tmp_path, text)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_target_must_be_there(tmp_path: Path) -> None:
    entries = load_text(tmp_path, BOARD)
    with pytest.raises(InventoryError, match="no target m5: the inventory has esp"):
        chosen(entries, "m5")  # type: ignore[arg-type]
    with pytest.raises(InventoryError, match="no target has `default: true`: name some with TARGETS="):
        chosen(entries, "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (Serial("/dev/none@9600", "esp32-s3", "true"), "esp: /dev/none is not there: plug the board in"),
        (Serial("/dev/null", "esp32-s3", "no-such-program --now"), "esp: no-such-program is not installed"),
        (Serial("/dev/null", "esp32-s3", "true", "true", "no-such-program"), "esp: no-such-program is not installed"),
        (Serial("/dev/null", "esp32-s3", "true 'all"), "esp: `true 'all` is no command: mind its quotation marks"),
        (Ssh("pi", ssh="no-such-program"), "esp: no-such-program is not installed"),
    ],
)
def test_what_this_machine_lacks_is_said_before_anything_starts(entry: Serial | Ssh, line: str) -> None:
    with pytest.raises(InventoryError) as error:
        check_here("esp", entry)
    assert line in str(error.value)


def test_a_target_that_can_be_reached_passes() -> None:
    check_here("esp", Serial("/dev/null@115200", "esp32-s3", "true 'all of it'", "true", "true"))
    check_here("here", load(INVENTORY)["here"])


def test_a_folder_without_tensorflow_lite_micro_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=f"TFLM_ROOT {tmp_path} is no checkout of TensorFlow Lite Micro"):
        check_tflm(str(tmp_path))
    header = tmp_path / "tensorflow" / "lite" / "micro" / "micro_interpreter.h"
    header.parent.mkdir(parents=True)
    header.touch()
    check_tflm(str(tmp_path))
    check_tflm("")
