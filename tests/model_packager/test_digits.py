"""The example is what its README says, and its traffic client tells answers from failures."""

import importlib.util
import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.model_packager.conftest import DIGITS

MODELS = DIGITS / "models"


def _load_traffic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_traffic", DIGITS / "traffic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


traffic = _load_traffic()


def predictions(file: str) -> np.ndarray:
    images = traffic.TestSet.load().images
    if file.endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(MODELS / file)
        return np.array([session.run(None, {"image": image[None]})[0].argmax() for image in images])
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(MODELS / file), num_threads=1).get_signature_runner()
    return np.array([run(image=image[None])["scores"].argmax() for image in images])


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_v2_is_good_and_v1_differs_from_it(suffix: str) -> None:
    first, second = predictions(f"v1-int8.{suffix}"), predictions(f"v2-int8.{suffix}")
    labels = traffic.TestSet.load().labels
    assert len(labels) == 450
    assert np.mean(second == labels) > 0.97
    assert np.mean(first == labels) < 0.95
    assert np.count_nonzero(first != second) >= 10


def test_the_committed_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in MODELS.iterdir()) < 3_000_000


class _Device(BaseHTTPRequestHandler):
    """Speaks just enough of the protocol: the digit is the image's first value times ten."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cut = self.headers["Inference-Header-Content-Length"]
        head = json.loads(body if cut is None else body[: int(cut)])
        tensor = head["inputs"][0]
        values = tensor["data"] if cut is None else np.frombuffer(body[int(cut) :], "<f4").tolist()
        assert (tensor["name"], tensor["shape"], tensor["datatype"], len(values)) == ("image", [1, 8, 8, 1], "FP32", 64)
        digit = round(values[0] * 10)
        if digit == 9:
            self._send(503, {}, b'{"error": "busy"}')
            return
        scores = np.eye(10, dtype="<f4")[digit]
        output: dict[str, object] = {"name": "scores", "shape": [1, 10], "datatype": "FP32"}
        raw = b""
        if cut is None:
            output["data"] = scores.tolist()
        else:
            raw = scores.tobytes()
            output["parameters"] = {"binary_data_size": len(raw)}
        text = json.dumps({"model_name": "digits", "model_version": "1.0.0", "outputs": [output]}).encode()
        self._send(200, {} if cut is None else {"Inference-Header-Content-Length": str(len(text))}, text + raw)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(params=["tcp", "unix"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    server: socketserver.BaseServer
    if request.param == "tcp":
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Device)
        server, address = tcp, f"127.0.0.1:{tcp.server_address[1]}"
    else:
        server = socketserver.ThreadingUnixStreamServer(str(tmp_path / "api.sock"), _Device)
        address = f"unix:{tmp_path / 'api.sock'}"
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("binary", [False, True])
def test_traffic_counts_answers_and_failures(device: str, binary: bool) -> None:
    images = np.zeros((4, 8, 8, 1), np.float32)
    images[:, 0, 0, 0] = [0.1, 0.2, 0.3, 0.9]
    test_set = traffic.TestSet(images, np.array([1, 2, 7, 9]))
    client = traffic.Traffic(device, test_set=test_set, binary=binary, rounds=2)
    client.start()
    client.join()
    counts = client.stop()
    assert (counts.requests, counts.failures) == (8, 2)
    assert {version: (one.requests, one.right) for version, one in counts.versions.items()} == {"1.0.0": (6, 4)}
    assert counts.errors[0].startswith("request 4: status 503")


def test_a_device_that_is_down_is_a_failure_not_a_crash() -> None:
    client = traffic.Client("127.0.0.1:9")
    assert not client.ready()
    with pytest.raises(traffic.TrafficError, match="ConnectionRefusedError"):
        client.infer(np.zeros((8, 8, 1), np.float32))
