"""Sample inputs from ``.npz`` / ``.npy``, matched to a model's inputs. Child process only."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.manifest import Tensor
from model_packager.trial.runtimes import Array, RefusedError


def load(path: Path, inputs: Sequence[Tensor], most: int) -> list[list[Array]]:
    """At most ``most`` samples, each a list of arrays in the order of ``inputs``.

    An array of the input's own number of dimensions is cut along its first, where the model takes one at a time;
    with one dimension more, along that one.

    Raises:
        RefusedError: naming the file, the input, what it holds and what the model takes.
    """
    arrays = _read(path, inputs)
    columns = [_cut(path, arrays[tensor.name], tensor) for tensor in inputs]
    counts = {len(column) for column in columns}
    if len(counts) != 1:
        held = ", ".join(f"{len(column)} of {tensor.name!r}" for tensor, column in zip(inputs, columns, strict=True))
        raise RefusedError(f"{path}: every input needs equally many samples, but it holds {held}")
    count = min(counts.pop(), most)
    if count == 0:
        raise RefusedError(f"{path}: holds no samples")
    return [[column[at] for column in columns] for at in range(count)]


def _read(path: Path, inputs: Sequence[Tensor]) -> dict[str, Array]:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if len(inputs) != 1:
                raise RefusedError(f"{path}: the model has {len(inputs)} inputs: give an .npz with an array for each")
            return {inputs[0].name: loaded}
        with loaded:
            lacking = [tensor.name for tensor in inputs if tensor.name not in loaded.files]
            if lacking and len(inputs) == 1 and len(loaded.files) == 1:
                return {inputs[0].name: loaded[loaded.files[0]]}  # one array, one input: there is nothing to confuse
            if lacking:
                held = ", ".join(map(repr, loaded.files))
                raise RefusedError(f"{path}: has no array {lacking[0]!r}; it holds {held}: name arrays as the inputs")
            return {tensor.name: loaded[tensor.name] for tensor in inputs}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):
        raise RefusedError(
            f"{path}: not a .npy or .npz file of plain arrays: write it with numpy.save or savez"
        ) from None


def _cut(path: Path, array: Array, tensor: Tensor) -> list[Array]:
    wanted = f"the model takes {tensor.dtype} {_shape(tensor.shape)}"
    if array.dtype.name != tensor.dtype:
        raise RefusedError(f"{path}: {tensor.name!r} is {array.dtype.name}, but {wanted}: convert the samples")
    dimensions = len(tensor.shape)
    if array.ndim == dimensions + 1:
        parts = list(array)
    elif array.ndim == dimensions > 0 and tensor.shape[0] in (1, -1):
        parts = [array[at : at + 1] for at in range(len(array))]
    else:
        parts = [array]
    for part in parts:
        fits = part.ndim == dimensions and all(
            want in (-1, have) for want, have in zip(tensor.shape, part.shape, strict=True)
        )
        if not fits:
            raise RefusedError(f"{path}: {tensor.name!r} is {_shape(array.shape)}, but {wanted}, one for each sample")
        if np.issubdtype(part.dtype, np.floating) and not np.isfinite(part).all():
            raise RefusedError(f"{path}: {tensor.name!r} holds values that are not finite numbers")
    return [_little_endian(part) for part in parts]


def _little_endian(array: Array) -> NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _shape(shape: Sequence[int]) -> str:
    return "[" + ", ".join("?" if size < 0 else str(size) for size in shape) + "]"
