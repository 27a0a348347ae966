"""A Python whose ``onnxruntime`` is an attacker: what runs when a worker loads a model is in the model's own hands.

Its model is JSON: ``{"attack": NAME, "facts": {...}}``. The attack is made while the model is loaded; the one output of
a request is its outcome, as ``attacks.outcome`` tells it.
"""

import subprocess
import sys
from pathlib import Path

_RUNTIME = """
import json
import os
import threading

import numpy
import attacks

if os.path.exists({stray!r}):
    threading.Thread(target=threading.Event().wait, daemon=True).start()


class SessionOptions:
    def add_session_config_entry(self, *_):
        pass


class _Node:
    type = "tensor(float)"
    shape = [1, 4]

    def __init__(self, name):
        self.name = name


def get_available_providers():
    return ["CPUExecutionProvider"]


class InferenceSession:
    def __init__(self, path, options, providers):
        with open(path, "rb") as file:
            model = json.loads(file.read())
        self._outcome = attacks.outcome(model["attack"], model["facts"])

    def get_providers(self):
        return ["CPUExecutionProvider"]

    def get_inputs(self):
        return [_Node("x")]

    def get_outputs(self):
        return [_Node("y")]

    def run(self, names, inputs):
        return [numpy.full((1, 4), self._outcome, "float32")]
"""


def python(folder: Path) -> Path:
    """Make the interpreter below ``folder``. A file ``stray`` there makes the runtime leave a thread behind."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    site = next((folder / "venv" / "lib").glob("python3*")) / "site-packages"
    package = site / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text(_RUNTIME.format(stray=str(folder / "stray")))
    (site / "onnxruntime-1.32.0.dist-info").mkdir()
    (site / "attacks.py").write_bytes((Path(__file__).parent / "attacks.py").read_bytes())
    # The worker's own modules and numpy come from where this interpreter has them, after the attacker's.
    (site / "others.pth").write_text("\n".join(entry for entry in sys.path if Path(entry).is_dir()))
    return folder / "venv" / "bin" / "python"
