"""``GET /metrics``: Prometheus' text format 0.0.4, with Triton's names where Triton counts the same (core/metrics.cc).

Written by hand: the client library would take more memory than the rest of this process beside the interpreter.
What this device does not measure is left out, never shown as 0. Counters begin anew with each start of the front.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from fleet_agent.front.statistics import DURATIONS_S, Ledger

KIND = b"text/plain; version=0.0.4; charset=utf-8"
_TRITON_MS = (100, 500, 2000, 5000)  # Triton's histogram has these edges alone; all of them are edges here
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_Metric: TypeAlias = tuple[str, str, Callable[[Ledger], float]]
_COUNTERS: tuple[_Metric, ...] = (
    ("nv_inference_request_success", "Requests that were answered with outputs", lambda one: one.success.count),
    ("nv_inference_count", "Inferences (rows) that were run", lambda one: one.inferences),
    ("nv_inference_exec_count", "Runs of the model, each for one request or several", lambda one: one.executions),
    ("nv_inference_request_duration_us", "From whole requests to their answers", lambda one: one.success.ns // 1000),
    ("nv_inference_queue_duration_us", "Of that, waiting", lambda one: one.queue.ns // 1000),
    (
        "nv_inference_compute_input_duration_us",
        "Of that, making tensors",
        lambda one: one.phases.input_ns // 1000,
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Of that, the model itself",
        lambda one: one.phases.infer_ns // 1000,
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Of that, packing outputs",
        lambda one: one.phases.output_ns // 1000,
    ),
    ("dunlin_nonfinite_total", "Answers with a NaN or infinity that no input had", lambda one: one.nonfinite),
    ("dunlin_worker_lost_total", "Workers that died or were killed", lambda one: one.lost),
    ("dunlin_worker_hung_total", "Workers that were killed because they gave no answer", lambda one: one.hung),
)
_GAUGES: tuple[_Metric, ...] = (
    ("nv_model_load_duration_secs", "How long the runtime took to load the model", lambda one: one.load_ms / 1000),
    ("dunlin_worker_loaded_rss_bytes", "Memory of the worker when it had loaded", lambda one: one.rss),
)


@dataclass(frozen=True, slots=True)
class Now:
    """What is not in the ledgers: open connections, readers of streams, and what waits for each ledger's workers."""

    connections: int
    streams: int
    pending: Sequence[int]


def text(ledgers: list[Ledger], now: Now, proc: Path = Path("/proc")) -> bytes:
    """The whole answer."""
    lines = [*_models(ledgers, now), *_front(now), *_machine(proc)]
    return ("\n".join(lines) + "\n").encode()


def _models(ledgers: list[Ledger], now: Now) -> Iterator[str]:
    labels = [{"model": ledger.model, "version": ledger.version} for ledger in ledgers]
    for kind, table in (("counter", _COUNTERS), ("gauge", _GAUGES)):
        for name, meaning, of in table:
            yield from _family(name, kind, meaning, zip(labels, map(of, ledgers), strict=True))
    failures = [
        (known | {"reason": reason}, count)
        for known, ledger in zip(labels, ledgers, strict=True)
        for reason, count in ledger.failures.items()
    ]
    yield from _family("nv_inference_request_failure", "counter", "Requests without outputs, by reason", failures)
    pending = zip(labels, now.pending, strict=True)
    yield from _family("nv_inference_pending_request_count", "gauge", "Requests that wait or run", pending)
    yield from _histograms(labels, ledgers)


def _histograms(labels: list[dict[str, str]], ledgers: list[Ledger]) -> Iterator[str]:
    triton, ours = "nv_inference_first_response_histogram_ms", "dunlin_request_duration_seconds"
    for name, edges, scale in (
        (triton, [(f"{edge}", DURATIONS_S.index(edge / 1000)) for edge in _TRITON_MS], 1e6),
        (ours, [(f"{edge:g}", place) for place, edge in enumerate(DURATIONS_S)], 1e9),
    ):
        yield from _head(name, "histogram", "From whole requests to their answers")
        for known, ledger in zip(labels, ledgers, strict=True):
            sums = list(accumulate(ledger.durations))
            for shown, place in edges:
                yield _line(f"{name}_bucket", known | {"le": shown}, sums[place])
            yield _line(f"{name}_bucket", known | {"le": "+Inf"}, sums[-1])
            yield _line(f"{name}_sum", known, ledger.success.ns / scale)
            yield _line(f"{name}_count", known, sums[-1])


def _front(now: Now) -> Iterator[str]:
    yield from _family("dunlin_connections", "gauge", "Open connections to the local API", [({}, now.connections)])
    yield from _family("dunlin_streams", "gauge", "Readers of streams of results", [({}, now.streams)])


def _machine(proc: Path) -> Iterator[str]:
    """The machine as Triton shows it; what /proc does not tell is left out."""
    try:
        memory = dict(line.split()[:2] for line in (proc / "meminfo").read_text("ascii").splitlines())
        total, free = int(memory["MemTotal:"]) * 1024, int(memory["MemAvailable:"]) * 1024
    except (OSError, KeyError, ValueError):
        return
    yield from _family("nv_cpu_memory_total_bytes", "gauge", "Memory of this machine", [({}, total)])
    yield from _family("nv_cpu_memory_used_bytes", "gauge", "Memory of this machine in use", [({}, total - free)])


def _family(name: str, kind: str, meaning: str, values: Iterable[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield from _head(name, kind, meaning)
    for labels, value in values:
        yield _line(name, labels, value)


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{name}{{{shown}}} {value!r}" if shown else f"{name} {value!r}"
