"""Vendors' libraries with the names, values and failures of the real ones. Each is copied to where it is imported.

What goes wrong is the text of the file ``fault`` beside the copy: the name of a failure, or nothing.
"""

import shutil
import subprocess
import sys
from pathlib import Path

FAKES = Path(__file__).parent


def put(folder: Path, name: str, fault: str = "") -> Path:
    """A copy of a fake in ``folder``, with what goes wrong."""
    folder.mkdir(exist_ok=True)
    if (FAKES / name).is_dir():
        shutil.copytree(FAKES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(FAKES / name, folder / name)
    (folder / "fault").write_text(fault)
    return folder / name


class Interpreter:
    """A Python that finds fakes before anything else, and everything that this one finds."""

    def __init__(self, folder: Path, fakes: dict[str, str]) -> None:
        """``fakes``: version of each, by the name of its file or folder."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.site = next((folder / "lib").glob("python3*")) / "site-packages"
        self.path = folder / "bin" / "python"
        for name, version in fakes.items():
            put(self.site, name)
            (self.site / f"{name}-{version}.dist-info").mkdir()
        (self.site / "others.pth").write_text("\n".join(entry for entry in sys.path if Path(entry).is_dir()))

    def fault(self, name: str) -> None:
        """Let something go wrong from now on, or nothing."""
        beside = self.site / "fault.new"
        beside.write_text(name)
        beside.replace(self.site / "fault")
