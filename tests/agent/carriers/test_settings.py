"""Which carriers the agent's settings ask for."""

from pathlib import Path

import pytest

from fleet_agent.config import carriers, file
from fleet_agent.config.file import ConfigError


def _read(tmp_path: Path, text: str) -> carriers.Carriers:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return carriers.read(file.read(path))


def test_settings_say_which_carriers_there_are(tmp_path: Path) -> None:
    assert carriers.read(file.read(None)) == carriers.Carriers(http=True, usb=None)
    assert _read(tmp_path, '[carriers]\nhttp = false\nusb = "/media/usb"') == carriers.Carriers(
        http=False, usb=Path("/media/usb")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[carriers]\nusb = "media"', "whole path"),
        ("[carriers]\nusb = true", "must be text"),
        ("[carriers]\nhttps = true", "unknown key"),
        ('[carriers]\nhttp = "yes"', "true/false"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _read(tmp_path, text)
