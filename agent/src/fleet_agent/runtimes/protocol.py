"""What a runtime adapter is, and how a worker gets one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dunlin_contract.manifest import Io
from fleet_agent.runtimes.errors import RuntimeMissingError, runtime_call
from fleet_agent.runtimes.installed import engine_version, find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


ENGINE = "tensorrt"
"""An engine that was built on this device."""


class Session(Protocol):
    """A loaded model. Not thread-safe: one caller at a time.

    ``runs_on``: the delegate that computes, one of ``fleet_agent.config.workers.DELEGATES``. ``note``: why it is not
    the one that was asked for, or empty. ``maps``: it reads the model from the file's own pages while it lives.
    """

    runs_on: str
    note: str
    maps: bool

    def run(self, inputs: "Sequence[Array]") -> "list[Array]":
        """Run once; inputs and outputs are in the order of the model's io, inputs already of its dtypes and shapes.

        Raises:
            ModelRunError: the runtime failed.
        """


def prepare(runtime: str) -> None:
    """Import what :func:`load` needs: a worker opens no more files once it may touch a model.

    Raises:
        RuntimeMissingError: the runtime is not on this device.
    """
    if runtime == ENGINE:
        engine_version()
        with runtime_call(RuntimeMissingError, "TensorRT does not start"):
            from fleet_agent.runtimes import tensorrt_engine  # noqa: F401
        return
    find(runtime)
    if runtime == "litert":
        from fleet_agent.runtimes import litert  # noqa: F401
    else:
        from fleet_agent.runtimes import onnx_runtime  # noqa: F401


def load(runtime: str, path: str, io: Io, threads: int, delegate: str = "cpu") -> Session:
    """Load the model at ``path`` (``/proc/self/fd/N`` for a memfd; it may be closed afterwards).

    A delegate that is not there does not keep a model from running: the CPU computes, and ``note`` says why.

    Raises:
        RuntimeMissingError: the runtime is not on this device.
        ModelLoadError: the runtime does not take the model.
        IoMismatchError: the model's tensors are not those of ``io``.
    """
    find(runtime)
    if runtime == "litert":
        from fleet_agent.runtimes.litert import LiteRtSession

        return LiteRtSession(path, io, threads, delegate)
    from fleet_agent.runtimes.onnx_runtime import OnnxRuntimeSession

    return OnnxRuntimeSession(path, io, threads, delegate)


def load_engine(path: str, io: Io, compute: str, rows: int) -> Session:
    """Load the engine at ``path``, which was built for a GPU of that compute capability and up to that many rows.

    Raises:
        RuntimeMissingError: TensorRT or pycuda is not on this device.
        ModelLoadError: TensorRT does not take it; code ``engine-stale``: it would take one that is built anew.
        IoMismatchError: its tensors are not those of ``io``.
    """
    from fleet_agent.runtimes.tensorrt_engine import EngineSession

    return EngineSession(path, io, compute, rows)
