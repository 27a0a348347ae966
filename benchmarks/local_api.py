"""What the local API adds to a raw runtime call: p50 and p99 over both sockets, JSON and binary, in the same run.

Usage: ``python benchmarks/local_api.py [--requests N] [MODEL ...]``. It starts a front and a worker as the supervisor
would. "Two socket hops" passes the request's bytes through two processes that do nothing with them: what no server of
a front and a worker can go below on this machine. Without arguments it takes the digits example (int8 TFLite) and a
MobileNet-sized model: the quantized MobileNet of ``../shared/data`` beside the checkout, or where that is missing an
ONNX network of the same size made on the spot.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dunlin_contract.manifest import Io, Tensor
from fleet_agent.frames import BY_NAME
from fleet_agent.runtimes.protocol import load

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.agent.local_api_parts import Device, device  # noqa: E402 - the path is set above

MOBILENET = ROOT.parent / "shared" / "data" / "mobilenet_v1_0.25_128_quant.tflite"
BLOCK = 50  # requests of one kind before the next kind has its turn, so that all see the same busy machine


def main() -> None:
    """Measure and print."""
    hops = TwoHops()
    parser = argparse.ArgumentParser(prog="benchmarks/local_api.py", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="of each kind and model (default 2000)")
    parser.add_argument("models", nargs="*", type=Path, help=".tflite or .onnx files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = chosen_models(arguments.models, Path(folder))
        print("local API against the raw runtime call, microseconds (added: p50 less the raw call's p50)")
        print(f"{'model':<36}{'call':<22}{'p50':>9}{'p99':>9}{'ratio':>8}{'added':>9}")
        for number, model in enumerate(models):
            place = Path(folder) / str(number)
            place.mkdir()
            with device(place) as parts:
                report(model.stem[:34], measure(parts, model, arguments.requests, hops))


class TwoHops:
    """Processes that pass on what they are sent, and back: client, first, second, first, client."""

    def __init__(self) -> None:
        self._sock, first = socket.socketpair()
        forward, second = socket.socketpair()
        if not os.fork():
            _close(self._sock, second)
            _pass_on(first, forward)
        if not os.fork():
            _close(self._sock, first, forward)
            _pass_on(second, None)
        _close(first, forward, second)

    def ask(self, request: bytes) -> None:
        """There and back; requests of up to half a socket buffer."""
        self._sock.sendall(len(request).to_bytes(4, "big") + request)
        _exactly(self._sock)


def _pass_on(source: socket.socket, onward: socket.socket | None) -> None:
    while data := _exactly(source):
        if onward:
            onward.sendall(data)
            data = _exactly(onward)
        source.sendall(data)
    os._exit(0)


def _exactly(sock: socket.socket) -> bytes:
    data = sock.recv(1 << 20)
    while data and len(data) < 4 + int.from_bytes(data[:4], "big"):
        data += sock.recv(1 << 20)
    return data


def _close(*socks: socket.socket) -> None:
    for sock in socks:
        sock.close()


def measure(parts: Device, model: Path, requests: int, hops: TwoHops) -> dict[str, list[float]]:
    """Call -> times in us. The raw call comes first."""
    runtime = "litert" if model.suffix == ".tflite" else "onnxruntime"
    io = read_io(model)
    parts.front.serve(parts.worker(model, io, runtime), "bench", "1.0.0", io, runtime)
    rng = np.random.default_rng(1)
    arrays = [random_input(rng, tensor) for tensor in io.inputs]
    session = load(runtime, str(model), io, 1)
    calls: dict[str, Callable[[], object]] = {"raw runtime call": lambda: session.run(arrays)}
    passed = binary_request(io, arrays)
    calls["two socket hops"] = lambda: hops.ask(passed)
    clients = []
    for transport, connect in (("Unix socket", unix(parts.front.path)), ("TCP", tcp(parts.front.port))):
        for form, request in (("binary", binary_request(io, arrays)), ("JSON", json_request(io, arrays))):
            client = RawClient(connect())
            clients.append(client)
            calls[f"{transport}, {form}"] = lambda client=client, request=request: client.ask(request)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(BLOCK):
            call()
    while len(times["raw runtime call"]) < requests:
        for name, call in calls.items():
            for _ in range(BLOCK):
                start = time.perf_counter_ns()
                call()
                times[name].append((time.perf_counter_ns() - start) / 1000)
    for client in clients:
        client.close()
    return times


def report(name: str, times: dict[str, list[float]]) -> None:
    """One line a call."""
    baseline = float(np.percentile(times["raw runtime call"], 50))
    for call, taken in times.items():
        p50, p99 = np.percentile(taken, [50, 99])
        print(f"{name:<36}{call:<22}{p50:>9.1f}{p99:>9.1f}{p50 / baseline:>8.2f}{p50 - baseline:>9.1f}")


class RawClient:
    """The least that an HTTP client can do, so that the server's time is what is measured."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def ask(self, request: bytes) -> bytes:
        """Send a prepared request; returns the body of the answer."""
        self._sock.sendall(request)
        answer = self._sock.recv(65_536)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._sock.recv(65_536)
        head = answer[:end].lower()
        assert head.startswith(b"http/1.1 200"), answer[:400]
        at = head.index(b"content-length: ") + 16
        length = int(head[at:].split(b"\r\n", 1)[0])
        while len(answer) < end + 4 + length:
            answer += self._sock.recv(65_536)
        return answer[end + 4 :]

    def close(self) -> None:
        self._sock.close()


