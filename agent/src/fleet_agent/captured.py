"""A request that is kept, on its way from the process that saw it to the supervisor: in a memory file of the latter.

The file has room for one, and the supervisor says when it is free again: what waits is bounded, and what comes
meanwhile is not kept. No numpy here: the front uses it too.
"""

import fcntl
import os
from collections.abc import Sequence

from dunlin_contract.golden import TensorData
from dunlin_contract.limits import LIMITS
from dunlin_contract.results import Result
from fleet_agent.frames import Image, Tensor

REASONS = ("class", "disagreement", "margin", "random")
_RECORD_BYTES = 4096
"""More than a record has besides its tensors' data."""


def room() -> int:
    """An empty memory file for one request, which its user can make neither longer nor shorter."""
    fd = os.memfd_create("captured", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, LIMITS.result_bytes)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def pack(reason: str, content: Sequence[Tensor] | Image, outputs: Sequence[Tensor]) -> bytes:
    """A request and its answer; nothing if they are larger than what the fleet takes of one.

    An image is kept as it came, in one tensor that is named for its type. Model, release and number are the
    supervisor's to say.
    """
    tensors = [content] if isinstance(content, Image) else content
    if sum(len(one.data) for one in (*tensors, *outputs)) > LIMITS.result_bytes - _RECORD_BYTES:
        return b""
    data = Result(
        stream=bytes(16),
        n=1,
        time_s=0,
        uptime_s=0,
        kind="capture",
        model="m",
        release=bytes(32),
        reason=reason,
        inputs=_image(content) if isinstance(content, Image) else _tensors(content),
        outputs=_tensors(outputs),
    ).to_bytes()
    return data if len(data) <= LIMITS.result_bytes else b""


def unpack(fd: int, length: int) -> Result:
    """What lies in the memory file.

    Raises:
        ContractError: not a capture.
    """
    return Result.from_bytes(os.pread(fd, min(length, LIMITS.result_bytes), 0))


def _tensors(tensors: Sequence[Tensor]) -> tuple[TensorData, ...]:
    return tuple(
        TensorData(name=one.name, dtype=one.dtype.name, shape=one.shape, data=bytes(one.data)) for one in tensors
    )


def _image(image: Image) -> tuple[TensorData, ...]:
    data = bytes(image.data)
    return (TensorData(name=image.kind, dtype="uint8", shape=(len(data),), data=data),)
