"""Every call of tritonclient's HTTP clients, unmodified, against the real front and real workers over TCP."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from fleet_agent import __version__
from tests.agent import local_api_models as models
from tests.agent.conformance.parts import CLIENTS, LABELS, ROWS, A, B, given, served
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import Device


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with served(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(scope="module", params=list(CLIENTS))
def client(parts: Device, request: pytest.FixtureRequest) -> Iterator[Any]:
    made = CLIENTS[request.param](parts.front.url)
    yield made
    made.close()


def refused(call: Any) -> tuple[str, str]:
    """Status and text of the error that a call ends with."""
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status(), caught.value.message()


# what is there


def test_health(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("add")
    assert client.is_model_ready("add", "1.2.0")
    assert not client.is_model_ready("add", "2.0.0")
    assert not client.is_model_ready("nothing")


def test_metadata(client: Any) -> None:
    server = client.get_server_metadata(query_params={"a": [1, "x y"]}, headers={"X": "y"})
    assert (server["name"], server["version"]) == ("dunlin", __version__)
    assert {"binary_tensor_data", "classification", "statistics", "system_shared_memory"} <= set(server["extensions"])
    model = client.get_model_metadata("pair", "1.2.0")
    assert model["versions"] == ["1.2.0"]
    assert model["outputs"][1] == {"name": "b2", "datatype": "FP64", "shape": [2, 2]}


def test_config(client: Any) -> None:
    config = client.get_model_config("add", "1.2.0")
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("add", "onnxruntime", 0)
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 4]}]
    assert config["instance_group"] == [{"name": "add", "kind": "KIND_CPU", "count": 1}]
    assert "dynamic_batching" not in config
    assert refused(lambda: client.get_model_config("nothing"))[0] == "404"


def test_config_of_a_model_that_batches_leaves_the_rows_out(parts: Device, client: Any) -> None:
    parts.front.send(do="batch", worker=1, rows=8)
    parts.wait_for("add", "1.2.0")
    config = client.get_model_config("add")
    parts.front.send(do="batch", worker=1, rows=1)
    assert config["max_batch_size"] == 8
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 0


def test_repository(client: Any) -> None:
    index = client.get_model_repository_index()
    assert index[0] == {"name": "add", "version": "1.2.0", "state": "READY", "reason": ""}
    assert [entry["name"] for entry in index] == ["add", "pair"]
    for call in (
        lambda: client.load_model("add"),
        lambda: client.load_model("add", config="{}", files={"file:1/model.onnx": b"x" * 100}),
        lambda: client.unload_model("add", unload_dependents=True),
    ):
        status, text = refused(call)
        assert status == "403"
        assert "the fleet's to decide" in text


def test_trace_and_log_settings(client: Any) -> None:
    assert client.get_trace_settings()["trace_level"] == ["OFF"]
    assert client.get_trace_settings("add")["trace_rate"] == "0"
    assert client.get_log_settings()["log_info"] is True
    assert refused(lambda: client.update_trace_settings(settings={"trace_rate": "1"}))[0] == "501"
    assert refused(lambda: client.update_trace_settings("add", {"trace_rate": None}))[0] == "501"
    assert refused(lambda: client.update_log_settings({"log_info": True}))[0] == "501"
    assert refused(lambda: client.get_trace_settings("nothing"))[0] == "404"


def test_cuda_shared_memory_is_told_not_to_be_there(client: Any) -> None:
    assert client.get_cuda_shared_memory_status() == []
    assert refused(lambda: client.get_cuda_shared_memory_status("r"))[0] == "404"
    assert refused(lambda: client.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 64))[0] == "400"
    client.unregister_cuda_shared_memory("r")
    client.unregister_cuda_shared_memory()


# inference


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_several_inputs_and_outputs_in_every_form(client: Any, binary_in: bool, binary_out: bool) -> None:
    inputs = [given("b", B, binary=binary_in), given("a", A, binary=not binary_in)]
    outputs = [triton.InferRequestedOutput("b2", binary_out), triton.InferRequestedOutput("a2", not binary_out)]
    result = client.infer(
        "pair",
        inputs,
        model_version="1.2.0",
        outputs=outputs,
        request_id="r-17",
        priority=1,
        timeout=20_000_000,
        parameters={"k": "v", "n": 1, "f": 1.5, "b": True},
        query_params={"q": "1"},
        headers={"Authorization": "Bearer whatever"},
    )
    answer = result.get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("r-17", "pair", "1.2.0")
    assert [output["name"] for output in answer["outputs"]] == ["b2", "a2"]
    np.testing.assert_array_equal(result.as_numpy("a2"), A + A)
    np.testing.assert_array_equal(result.as_numpy("b2"), B * B)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("rows", [2, 5000])
def test_compression_both_ways(client: Any, encoding: str, rows: int) -> None:
    """Small bodies are packed in the event loop, large ones in a thread."""
    x = np.arange(rows * 4, dtype="float32").reshape(rows, 4)
    asked = {"request_compression_algorithm": encoding, "response_compression_algorithm": encoding}
    for binary in (True, False):
        result = client.infer(
            "add", [given("x", x, binary=binary)], outputs=[triton.InferRequestedOutput("y", binary)], **asked
        )
        np.testing.assert_array_equal(result.as_numpy("y"), x + 0.5)


@pytest.mark.parametrize("binary", [True, False])
def test_classification(client: Any, binary: bool) -> None:
    output = triton.InferRequestedOutput("y", binary_data=binary, class_count=2)
    classes = client.infer("add", [given("x", ROWS)], outputs=[output]).as_numpy("y")
    assert classes.shape == (2, 2)
    texts = [text.decode() if isinstance(text, bytes) else text for text in classes.ravel()]
    assert texts == ["4.500000:3", "3.500000:2", "8.500000:0", "7.500000:2"]
    more = triton.InferRequestedOutput("y", binary_data=binary, class_count=100)
    assert client.infer("add", [given("x", ROWS)], outputs=[more]).as_numpy("y").shape == (2, 4)


def test_classification_of_a_model_without_rows(client: Any) -> None:
    output = triton.InferRequestedOutput("a2", class_count=1)
    result = client.infer("pair", [given("a", A), given("b", B)], outputs=[output])
    assert result.as_numpy("a2").tolist() == [b"14:0"]


def test_classes_have_names_where_the_release_has_labels(parts: Device, client: Any) -> None:
    worker = parts.worker(models.add(parts.folder / "add", 0.5), ADD_IO)
    number = parts.front.attach(worker, "named", "1.0.0", ADD_IO, labels=LABELS.encode())
    parts.front.send(do="route", model="named", worker=number)
    parts.wait_for("named", "1.0.0")
    output = triton.InferRequestedOutput("y", class_count=3)
    classes = client.infer("named", [given("x", ROWS[:1])], outputs=[output]).as_numpy("y")
    # There are fewer names than classes: the rest have none.
    assert classes.tolist() == [[b"4.500000:3", b"3.500000:2:chat sauvage", b"2.500000:1:bee"]]
    parts.front.send(do="unroute", model="named")
    parts.front.send(do="detach", worker=number)
    parts.front.told("drained")


def test_sequences_are_refused(client: Any) -> None:
    for sequence in (7, "s7"):
        status, text = refused(lambda sequence=sequence: client.infer("add", [given("x", ROWS)], sequence_id=sequence))
        assert status == "400"
        assert "sequences are not kept" in text


def test_nan_goes_in_and_comes_out(client: Any) -> None:
    x = np.array([[np.nan, np.inf, 1, 2]], "float32")
    np.testing.assert_array_equal(client.infer("add", [given("x", x)]).as_numpy("y"), x + np.float32(0.5))


@pytest.mark.parametrize(
    ("model", "inputs", "status", "says"),
    [
        ("nothing", [given("x", ROWS)], "404", "serves no model 'nothing'"),
        ("add", [given("z", ROWS)], "400", "the model has no input 'z'; it takes 'x'"),
        ("add", [given("x", ROWS.astype("float64"))], "400", "datatype FP64; FP32 is expected"),
        ("add", [given("x", ROWS.T)], "400", "shape [4, 2]; [-1, 4] is expected"),
        ("add", [given("x", ROWS[:0])], "400", "shape [0, 4]"),
        ("pair", [given("a", A)], "400", "input 'b' is missing"),
    ],
    ids=["model", "name", "datatype", "shape", "no-rows", "missing"],
)
def test_what_is_wrong_is_said(client: Any, model: str, inputs: list[Any], status: str, says: str) -> None:
    told, text = refused(lambda: client.infer(model, inputs))
    assert told == status
    assert says in text


def test_a_version_that_is_not_served(client: Any) -> None:
    status, text = refused(lambda: client.infer("add", [given("x", ROWS)], model_version="9.9.9"))
    assert status == "404"
    assert "serves version 1.2.0, not '9.9.9'" in text


def test_async_infer_of_the_threaded_client(parts: Device) -> None:
    with triton.InferenceServerClient(parts.front.url, concurrency=4) as client:
        asked = [client.async_infer("add", [given("x", ROWS + number)]) for number in range(16)]
        for number, answer in enumerate(asked):
            np.testing.assert_array_equal(answer.get_result().as_numpy("y"), ROWS + number + 0.5)


# statistics


def test_statistics(parts: Device, client: Any) -> None:
    def numbers(**which: str) -> dict[str, Any]:
        return client.get_inference_statistics(**which)["model_stats"][0]

    before = numbers(model_name="add")
    for _ in range(3):
        client.infer("add", [given("x", ROWS)])
    with pytest.raises(InferenceServerException):
        client.infer("add", [given("x", ROWS.T)])
    after = numbers(model_name="add", model_version="1.2.0")
    assert (after["name"], after["version"]) == ("add", "1.2.0")
    assert after["inference_count"] - before["inference_count"] == 6
    assert after["execution_count"] - before["execution_count"] == 3
    was, now = before["inference_stats"], after["inference_stats"]
    for part in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert now[part]["count"] - was[part]["count"] == 3, part
        assert now[part]["ns"] > was[part]["ns"], part
    parts_ns = [now[part]["ns"] for part in ("queue", "compute_input", "compute_infer", "compute_output")]
    assert sum(parts_ns) == pytest.approx(now["success"]["ns"], rel=0.01)
    # A request that the model does not take is no failure of the model.
    assert now["fail"]["count"] == was["fail"]["count"]
    (batch,) = [batch for batch in after["batch_stats"] if batch["batch_size"] == 2]
    assert batch["compute_infer"]["count"] >= 3
    assert now["cache_hit"] == {"count": 0, "ns": 0}
    assert after["last_inference"] > 1_600_000_000_000
    assert [entry["name"] for entry in client.get_inference_statistics()["model_stats"]] == ["add", "pair"]
    assert refused(lambda: client.get_inference_statistics("nothing"))[0] == "404"