def unix(path: str) -> Callable[[], socket.socket]:
    """Connects to a Unix socket."""

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return sock

    return connect


def tcp(port: int) -> Callable[[], socket.socket]:
    """Connects to a port of this machine."""

    def connect() -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    return connect


def _request(body: bytes, extra: str = "") -> bytes:
    head = f"POST /v2/models/bench/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def binary_request(io: Io, arrays: list[np.ndarray]) -> bytes:
    """A whole infer request, tensors as binary data, which the answer has too."""
    described = [
        _described(tensor, array) | {"parameters": {"binary_data_size": array.nbytes}}
        for tensor, array in zip(io.inputs, arrays, strict=True)
    ]
    head = json.dumps({"inputs": described, "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(array.tobytes() for array in arrays)
    return _request(body, f"Inference-Header-Content-Length: {len(head)}\r\n")


def json_request(io: Io, arrays: list[np.ndarray]) -> bytes:
    """A whole infer request, tensors in JSON."""
    described = [
        _described(tensor, array) | {"data": array.ravel().tolist()}
        for tensor, array in zip(io.inputs, arrays, strict=True)
    ]
    return _request(json.dumps({"inputs": described}).encode())


def _described(tensor: Tensor, array: np.ndarray) -> dict[str, object]:
    return {"name": tensor.name, "datatype": BY_NAME[tensor.dtype].datatype, "shape": array.shape}


def random_input(rng: np.random.Generator, tensor: Tensor) -> np.ndarray:
    """An input of the tensor's type and shape, free sizes 1."""
    shape = [max(size, 1) for size in tensor.shape]
    if tensor.dtype.startswith("float"):
        return rng.random(shape).astype(tensor.dtype)
    return rng.integers(0, 100, shape).astype(tensor.dtype)


def read_io(model: Path) -> Io:
    """Io of a model file, as its runtime describes it."""
    if model.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        found = Interpreter(model_path=str(model))
        sides = [
            [(one["name"], np.dtype(one["dtype"]).name, one["shape"].tolist()) for one in side]
            for side in (found.get_input_details(), found.get_output_details())
        ]
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(model))
        dtypes = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}
        sides = [
            [(one.name, dtypes[one.type], [size if isinstance(size, int) else 1 for size in one.shape]) for one in side]
            for side in (session.get_inputs(), session.get_outputs())
        ]
    inputs, outputs = (
        tuple(Tensor(name=name, dtype=dtype, shape=tuple(shape)) for name, dtype, shape in side) for side in sides
    )
    return Io(inputs=inputs, outputs=outputs)


def chosen_models(named: list[Path], folder: Path) -> list[Path]:
    """The models that were named, else digits and one of MobileNet's size."""
    return named or [_digits(), MOBILENET if MOBILENET.exists() else _mobilenet_sized(folder)]


def _digits() -> Path:
    found = sorted((ROOT / "examples" / "digits").rglob("*.tflite"))
    if not found:
        raise SystemExit("benchmarks/local_api.py: no .tflite below examples/digits; name a model file instead")
    return found[0]


def _mobilenet_sized(folder: Path) -> Path:
    """MobileNetV1's shape at width 0.25 and 128 x 128 pixels, float32, with random weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(2)
    nodes, constants = [], []

    def convolve(source: str, channels: int, wide: int, kernel: int, stride: int, groups: int) -> str:
        name = f"c{len(nodes)}"
        weights = (rng.standard_normal((wide, channels // groups, kernel, kernel)) * 0.1).astype("float32")
        constants.append(numpy_helper.from_array(weights, f"{name}w"))
        pads = [kernel // 2] * 4
        nodes.append(
            helper.make_node("Conv", [source, f"{name}w"], [name], strides=[stride] * 2, pads=pads, group=groups)
        )
        nodes.append(helper.make_node("Relu", [name], [f"{name}r"]))
        return f"{name}r"

    layers = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    last, channels = convolve("image", 3, 8, 3, 2, 1), 8
    for wide, stride in layers:
        last = convolve(convolve(last, channels, channels, 3, stride, channels), channels, wide, 1, 1, 1)
        channels = wide
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pool"]))
    nodes.append(helper.make_node("Flatten", ["pool"], ["flat"]))
    constants.append(numpy_helper.from_array(rng.standard_normal((channels, 1001)).astype("float32"), "dense"))
    nodes.append(helper.make_node("MatMul", ["flat", "dense"], ["scores"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 128, 128])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1001])
    graph = helper.make_graph(nodes, "mobilenet-sized", [image], [scores], constants)
    path = folder / "mobilenet-sized.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


if __name__ == "__main__":
    main()
