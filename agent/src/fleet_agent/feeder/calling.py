"""The local API over its Unix socket, as an app uses it: one input there, the model's outputs back."""

import http.client
import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from dunlin_contract.golden import TensorData
from dunlin_contract.limits import LIMITS
from fleet_agent.control import short
from fleet_agent.errors import line
from fleet_agent.feeder.errors import LaterError, NeverError

DEADLINE_S = 30.0
MOST_BYTES = 32 << 20
"""Of one input."""
_ANSWER_BYTES = 64 << 20
_NESTED = 8
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_TYPES = {
    "BOOL": ("bool", "?"),
    "INT8": ("int8", "b"),
    "UINT8": ("uint8", "B"),
    "INT16": ("int16", "h"),
    "UINT16": ("uint16", "H"),
    "FP16": ("float16", "e"),
    "INT32": ("int32", "i"),
    "UINT32": ("uint32", "I"),
    "FP32": ("float32", "f"),
    "INT64": ("int64", "q"),
    "UINT64": ("uint64", "Q"),
    "FP64": ("float64", "d"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. ``body`` is the local API's JSON, less what names the model; ``release``: what ran."""

    model: str
    version: str
    release: bytes
    body: Mapping[str, Any]

    def tensors(self) -> tuple[TensorData, ...]:
        """The outputs; of predictions, their ``index`` and ``score``.

        Raises:
            NeverError: there are none that can be written as tensors.
        """
        try:
            if "predictions" in self.body:
                given = self.body["predictions"]
                indexes = _tensor("index", "INT32", [len(given)], [one["index"] for one in given])
                return (indexes, _tensor("score", "FP32", [len(given)], [one["score"] for one in given]))
            outputs = [one for one in self.body["outputs"] if one["datatype"] in _TYPES]
            tensors = tuple(_tensor(one["name"], one["datatype"], one["shape"], one["data"]) for one in outputs)
        except (KeyError, TypeError, ValueError, struct.error, OverflowError) as error:
            raise NeverError(f"the local API's answer has no outputs ({type(error).__name__})") from None
        if not tensors or len(tensors) > LIMITS.tensors:
            raise NeverError("the local API's answer has no tensors")
        return tensors


class Model:
    """One model of this device, asked over a connection that is kept."""

    def __init__(self, api: Path, model: str) -> None:
        self._api = api
        self._model = model
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, data: bytes) -> Answer:
        """What the model says of a JPEG, a PNG, or the JSON body of an infer request.

        Raises:
            LaterError: nobody serves it now.
            NeverError: it does not take this input.
        """
        kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
        if kind is not None:
            path, headers = f"/predict/{self._model}", {"Content-Type": kind}
        elif data.lstrip()[:1] == b"{":
            path, headers = f"/v2/models/{self._model}/infer", {"Content-Type": "application/json"}
        else:
            raise NeverError("is neither a JPEG, a PNG nor the JSON of an infer request")
        status, release, answer = self._call(path, headers, data)
        if status != 200:
            text = answer.get("error", "")
            said = line(f"model {self._model}: {text or f'the local API answers {status}'}")
            # Not there, too many, being replaced, too slow: all of that passes.
            raise (LaterError if status in {404, 408, 429, 500, 502, 503, 504} else NeverError)(said)
        version = answer.pop("version", None) or answer.pop("model_version", "")
        for name in ("model", "model_name", "model_version", "id"):
            answer.pop(name, None)
        try:
            return Answer(self._model, str(version), bytes.fromhex(release), answer)
        except ValueError:
            raise NeverError("the local API's answer does not say which release gave it") from None

    def _call(self, path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, str, dict[str, Any]]:
        try:
            if self._connection is None:
                self._connection = _Unix(self._api)
            self._connection.request("POST", path, data, {**headers, "Accept-Encoding": "identity"})
            response = self._connection.getresponse()
            raw = response.read(_ANSWER_BYTES + 1)
            answer = json.loads(raw) if len(raw) <= _ANSWER_BYTES else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise LaterError(f"model {self._model} has not answered for {DEADLINE_S:.0f} s") from None
            raise LaterError(f"the local API does not answer: no model serves ({_reason(error)})") from None
        if not isinstance(answer, dict):
            self.close()
            raise NeverError("the local API's answer is no JSON object, or too long")
        return response.status, response.headers.get("dunlin-release", ""), answer

    def close(self) -> None:
        """Drop the connection; the next call makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        address, folder = short(self._path)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(address)
        finally:
            os.close(folder)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> TensorData:
    dtype, code = _TYPES[datatype]
    numbers = list(_flat(data, _NESTED))
    if len(numbers) != prod(shape):
        raise ValueError("the shape is of another size")
    if code in "efd":
        # JSON has no NaN and no infinity: the local API writes null.
        numbers = [float("nan") if one is None else one for one in numbers]
    return TensorData(name=name, dtype=dtype, shape=tuple(shape), data=struct.pack(f"<{len(numbers)}{code}", *numbers))


def _flat(data: Any, depth: int) -> list[Any]:
    if not isinstance(data, list) or depth == 0:
        return [data]
    return [one for part in data for one in _flat(part, depth - 1)] if any(isinstance(p, list) for p in data) else data
