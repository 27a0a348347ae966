"""Watching a model's requests: what a counted request costs beside the model itself, and kilobytes of telemetry a day.

Usage: ``python benchmarks/quality.py``. The model is digits v2, with the baseline that its recipe has; requests are the
450 test pictures. The baseline of the first table is the runtime's own time for the same pictures in the same run; of
the second, the same telemetry without what was counted.
"""

import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dunlin_contract.drift import Baseline  # noqa: E402 - the path is set above
from dunlin_contract.manifest import Io, Postprocess, Tensor  # noqa: E402
from dunlin_contract.settings import Settings  # noqa: E402
from dunlin_contract.sketch import Sketch  # noqa: E402
from dunlin_contract.telemetry import DriftCounts, ModelTelemetry, Telemetry  # noqa: E402
from fleet_agent import frames  # noqa: E402
from fleet_agent.supervisor import quality as supervised  # noqa: E402
from fleet_agent.worker.quality import Chance, Quality  # noqa: E402
from model_packager.trial.baseline import Measuring  # noqa: E402

MODELS = ROOT / "examples" / "digits" / "models"
IO = Io(
    inputs=(Tensor(name="image", dtype="float32", shape=(1, 8, 8, 1)),),
    outputs=(Tensor(name="scores", dtype="float32", shape=(1, 10)),),
    postprocess=Postprocess(softmax=True, top_k=3),
)
DAY_S = 86_400
BINS = 10
RATES = (1, 10, 100)


def packed(io: Io, inputs: np.ndarray, outputs: np.ndarray) -> tuple[list[frames.Tensor], list[frames.Tensor]]:
    """A request and its answer as the worker has them."""
    sides = ((io.inputs[0], inputs), (io.outputs[0], outputs))
    one, other = (
        [frames.Tensor(spec.name, frames.BY_NAME[spec.dtype], array.shape, array.tobytes())] for spec, array in sides
    )
    return one, other


def per_request_us(run: Sequence[object], call: object) -> float:
    """Processor time of one call, in microseconds: the best of five rounds."""
    rounds = []
    for _ in range(5):
        begun = time.thread_time_ns()
        for one in run:
            call(one)  # type: ignore[operator]
        rounds.append((time.thread_time_ns() - begun) / len(run) / 1000)
    return min(rounds)


def busy_share(quality: Quality, pair: tuple[list[frames.Tensor], list[frames.Tensor]], seconds: float) -> float:
    """Share of a processor that counting takes where requests come as fast as they can."""
    begun, spent = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        if weight := quality.weight():
            start = time.thread_time_ns()
            quality.count(weight, *pair)
            spent += time.thread_time_ns() - start
    return spent / (seconds * 1e9)


def telemetry(count: int, drift: tuple[DriftCounts, ...], confidence: tuple[int, ...]) -> bytes:
    """What one interval sends, of a model that answers in 20 to 60 µs."""
    sketch = Sketch()
    for place in range(64):
        sketch.add(20 * math.exp(place / 58))
    latency = {bucket: max(1, n * count // 64) for bucket, n in sketch.counts.items()}
    model = ModelTelemetry(
        release=bytes(range(32)), count=count, errors=0, latency_us=latency, drift=drift, confidence=confidence
    )
    return Telemetry(models={"digits": model}, memory_bytes=123_456_789, load_permille=432).to_bytes()


def main() -> None:
    """Measure and print."""
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    session = onnxruntime.InferenceSession(MODELS / "v2-int8.onnx")
    run = lambda image: session.run(None, {"image": image[None]})[0]  # noqa: E731
    measuring = Measuring(IO, classes=True, softmax=True)
    for image in np.load(MODELS / "calibration.npz")["image"]:
        measuring.add([image[None]], [run(image)])
    baseline: Baseline = measuring.result(BINS)
    pictures = np.load(MODELS / "test_images.npz")["images"]
    pairs = [packed(IO, image[None], run(image)) for image in pictures]
    raw = baseline.to_bytes()

    free = Quality(IO, raw, Chance())
    model_us = per_request_us(pictures, run)
    count_us = per_request_us(pairs, lambda pair: free.count(1, *pair))
    large = Io(inputs=(Tensor(name="image", dtype="uint8", shape=(1, 224, 224, 3)),), outputs=IO.outputs)
    wide = packed(large, np.random.default_rng(1).integers(0, 255, (1, 224, 224, 3), "uint8"), run(pictures[0]))
    wider = Quality(large, raw)
    large_us = per_request_us([wide] * 50, lambda pair: wider.count(1, *pair))
    print(f"{'a request':<44}{'processor time':>16}")
    print(f"{'  digits, the model itself (ONNX Runtime)':<44}{model_us:>13.1f} µs")
    print(f"{'  digits, counted into 4 features':<44}{count_us:>13.1f} µs")
    print(f"{'  224 x 224 x 3, counted into the same':<44}{large_us:>13.1f} µs")
    watched = Quality(IO, raw)
    busy_share(watched, pairs[0], 2.0)  # until it has found out how rarely
    share = busy_share(watched, pairs[0], 5.0)
    print(f"as fast as they come, counting takes {100 * share:.1f} % of a processor")

    exact = Quality(IO, raw)
    for pair in pairs:
        exact.count(1, *pair)
    watch = supervised.Watch(baseline.features, confident=True)
    watch.heard(exact.counts())
    drift, confidence = supervised.drift_of([watch]), supervised.confidence_of([watch])
    interval = Settings().telemetry_interval_s
    print(f"\ntelemetry of one model every {interval} s; baseline payload {len(raw)} bytes")
    print(f"{'requests a second':<20}{'with drift':>14}{'without':>14}")
    for rate in RATES:
        sizes = [0, 0]
        for number in range(1, DAY_S // interval + 1):
            requests = number * interval * rate
            factor = requests / len(pairs)
            grown = tuple(
                DriftCounts(
                    feature=one.feature, counts=tuple(int(n * factor) for n in one.counts), expected=one.expected
                )
                for one in drift
            )
            sizes[0] += len(telemetry(requests, grown, tuple(int(n * factor) for n in confidence)))
            sizes[1] += len(telemetry(requests, (), ()))
        print(f"{rate:<20}{sizes[0] / 1000:>8.0f} kB/day{sizes[1] / 1000:>7.0f} kB/day")
    print(
        "PSI of the test pictures: " + ", ".join(f"{one['feature']} {one['psi']}" for one in supervised.shifts(drift))
    )


if __name__ == "__main__":
    main()
