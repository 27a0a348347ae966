"""Server-sent results: what every request gave, what slow and returning readers are told, and how many there may be."""

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleet_agent import frames
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.stream import MOST_NUMBERS, Streams
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import PATIENCE_S, Device, device

X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
EVENT = "text/event-stream"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    folder: Path = tmp_path_factory.mktemp("api")
    with device(folder) as made:
        for name in ("one", "two"):
            made.serve(made.worker(models.add(folder / name, 1), ADD_IO), name, "1.0.0", ADD_IO)
        yield made


class Reader:
    """An open stream."""

    def __init__(self, parts: Device, *, unix: bool = False, last: str | None = None, model: str = "one") -> None:
        self.connection = parts.client(unix=unix).connection
        headers = {} if last is None else {"Last-Event-ID": last}
        self.connection.request("GET", f"/v2/models/{model}/stream", headers=headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def event(self) -> dict[str, Any]:
        """The next event: its fields, data decoded."""
        fields: dict[str, Any] = {}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line and "event" in fields:
                return fields | {"data": json.loads(fields["data"])}
            if line and not line.startswith(":"):
                key, _, value = line.partition(": ")
                fields[key] = value

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.mark.parametrize("unix", [False, True])
def test_every_result_comes_with_its_number(parts: Device, unix: bool) -> None:
    reader = Reader(parts, unix=unix)
    assert (reader.status, reader.response.headers["content-type"]) == (200, EVENT)
    client = parts.client()
    client.infer("two", X)
    client.infer("one", X, id="a")
    client.infer("one", X | {"shape": [4]})
    client.infer("one", X | {"data": [5, 6, 7, 8]})
    first, second = reader.event(), reader.event()
    assert first["event"] == "result"
    assert {key: first["data"][key] for key in ("model", "version", "id")} == {
        "model": "one",
        "version": "1.0.0",
        "id": "a",
    }
    assert first["data"]["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [2, 3, 4, 5]}]
    assert second["data"]["outputs"][0]["data"] == [6, 7, 8, 9]
    boot, _, number = first["id"].partition("-")
    assert second["id"] == f"{boot}-{int(number) + 1}"
    reader.close()


def test_a_large_output_is_told_by_its_shape(parts: Device) -> None:
    reader = Reader(parts)
    rows = MOST_NUMBERS // 4 + 1
    parts.client().infer("one", X | {"shape": [rows, 4], "data": [0] * rows * 4})
    assert reader.event()["data"]["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [rows, 4]}]
    reader.close()


def test_a_reader_that_comes_back_is_told_what_it_missed(parts: Device) -> None:
    reader = Reader(parts)
    client = parts.client()
    client.infer("one", X)
    last = reader.event()["id"]
    reader.close()
    for _ in range(3):
        client.infer("one", X)
    back = Reader(parts, last=last)
    assert back.event() == {"retry": "2000", "event": "gap", "data": {"missed": 3}}
    back.close()
    nothing_missed = Reader(parts, last=f"{last.partition('-')[0]}-{int(last.partition('-')[2]) + 3}")
    client.infer("one", X)
    assert nothing_missed.event()["event"] == "result"
    nothing_missed.close()
    other_boot = Reader(parts, last="cafe-1")
    assert other_boot.event()["data"] == {"missed": None}
    other_boot.close()


class SlowStream:
    """A stream that takes what it is told to take."""

    def __init__(self) -> None:
        self.takes = True
        self.got = b""

    def send(self, data: bytes) -> bool:
        if self.takes:
            self.got += data
        return self.takes

    def close(self) -> None: ...


class Asking(SimpleNamespace):
    """An exchange that asks for a stream."""

    def open(self, kind: bytes, gone: Callable[[], None]) -> SlowStream:
        assert kind == EVENT.encode()
        return self.stream

    def header(self, name: bytes) -> None: ...


async def test_a_slow_reader_loses_results_and_is_told_how_many() -> None:
    streams, slow, quick = Streams(LIMITS), SlowStream(), SlowStream()
    for stream in (slow, quick):
        streams.open(Asking(stream=stream), "one")
    worker = SimpleNamespace(model="one", version="1.0.0")
    response = frames.Response(1, frames.Status.SERVED, frames.NO_TIME, [], (), "")
    for takes in (True, False, False, False, True, True):
        slow.takes = takes
        streams.publish(worker, "", response, [])
    assert quick.got.count(b"event: result") == 6
    told = [line.partition(b": ")[2] for line in slow.got.splitlines() if line.startswith((b"event", b"id"))]
    numbers = [text.partition(b"-")[2] or text for text in told]
    assert numbers == [b"1", b"result", b"gap", b"5", b"result", b"6", b"result"]
    assert b'{"missed":3}' in slow.got


def test_readers_are_counted(parts: Device) -> None:
    readers = []
    while len(readers) < LIMITS.streams:
        reader = Reader(parts)
        if reader.status == 200:
            readers.append(reader)
    refused = Reader(parts)
    assert refused.status == 503
    assert parts.client().infer("one", X)[0] == 200
    assert b"dunlin_streams %d" % LIMITS.streams in _metrics(parts)
    for reader in readers:
        reader.close()
    # Those that hung up make room.
    while (again := Reader(parts)).status != 200:
        again.close()
    again.close()


def _metrics(parts: Device) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", parts.front.port, timeout=PATIENCE_S)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    return text


def test_a_model_that_is_not_there_has_no_stream(parts: Device) -> None:
    assert Reader(parts, model="nothing").status == 404
