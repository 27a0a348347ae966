"""The local API beside mlserver and beside the raw runtime: requests a second, p50 and p99, in the same run.

Usage: ``python benchmarks/serving.py [--seconds N] [--rounds N] [MODEL ...]``. mlserver gets an environment of its own
below ``build/``, made on the first run from ``requirements/bench-mlserver.txt``, with a runtime of a few lines
(``peers/mlserver_runtimes.py``); once in its own process and once with a worker process beside it. Its REST takes no
binary tensors, so JSON is compared with JSON, and binary stands beside it as what ours can do. Every server has every
block of time in turn, so that all see the same busy machine. Models are those of ``local_api.py``.
"""

import argparse
import array
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.local_api import (  # noqa: E402 - the path is set above
    RawClient,
    binary_request,
    chosen_models,
    json_request,
    random_input,
    read_io,
    tcp,
    unix,
)
from dunlin_contract.manifest import Io  # noqa: E402
from fleet_agent.runtimes.protocol import load  # noqa: E402
from tests.agent.local_api_parts import Device, device  # noqa: E402

ENVIRONMENT = ROOT / "build" / "mlserver"
REQUIREMENTS = ROOT / "requirements" / "bench-mlserver.txt"
CLIENTS = (1, 4, 8)
WARM_UP = 30
_START_S = 120.0
_BUSY = 1.5

Ask = Callable[[], object]


@dataclass(slots=True)
class Row:
    """One way to get answers. ``connect`` makes, in the client's own process, what asks once."""

    name: str
    connect: Callable[[], Ask]
    most_clients: int = max(CLIENTS)
    times: dict[int, list[float]] = field(default_factory=lambda: {clients: [] for clients in CLIENTS})
    spent_s: dict[int, float] = field(default_factory=lambda: dict.fromkeys(CLIENTS, 0.0))

    def per_s(self, clients: int) -> float:
        """Answers a second of all clients together."""
        return len(self.times[clients]) / self.spent_s[clients] if self.spent_s[clients] else 0.0

    def quantile_us(self, clients: int, share: float) -> float:
        """Time that this share of answers took at most."""
        return float(np.quantile(self.times[clients], share)) / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/serving.py", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each block (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each row and number of clients (default 5)")
    parser.add_argument("models", nargs="*", type=Path, help=".tflite or .onnx files")
    arguments = parser.parse_args()
    load_1m, cores = os.getloadavg()[0], os.cpu_count() or 1
    print(f"{cores} cores, load average {load_1m:.1f}")
    if load_1m > _BUSY * cores:
        print("this machine is busy with other work: take these figures for nothing")
    make_environment()
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(chosen_models(arguments.models, Path(folder))):
            place = Path(folder) / str(number)
            place.mkdir()
            with servers(model, place) as rows:
                measure(rows, arguments.rounds, arguments.seconds)
                report(model.stem[:34], rows)


def make_environment() -> None:
    """mlserver in an environment of its own: its dependencies are not ours."""
    stamp = ENVIRONMENT / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == REQUIREMENTS.read_bytes():
        return
    print("installing mlserver below build/", flush=True)
    uv = ROOT / ".tools" / "bin" / "uv"
    subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, ENVIRONMENT], check=True)
    python = ENVIRONMENT / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", REQUIREMENTS], check=True)
    stamp.write_bytes(REQUIREMENTS.read_bytes())


@contextmanager
def servers(model: Path, folder: Path) -> Iterator[list[Row]]:
    """All rows of a model, with their servers running."""
    runtime = "litert" if model.suffix == ".tflite" else "onnxruntime"
    io = read_io(model)
    rng = np.random.default_rng(1)
    arrays = [random_input(rng, tensor) for tensor in io.inputs]
    in_json, in_binary = json_request(io, arrays), binary_request(io, arrays)

    def over(connect: Callable[[], socket.socket], request: bytes) -> Callable[[], Ask]:
        def made() -> Ask:
            client = RawClient(connect())
            return lambda: client.ask(request)

        return made

    def raw() -> Ask:
        session = load(runtime, str(model), io, 1)
        return lambda: session.run(arrays)

    with ExitStack() as stack:
        rows = [Row("raw runtime", raw, most_clients=os.cpu_count() or 1)]
        for copies in (1, 2):
            place = folder / str(copies)
            place.mkdir()
            ours = stack.enter_context(device(place))
            serve(ours, model, io, runtime, copies)
            workers = "one worker" if copies == 1 else "two workers"
            rows.append(Row(f"{workers}, Unix, binary", over(unix(ours.front.path), in_binary)))
            rows.append(Row(f"{workers}, TCP, JSON", over(tcp(ours.front.port), in_json)))
        for parallel in (0, 1):
            port = stack.enter_context(mlserver(model, folder, parallel))
            what = "its own worker" if parallel else "one process"
            rows.append(Row(f"mlserver, {what}, JSON", over(tcp(port), in_json)))
        yield rows


def serve(ours: Device, model: Path, io: Io, runtime: str, copies: int) -> None:
    """Several workers of one version are copies of each other: the front shares requests between them."""
    for _ in range(copies):
        number = ours.front.attach(ours.worker(model, io, runtime), "bench", "1.0.0", io, runtime)
    ours.front.send(do="route", model="bench", worker=number)
    ours.wait_for("bench", "1.0.0")


