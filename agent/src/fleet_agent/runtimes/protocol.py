"""What a runtime adapter is, and how a worker gets one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dunlin_contract.manifest import Io
from fleet_agent.runtimes.installed import find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Session(Protocol):
    """A loaded model. Not thread-safe: one caller at a time."""

    def run(self, inputs: "Sequence[Array]") -> "list[Array]":
        """Run once; inputs and outputs are in the order of the model's io, inputs already of its dtypes and shapes.

        Raises:
            ModelRunError: the runtime failed.
        """


def load(runtime: str, path: str, io: Io, threads: int) -> Session:
    """Load the model at ``path`` (``/proc/self/fd/N`` for a memfd; it may be closed afterwards).

    Raises:
        RuntimeMissingError: the runtime is not on this device.
        ModelLoadError: the runtime does not take the model.
        IoMismatchError: the model's tensors are not those of ``io``.
    """
    find(runtime)
    if runtime == "litert":
        from fleet_agent.runtimes.litert import LiteRtSession

        return LiteRtSession(path, io, threads)
    from fleet_agent.runtimes.onnx_runtime import OnnxRuntimeSession

    return OnnxRuntimeSession(path, io, threads)
