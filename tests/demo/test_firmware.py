"""A firmware that cannot be built takes nothing with it but the microcontroller, and says why."""

import os
from pathlib import Path

import pytest

from demo import firmware
from demo.programs import ProgramError
from demo.story import Story


@pytest.fixture
def broken_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CMake that configures, and then finds a mistake."""
    cmake = tmp_path / "bin" / "cmake"
    cmake.parent.mkdir()
    cmake.write_text("""#!/bin/sh
[ "$1" = --preset ] && exit 0
echo "[1/9] Building C object core.o"
echo "core.c:3:1: error: expected a mistake"
echo "ninja: build stopped: subcommand failed."
exit 1
""")
    cmake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cmake.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(firmware, "ROOT", tmp_path)


@pytest.mark.usefixtures("broken_compiler")
def test_the_first_line_is_the_compilers_first_error() -> None:
    with pytest.raises(ProgramError) as caught:
        firmware.build("host")
    first, *rest = str(caught.value).splitlines()
    assert first == "the firmware cannot be built: core.c:3:1: error: expected a mistake"
    assert "ninja: build stopped: subcommand failed." in rest


@pytest.mark.usefixtures("broken_compiler")
def test_the_story_goes_on_without_it_and_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "no_tflm", lambda: "")
    story = Story(tmp_path)
    story.build_microcontroller()
    ((claim, found, holds),) = story.claims
    assert claim == "a microcontroller takes part"
    assert found.endswith("core.c:3:1: error: expected a mistake")
    assert not holds


def test_where_its_models_cannot_run_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "no_tflm", lambda: "there is no wheel")
    story = Story(tmp_path)
    story.build_microcontroller()
    assert story.notes == ["no microcontroller took part: there is no wheel"]
    assert story.claims == []
