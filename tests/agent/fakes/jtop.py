"""jetson-stats 7: its client, of which a board with the running service is asked."""

import threading
import time
from pathlib import Path


class JtopException(Exception):
    def __init__(self, message, errors=""):
        super().__init__(message, errors)
        self.message = message

    def __str__(self):
        return str(self.message)


class _Mode:
    name = "MODE_15W"
    id = 2


class jtop(threading.Thread):
    def __init__(self, interval=0.5):
        super().__init__(daemon=True)
        self._fault = Path(__file__).with_name("fault").read_text()

    def __enter__(self):
        if self._fault == "stopped":
            raise JtopException("The jtop.service is not active. Please run:\nsudo jtop --install-service")
        if self._fault == "group":
            raise JtopException("I can't access jtop.service.\nPlease logout or reboot this board.")
        if self._fault == "hangs":
            time.sleep(600)
        if self._fault == "crashes":
            import ctypes

            ctypes.string_at(0)
        if self._fault == "other":
            raise TypeError("a bug of the library")
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        return trace is None

    def run(self):
        time.sleep(600)

    def ok(self, spin=False):
        return self._fault != "ended"

    @property
    def temperature(self):
        # Offline sensors say -256.
        return {
            "cpu": {"temp": 48.5, "online": True},
            "gpu": {"temp": 51.25, "online": True},
            "cv0": {"temp": -256, "online": False},
        }

    @property
    def gpu(self):
        return {"ga10b": {"type": "integrated", "status": {"railgate": False, "load": 37.4}, "freq": {"cur": 306000}}}

    @property
    def power(self):
        return {
            "rail": {"VDD_CPU_CV": {"power": 1200, "volt": 5000, "curr": 240}},
            "tot": {"volt": 5056, "curr": 1300, "power": 6573, "avg": 6500, "name": "VDD_IN"},
        }

    nvpmodel = _Mode()
