"""Whatever is sent, the front's parsers answer it or refuse it as the request's fault: no other error comes out."""

import json
from contextlib import suppress
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunlin_contract.manifest import Io
from fleet_agent.frames import BY_NAME, Tensor
from fleet_agent.front.answers import infer_answer
from fleet_agent.front.compression import inflate
from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.oip import parse_infer, raw_request
from fleet_agent.front.shared_memory import Memory, Regions
from tests.agent.local_api_models import ADD_IO, ECHO_IO, PAIR_IO

ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400) | st.just("r"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def table(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these keys, each right or odd."""
    return st.fixed_dictionaries({}, optional={key: value | ODD for key, value in fields.items()})


SIZES = st.integers(-1, 70)
PARAMETERS = table(
    binary_data_size=SIZES,
    binary_data=st.booleans(),
    classification=SIZES,
    shared_memory_region=st.just("r"),
    shared_memory_offset=SIZES,
    shared_memory_byte_size=SIZES,
    binary_data_output=st.booleans(),
    timeout=st.integers(),
    sequence_id=st.just(0),
)
NAMES = st.sampled_from(["x", "y", "a", "b", "a2", "b2"])
TENSORS = table(
    name=NAMES,
    datatype=st.sampled_from(["FP32", "INT32", "FP64", "BOOL"]),
    shape=st.lists(st.integers(-1, 4), max_size=3),
    data=st.lists(st.integers(-9, 9) | st.floats(), max_size=8),
    parameters=PARAMETERS,
)
REQUESTS = table(
    id=st.text(max_size=3),
    inputs=st.lists(TENSORS, max_size=3),
    outputs=st.lists(table(name=NAMES, parameters=PARAMETERS), max_size=3),
    parameters=PARAMETERS,
)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    folder: Path = tmp_path_factory.mktemp("shm")
    (folder / "r").write_bytes(bytes(64))
    regions = Regions(LIMITS, folder)
    regions.register((folder / "r").stat().st_uid, "r", {"key": "r", "byte_size": 64})
    peer = SimpleNamespace(uid=(folder / "r").stat().st_uid)
    return Memory(regions, SimpleNamespace(peer=peer, hold=lambda _: None))  # type: ignore[arg-type]


def outputs(io: Io) -> list[Tensor]:
    """What a model with that io could give."""
    shapes = [(spec, tuple(max(size, 2) for size in spec.shape)) for spec in io.outputs]
    return [
        Tensor(spec.name, BY_NAME[spec.dtype], shape, bytes(prod(shape) * BY_NAME[spec.dtype].bytes))
        for spec, shape in shapes
    ]


@given(request=REQUESTS, tail=st.binary(max_size=40), io=st.sampled_from([ADD_IO, PAIR_IO]))
def test_requests(memory: Memory, request: dict[str, Any], tail: bytes, io: Io) -> None:
    head = json.dumps(request).encode()
    worker = SimpleNamespace(io=io, model="m", version="1", header=b"", labels=("one",))
    with suppress(HttpError):
        parsed = parse_infer(head + tail, len(head), memory)
        parsed.arranged(io)
        infer_answer(worker, parsed, outputs(io))  # type: ignore[arg-type]


@given(body=st.binary(max_size=60), length=st.none() | st.integers(0, 80))
def test_bytes(memory: Memory, body: bytes, length: int | None) -> None:
    with suppress(HttpError):
        parse_infer(body, length, memory)
    for io in (ADD_IO, PAIR_IO, ECHO_IO):
        with suppress(HttpError):
            raw_request(body, io).arranged(io)
    with suppress(HttpError):
        inflate(body, 100)
