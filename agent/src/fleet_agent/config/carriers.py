"""``[carriers]``: which ways of bringing releases to this device there are, besides its broker."""

from dataclasses import dataclass
from pathlib import Path

from fleet_agent.config.file import File


@dataclass(frozen=True, slots=True)
class Carriers:
    """``http``: ask the fleet's server for ranges of payloads. ``usb``: a folder to look for bundle files in."""

    http: bool = True
    usb: Path | None = None


def read(file: File) -> Carriers:
    """What the file says. Raises ConfigError: the folder's path is not absolute."""
    table = file.table("carriers")
    usb = table.get("usb")
    if usb is not None and (not Path(usb).is_absolute() or "\0" in usb):
        file.check.fail("usb must be the whole path of a folder, such as /media/usb", "usb")
    return Carriers(bool(table.get("http", True)), None if usb is None else Path(usb))
