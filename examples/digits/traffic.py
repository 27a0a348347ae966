"""Send the 450 test images to a device's local API, over and over, and count what comes back.

    python traffic.py 127.0.0.1:8080                 # until Ctrl-C; exit 1 when any request failed
    python traffic.py unix:/run/dunlin/api.sock --binary --rounds 1

The API is the Open Inference Protocol v2; `--binary` sends and asks for raw tensors (the binary tensor extension),
otherwise everything is JSON. A request counts as failed when no valid answer to it came: there are no retries, so a
switch from one release to the next that drops a request shows here.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).resolve().parent / "models"
MODEL = "digits"
INPUT, OUTPUT = "image", "scores"
CLASSES = 10


class TrafficError(Exception):
    """A request that got no valid answer."""


@dataclass(frozen=True)
class TestSet:
    """The test images: `images` float32 [450, 8, 8, 1], `labels` int [450]."""

    __test__ = False  # not a class of tests, whatever pytest thinks of its name

    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def load(cls, path: Path = MODELS / "test_images.npz") -> TestSet:
        with np.load(path) as data:
            return cls(data["images"], data["labels"])


@dataclass(frozen=True)
class Answer:
    """What one request returned: the version that answered and the digit with the highest score."""

    version: str
    digit: int


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """One connection to the local API at `address`: `HOST:PORT`, or `unix:PATH`."""

    def __init__(self, address: str, *, binary: bool = False, timeout_s: float = 60.0) -> None:
        self._connection: http.client.HTTPConnection
        if address.startswith("unix:"):
            self._connection = _UnixConnection(address.removeprefix("unix:"), timeout_s)
        else:
            self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=timeout_s)
        self._binary = binary

    def close(self) -> None:
        self._connection.close()

    def ready(self) -> bool:
        """Whether the device serves the model now; never raises."""
        try:
            return self._request("GET", f"/v2/models/{MODEL}/ready", None, {})[0] == http.HTTPStatus.OK
        except TrafficError:
            return False

    def infer(self, image: np.ndarray) -> Answer:
        """Ask for the digit in one float32 [8, 8, 1] image.

        Raises:
            TrafficError: no answer, an error status, or an answer that is not one.
        """
        tensor: dict[str, Any] = {"name": INPUT, "shape": [1, *image.shape], "datatype": "FP32"}
        request: dict[str, Any] = {"inputs": [tensor], "outputs": [{"name": OUTPUT}]}
        headers = {"Content-Type": "application/json"}
        raw = b""
        if self._binary:
            raw = image.astype("<f4").tobytes()
            tensor["parameters"] = {"binary_data_size": len(raw)}
            request["outputs"][0]["parameters"] = {"binary_data": True}
            headers = {"Content-Type": "application/octet-stream"}
        else:
            tensor["data"] = image.ravel().tolist()
        text = json.dumps(request).encode()
        if self._binary:
            headers["Inference-Header-Content-Length"] = str(len(text))
        status, answer_headers, body = self._request("POST", f"/v2/models/{MODEL}/infer", text + raw, headers)
        if status != http.HTTPStatus.OK:
            raise TrafficError(f"status {status}: {body[:200].decode('utf-8', 'replace')}")
        try:
            return _answer(answer_headers.get("Inference-Header-Content-Length"), body)
        except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
            raise TrafficError(f"not an inference response: {error!r}") from error

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request starts afresh
            raise TrafficError(f"{type(error).__name__}: {error}") from error


def _answer(header_length: str | None, body: bytes) -> Answer:
    head = body if header_length is None else body[: int(header_length)]
    response = json.loads(head)
    output = next(o for o in response["outputs"] if o["name"] == OUTPUT)
    if "data" in output:
        scores = [float(value) for value in output["data"]]
    else:
        size = output["parameters"]["binary_data_size"]
        scores = list(struct.unpack(f"<{size // 4}f", body[len(head) : len(head) + size]))
    if len(scores) != CLASSES or not all(map(math.isfinite, scores)):
        raise ValueError(f"{len(scores)} scores, of which some may not be numbers")
    return Answer(str(response["model_version"]), scores.index(max(scores)))


def predict(client: Client, test_set: TestSet) -> list[Answer]:
    """Answers to all test images, in order.

    Raises:
        TrafficError: the first request that failed.
    """
    return [client.infer(image) for image in test_set.images]


@dataclass
class VersionCount:
    """Requests that one version answered, and how many of the answers were the right digit."""

    requests: int = 0
    right: int = 0


@dataclass
class Counts:
    """What a client saw so far. `errors` holds the first few failures' texts, with the number of their request."""

    requests: int = 0
    failures: int = 0
    slowest_s: float = 0.0
    versions: dict[str, VersionCount] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def line(self) -> str:
        shown = [f"{self.requests} requests", f"{self.failures} failures", f"slowest {self.slowest_s * 1000:.1f} ms"]
        for version, count in self.versions.items():
            shown.append(f"{version}: {count.requests} ({count.right / count.requests:.1%} right)")
        return "  ".join(shown)


