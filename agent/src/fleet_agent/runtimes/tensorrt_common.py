"""What building and running engines share. TensorRT 8.6 to 10; imported only where an engine is built or run."""

import importlib
from typing import Any

from fleet_agent.runtimes.errors import ModelLoadError, scrub

tensorrt: Any = importlib.import_module("tensorrt")
driver: Any = importlib.import_module("pycuda.driver")


class StaleEngineError(ModelLoadError):
    """The engine is for another GPU or TensorRT than is here now: build it anew."""

    code = "engine-stale"


class Words(tensorrt.ILogger):  # type: ignore[misc]  # the library has no types
    """TensorRT says why something failed to its logger only: the last error is kept, one printable line."""

    def __init__(self) -> None:
        tensorrt.ILogger.__init__(self)
        self.last = ""

    def log(self, severity: Any, text: str) -> None:
        """Called by TensorRT, from any of its threads."""
        if severity in (tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR):
            self.last = scrub(text)

    def why(self, otherwise: str) -> str:
        """The last error, or what to say without one."""
        return self.last or otherwise


def compute_capability() -> str:
    """Of the first GPU, such as ``8.7``. Raises what pycuda raises: there is none."""
    driver.init()
    major, minor = driver.Device(0).compute_capability()
    return f"{major}.{minor}"
