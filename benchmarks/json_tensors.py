"""What the front spends on a request and an answer in JSON, beside the standard library's json and struct for the same.

Usage: ``python benchmarks/json_tensors.py [--rounds N]``. CPU time of one process, without sockets or a model: from the
request's bytes to a worker's frame, and from the outputs to the answer's bytes. The baseline only turns numbers into
bytes and back; the front also checks the request against the model. Blocks of both in turn see the same busy machine.
"""

import argparse
import json
import random
import struct
import sys
import time
from collections.abc import Callable
from math import isfinite, prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dunlin_contract.manifest import Io  # noqa: E402 - the path is set above
from dunlin_contract.manifest import Tensor as Spec  # noqa: E402
from fleet_agent import frames  # noqa: E402
from fleet_agent.frames import BY_NAME, Tensor  # noqa: E402
from fleet_agent.front.answers import infer_answer  # noqa: E402
from fleet_agent.front.limits import LIMITS  # noqa: E402
from fleet_agent.front.oip import parse_infer  # noqa: E402
from fleet_agent.front.router import Worker  # noqa: E402
from fleet_agent.front.shared_memory import Memory, Regions  # noqa: E402

_BLOCK_S = 0.05
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Case:
    """A request and an answer of one size, with one input and one output."""

    def __init__(self, name: str, dtype: str, into: tuple[int, ...], out: tuple[int, ...]) -> None:
        self.name = name
        rng = random.Random(1)
        kind = BY_NAME[dtype]
        numbers = [rng.randrange(256) if dtype == "uint8" else rng.random() for _ in range(prod(into))]
        self.kind, self.count = kind, len(numbers)
        # Floats as a client has them: of 32 bits, shown with all the digits that Python shows.
        packed = struct.pack(f"<{self.count}{kind.format}", *numbers)
        data = list(struct.unpack(f"<{self.count}{kind.format}", packed))
        head = {"name": "x", "datatype": kind.datatype, "shape": into, "data": data}
        self.request = _ENCODER.encode({"inputs": [head]}).encode()
        specs = Spec(name="x", dtype=dtype, shape=into), Spec(name="y", dtype="float32", shape=out)
        io = Io(inputs=specs[:1], outputs=specs[1:])
        self.worker = cast("Worker", SimpleNamespace(model="bench", version="1.0.0", io=io))
        floats = struct.pack(f"<{prod(out)}f", *(rng.random() for _ in range(prod(out))))
        self.output = Tensor("y", BY_NAME["float32"], out, floats)
        peer = SimpleNamespace(uid=0)
        self.memory = Memory(Regions(LIMITS), cast("Any", SimpleNamespace(peer=peer, hold=lambda _: None)))

    def front(self) -> bytes:
        """As the front does it."""
        request = parse_infer(self.request, None, self.memory)
        frames.pack_tensors(request.arranged(self.worker.io))
        return infer_answer(self.worker, request, [self.output]).body

    def library(self) -> bytes:
        """As the standard library does it."""
        (entry,) = json.loads(self.request)["inputs"]
        struct.pack(f"<{self.count}{self.kind.format}", *entry["data"])
        shape = self.output.shape
        numbers = struct.unpack(f"<{prod(shape)}f", self.output.data)
        assert all(map(isfinite, numbers))
        output = {"name": "y", "datatype": "FP32", "shape": shape, "data": numbers}
        return _ENCODER.encode({"model_name": "bench", "model_version": "1.0.0", "outputs": [output]}).encode()


def cpu_us(call: Callable[[], bytes]) -> float:
    """CPU time of one call, averaged over a block."""
    start = now = time.process_time_ns()
    count = 0
    while now - start < _BLOCK_S * 1e9:
        call()
        count += 1
        now = time.process_time_ns()
    return (now - start) / count / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks/json_tensors.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="blocks of each (default 20)")
    rounds = parser.parse_args().rounds
    print("CPU time of a request and its answer in JSON, microseconds, median of", rounds, "blocks")
    print(f"{'tensors':<44}{'json, struct':>14}{'front':>10}{'ratio':>8}")
    for case in (
        Case("digits: 64 float32 in, 10 out", "float32", (1, 64), (1, 10)),
        Case("MobileNet: 49152 uint8 in, 1001 out", "uint8", (1, 128, 128, 3), (1, 1001)),
        Case("a segmentation: 49152 float32 in and out", "float32", (1, 128, 128, 3), (1, 128, 128, 3)),
    ):
        assert json.loads(case.front()) == json.loads(case.library())
        pairs = [(cpu_us(case.library), cpu_us(case.front)) for _ in range(rounds)]
        library, front = (sorted(column)[rounds // 2] for column in zip(*pairs, strict=True))
        print(f"{case.name:<44}{library:>14.1f}{front:>10.1f}{library / front:>8.1f}")


if __name__ == "__main__":
    main()
