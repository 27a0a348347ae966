"""Does a loaded model have the tensors that the signed manifest says? Pure: no runtime, no numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

from dunlin_contract.manifest import Tensor
from fleet_agent.runtimes.errors import IoMismatchError


@dataclass(frozen=True, slots=True)
class Port:
    """A tensor as the runtime describes it: every name it goes by, dtype as in the manifest, -1 for a free size."""

    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]


def match(side: str, wanted: Sequence[Tensor], found: Sequence[Port]) -> list[int]:
    """For each wanted tensor the place of its port; ``side`` is "input" or "output".

    Raises:
        IoMismatchError: naming the first tensor that differs, and how.
    """
    if len(wanted) != len(found):
        raise IoMismatchError(f"the manifest has {len(wanted)} {side}s, the model {len(found)}")
    places = []
    for tensor in wanted:
        place = next((at for at, port in enumerate(found) if tensor.name in port.names), None)
        if place is None:
            known = ", ".join(repr(port.names[0]) for port in found)
            raise IoMismatchError(f"the model has no {side} {tensor.name!r}; it has {known}")
        port = found[place]
        if tensor.dtype != port.dtype:
            raise IoMismatchError(
                f"{side} {tensor.name!r} is {port.dtype} in the model, {tensor.dtype} in the manifest"
            )
        if not _shapes_agree(side, tensor.shape, port.shape):
            was, said = _text(port.shape), _text(tensor.shape)
            raise IoMismatchError(f"{side} {tensor.name!r} is {was} in the model, {said} in the manifest")
        places.append(place)
    if len(set(places)) != len(places):
        raise IoMismatchError(f"two {side}s of the manifest are one in the model")
    return places


def _shapes_agree(side: str, wanted: Sequence[int], found: Sequence[int]) -> bool:
    """A manifest may fix a size that the model leaves free, but never free one that the model fixes.

    Runtimes are vague about outputs (LiteRT shows the sizes of its last allocation), so there only two fixed sizes
    that differ disagree.
    """
    if len(wanted) != len(found):
        return False
    for said, real in zip(wanted, found, strict=True):
        freed = said < 0 and side == "input"
        if real >= 0 and said != real and (said >= 0 or freed):
            return False
    return True


def _text(shape: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape) or "a scalar"
