"""``POST /predict``: what the front passes to the worker, what it makes of the answer, and what it refuses."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.manifest import Postprocess
from fleet_agent import frames
from fleet_agent.frames import BY_NAME, NO_TIME, Image, Prediction, Request, Status, Tensor
from fleet_agent.front.limits import LIMITS
from tests.agent import local_api_models as models
from tests.agent.fake_worker import FakeWorker
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import Client, Device, Worker, device
from tests.agent.test_worker_images import bomb, encoded, looks, preprocess

JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
PREDICTIONS = (Prediction(2, 0.1, "cat"), Prediction(0, 1e-9, ""), Prediction(7, math.nan, "bée"))


def answer(request: Request) -> bytes:
    """Of a JPEG predictions, of a PNG with top_k 3 tensors, of other PNGs refusals."""
    assert isinstance(request.content, Image)
    if request.content.kind == "image/jpeg":
        return frames.pack_served(request.id, Status.SERVED, NO_TIME, [], PREDICTIONS)
    if request.content.top_k == 3:
        tensor = Tensor("y", BY_NAME["int8"], (2,), b"\x01\xff")
        return frames.pack_served(request.id, Status.SERVED, NO_TIME, [tensor])
    status = Status.LACKING if request.content.top_k else Status.REFUSED
    return frames.pack_unserved(request.id, status, NO_TIME, "the image says no")


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker(answer)


@pytest.fixture
def parts(tmp_path: Path, worker: FakeWorker) -> Iterator[Device]:
    with device(tmp_path) as made:
        made.front.serve(worker, "birds", "1.0.0", ADD_IO)
        made.wait_for("birds", "1.0.0")
        yield made


@pytest.fixture(params=["tcp", "unix"])
def client(parts: Device, request: pytest.FixtureRequest) -> Client:
    return parts.client(unix=request.param == "unix")


def test_an_image_gives_labels(client: Client, worker: FakeWorker) -> None:
    for path in ("/predict", "/predict/birds"):
        status, got = client.ask("POST", path, JPEG, {"Content-Type": "image/jpeg"})
        assert status == 200
        assert got == {
            "model": "birds",
            "version": "1.0.0",
            "predictions": [
                {"label": "cat", "index": 2, "score": 0.1},
                {"label": "", "index": 0, "score": 1e-9},
                {"label": "bée", "index": 7, "score": None},
            ],
        }
    assert [request.content for request in worker.requests] == [Image("image/jpeg", 0, JPEG)] * 2


def test_answers_name_the_release_that_gave_them(tmp_path: Path, parts: Device) -> None:
    parts.serve(parts.worker(models.add(tmp_path / "add", 1), ADD_IO), "add", "2.0.0", ADD_IO)
    connection = parts.client().connection
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    asked = json.dumps({"inputs": [tensor]})
    binary = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    for path, body, version in (
        ("/predict/birds", JPEG, "1.0.0"),
        ("/v2/models/add/infer", asked, "2.0.0"),
        ("/v2/models/add/infer", binary, "2.0.0"),
    ):
        connection.request("POST", path, body)
        response = connection.getresponse()
        response.read()
        assert response.headers["dunlin-release"] == hashlib.sha256(version.encode()).hexdigest()


def test_without_postprocessing_there_are_outputs(client: Client, worker: FakeWorker) -> None:
    status, got = client.ask("POST", "/predict/birds?top_k=3&x=y", PNG)
    assert status == 200
    assert got["outputs"] == [{"name": "y", "datatype": "INT8", "shape": [2], "data": [1, -1]}]
    assert worker.requests[0].content == Image("image/png", 3, PNG)


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        ("/predict/birds", PNG, {}, 400, "the image says no"),
        ("/predict/birds?top_k=5", PNG, {}, 501, "the image says no"),
        ("/predict/fish", JPEG, {}, 404, "no model 'fish'"),
        ("/predict/birds", b"GIF89a", {"Content-Type": "image/gif"}, 415, "'image/gif' is not taken"),
        ("/predict/birds", JPEG, {"Content-Type": "text/plain"}, 415, "'text/plain' is not taken"),
        (
            "/predict/birds",
            b"--x\r\n",
            {"Content-Type": "multipart/form-data; boundary=x"},
            415,
            "'multipart/form-data'",
        ),
        ("/predict/birds", b"GIF89a", {"Content-Type": "image/png"}, 415, "neither a JPEG nor a PNG"),
        ("/predict/birds", b"", {}, 415, "neither a JPEG nor a PNG"),
        ("/predict/birds", JPEG, {"Content-Encoding": "gzip"}, 415, "compressed already"),
        ("/predict/birds", JPEG + bytes(LIMITS.image_bytes), {}, 413, "bytes of image are not taken"),
        ("/predict/birds?top_k=0x1", JPEG, {}, 400, "top_k must be a number"),
        ("/predict/birds?top_k=1001", JPEG, {}, 400, "top_k must be a number"),
        ("/predict/birds?top_k=-1", JPEG, {}, 400, "top_k must be a number"),
    ],
    ids=range(13),
)
def test_what_is_refused(
    parts: Device, path: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    got, told = parts.client().ask("POST", path, body, headers)
    assert got == status
    assert says in told["error"]


def test_a_device_with_several_models_or_none_wants_a_name(tmp_path: Path) -> None:
    with device(tmp_path) as parts:
        status, told = parts.client().ask("POST", "/predict", JPEG)
        assert (status, "none yet" in told["error"]) == (400, True)
        for name in ("birds", "fish"):
            parts.front.serve(FakeWorker(answer), name, "1.0.0", ADD_IO)
            parts.wait_for(name, "1.0.0")
        status, told = parts.client().ask("POST", "/predict", JPEG)
        assert (status, "serves birds, fish" in told["error"]) == (400, True)


def test_a_real_worker_refuses_an_image_for_a_model_without_preprocessing(tmp_path: Path) -> None:
    with device(tmp_path) as parts:
        parts.serve(parts.worker(models.add(tmp_path / "add", 1), ADD_IO), "add", "1.0.0", ADD_IO)
        status, told = parts.client().ask("POST", "/predict", JPEG)
        assert status == 400
        assert "preprocess" in json.dumps(told)


def test_a_real_worker_names_what_it_sees_and_refuses_a_bomb(tmp_path: Path) -> None:
    io = looks(Postprocess(softmax=False, top_k=2, labels=2), preprocess(std=(100.0,) * 3))
    names = b"r1\ng1\nb1\nr2\ng2\nb2\n"
    with device(tmp_path) as parts:
        worker = Worker()
        parts.workers.append(worker)
        worker.load(models.look(tmp_path / "look", 1, 2, 3), "onnxruntime", io, labels=names)
        parts.front.serve(worker, "look", "1.0.0", io)
        parts.wait_for("look", "1.0.0")
        parts.serve(parts.worker(models.add(tmp_path / "add", 1), ADD_IO), "add", "1.0.0", ADD_IO)
        client = parts.client()
        picture = encoded(np.array([[[0, 200, 0], [0, 0, 100]]], "uint8"))
        status, got = client.ask("POST", "/predict/look", bytes(picture.data))
        assert (status, got["predictions"][0]) == (200, {"label": "g1", "index": 1, "score": 2.0})
        assert got["predictions"][1] == {"label": "b2", "index": 5, "score": 1.0}
        assert len(client.ask("POST", "/predict/look?top_k=3", bytes(picture.data))[1]["predictions"]) == 3
        for wrong in (bomb(60_000, 60_000).data, picture.data[: len(picture.data) // 2], JPEG):
            status, told = client.ask("POST", "/predict/look", bytes(wrong))
            assert (status, bool(told["error"])) == (400, True)
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
        assert client.infer("add", tensor)[0] == 200