@contextmanager
def mlserver(model: Path, folder: Path, parallel: int) -> Iterator[int]:
    """mlserver with the model; its port."""
    place = folder / f"mlserver-{parallel}"
    place.mkdir()
    port, grpc, metrics = _free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_port": metrics, "debug": False}
    (place / "settings.json").write_text(json.dumps(settings | {"parallel_workers": parallel}))
    kind = "LiteRt" if model.suffix == ".tflite" else "Onnx"
    about = {"name": "bench", "implementation": f"mlserver_runtimes.{kind}"}
    (place / "model-settings.json").write_text(
        json.dumps(about | {"parameters": {"uri": str(model.absolute()), "version": "1"}})
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "benchmarks" / "peers"),
        "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [ENVIRONMENT / "bin" / "mlserver", "start", place],
            env=environment,
            cwd=place,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_ready(process, port, place / "log")
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client = RawClient(socket.create_connection(("127.0.0.1", port), 5))
            client.ask(b"GET /v2/models/bench/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except (OSError, AssertionError, ValueError):
            time.sleep(0.2)
        else:
            client.close()
            return
    raise SystemExit(f"mlserver does not start; it says:\n{log.read_text(errors='replace')[-3000:]}")


def measure(rows: list[Row], rounds: int, seconds: float) -> None:
    """Blocks of all rows in turn."""
    for _ in range(rounds):
        for clients in CLIENTS:
            for row in rows:
                # More raw loops than cores would measure the scheduler.
                count = min(clients, row.most_clients)
                row.times[clients] += block(row.connect, count, seconds)
                row.spent_s[clients] += seconds


def block(connect: Callable[[], Ask], clients: int, seconds: float) -> list[float]:
    """Each client in a process of its own; times in ns of the answers that came within ``seconds``."""
    ready, readying = os.pipe()
    gate, opening = os.pipe()
    pipes = []
    for _ in range(clients):
        reading, writing = os.pipe()
        if not os.fork():
            status = 1
            try:
                os.close(opening)
                _client(connect, readying, gate, writing, seconds)
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        pipes.append(reading)
    os.close(readying)
    os.close(gate)
    for _ in range(clients):
        if not os.read(ready, 1):
            raise SystemExit("a client of the benchmark failed; what it said stands above")
    os.close(opening)
    taken: list[float] = []
    for pipe in pipes:
        with open(pipe, "rb") as file:
            taken += array.array("q", file.read())
    os.close(ready)
    for _ in range(clients):
        os.wait()
    return taken


def _client(connect: Callable[[], Ask], readying: int, gate: int, writing: int, seconds: float) -> None:
    ask = connect()
    for _ in range(WARM_UP):
        ask()
    os.write(readying, b"r")
    os.read(gate, 1)
    times = array.array("q")
    now = time.perf_counter_ns()
    end = now + int(seconds * 1e9)
    while now < end:
        ask()
        now, before = time.perf_counter_ns(), now
        times.append(now - before)
    with open(writing, "wb") as file:
        file.write(times.tobytes())


def report(name: str, rows: list[Row]) -> None:
    """A table, and what it says of the goals."""
    print(f"\n{name}")
    print(f"{'':<34}" + "".join(f"{f'{clients} client(s)':>30}" for clients in CLIENTS))
    print(f"{'':<34}" + f"{'per s':>10}{'p50 us':>10}{'p99 us':>10}" * len(CLIENTS))
    for row in rows:
        cells = "".join(
            f"{row.per_s(clients):>10.0f}{row.quantile_us(clients, 0.5):>10.0f}{row.quantile_us(clients, 0.99):>10.0f}"
            for clients in CLIENTS
        )
        print(f"{row.name:<34}{cells}")
    raw, one_binary, one_json, two_binary, two_json, *peers = rows
    added = one_binary.quantile_us(1, 0.5) - raw.quantile_us(1, 0.5)
    print(
        f"one client over the Unix socket, binary: the raw call's p50 + {added:.0f} us (goal for digits: at most 150)"
    )
    for clients in CLIENTS:
        peer = max(row.per_s(clients) for row in peers)
        ours = max(one_json.per_s(clients), two_json.per_s(clients))
        print(
            f"{clients} client(s), JSON: {one_json.per_s(clients) / peer:.1f} times mlserver's requests a second with "
            f"one worker, {ours / peer:.1f} times at best (goal: at least 2); in binary, which mlserver's REST does "
            f"not take, {max(one_binary.per_s(clients), two_binary.per_s(clients)) / peer:.1f} times"
        )
    best = max(row.per_s(clients) for row in (one_binary, two_binary) for clients in CLIENTS)
    alone = raw.per_s(1)
    print(
        f"at best {100 * best / alone:.0f} % of one raw loop's runs a second, "
        f"{100 * best / max(raw.per_s(clients) for clients in CLIENTS):.0f} % of as many raw loops as there are cores "
        "(goal for the MobileNet-sized model: at least 90 % of the raw runtime)"
    )


if __name__ == "__main__":
    main()
