"""tritonclient's two HTTP clients behind one set of calls, and the models that they are tried with."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import np_to_triton_dtype

from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, PAIR_IO
from tests.agent.local_api_parts import Device, device

ROWS = np.array([[1, 2, 3, 4], [8, 6, 7, 5]], "float32")
A, B = np.array([7, -7], "int32"), np.array([[1.5, 2.0], [0.1, -4.0]])
LABELS = "ant\nbee\nchat sauvage\n"


@contextmanager
def served(folder: Path, **order: object) -> Iterator[Device]:
    """``add`` (any number of rows) and ``pair`` (two inputs, two outputs), both 1.2.0, by real workers."""
    with device(folder, **order) as parts:
        parts.serve(parts.worker(models.add(folder / "add", 0.5), ADD_IO), "add", "1.2.0", ADD_IO)
        parts.serve(parts.worker(models.pair(folder / "pair"), PAIR_IO), "pair", "1.2.0", PAIR_IO)
        yield parts


class Aio:
    """The asyncio client, called as the other one is."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()

        async def made() -> triton_aio.InferenceServerClient:
            return triton_aio.InferenceServerClient(url)

        self._client = self._runner.run(made())

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *values, **named: self._runner.run(self._awaited(getattr(self._client, name), values, named))

    async def _awaited(self, call: Callable[..., Any], values: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return await call(*values, **named)

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


CLIENTS: dict[str, Callable[[str], Any]] = {"sync": triton.InferenceServerClient, "aio": Aio}


def given(name: str, array: np.ndarray, *, binary: bool = True) -> triton.InferInput:
    """An input that holds an array."""
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array, binary_data=binary)
    return made