class Traffic(threading.Thread):
    """A thread that keeps one request in flight until `stop()`; read `counts` at any time."""

    def __init__(
        self,
        address: str,
        *,
        test_set: TestSet | None = None,
        binary: bool = False,
        pause_s: float = 0.0,
        rounds: int | None = None,
    ) -> None:
        super().__init__(name=f"traffic to {address}", daemon=True)
        self.counts = Counts()
        self._test_set = test_set or TestSet.load()
        self._client = Client(address, binary=binary)
        self._pause_s = pause_s
        self._rounds = rounds
        self._stop_asked = threading.Event()

    def run(self) -> None:
        done = 0
        while self._rounds is None or done < self._rounds:
            for image, label in zip(self._test_set.images, self._test_set.labels, strict=True):
                if self._stop_asked.is_set():
                    return
                self._one(image, int(label))
                if self._pause_s:
                    self._stop_asked.wait(self._pause_s)
            done += 1

    def _one(self, image: np.ndarray, label: int) -> None:
        counts, started = self.counts, time.monotonic()
        try:
            answer = self._client.infer(image)
        except TrafficError as error:
            counts.failures += 1
            if len(counts.errors) < 20:
                counts.errors.append(f"request {counts.requests + 1}: {error}")
            self._stop_asked.wait(0.1)  # a device that is down is not asked a thousand times a second
        else:
            version = counts.versions.setdefault(answer.version, VersionCount())
            version.right += answer.digit == label
            version.requests += 1
        counts.requests += 1
        counts.slowest_s = max(counts.slowest_s, time.monotonic() - started)

    def stop(self) -> Counts:
        """Let the request in flight finish and return what was counted."""
        self._stop_asked.set()
        self.join()
        self._client.close()
        return self.counts


def main() -> int:
    parser = argparse.ArgumentParser(description="send the digits test images to a device's local API and count")
    parser.add_argument("address", help="HOST:PORT, or unix:PATH")
    parser.add_argument("--binary", action="store_true", help="raw tensors instead of JSON numbers")
    parser.add_argument("--rounds", type=int, help="how many times to send all images (default: until Ctrl-C)")
    parser.add_argument("--pause-ms", type=float, default=0.0, help="wait between two requests")
    options = parser.parse_args()
    traffic = Traffic(options.address, binary=options.binary, pause_s=options.pause_ms / 1000, rounds=options.rounds)
    traffic.start()
    try:
        while traffic.is_alive():
            traffic.join(1.0)
            print(traffic.counts.line(), flush=True)
    except KeyboardInterrupt:
        print(traffic.stop().line())
    for error in traffic.counts.errors:
        print(error, file=sys.stderr)
    return 1 if traffic.counts.failures else 0


if __name__ == "__main__":
    sys.exit(main())
