"""How long a device takes to serve again after kill -9, against a bare script that loads and runs the same model.

From the start of the agent to the first prediction of the digits on LiteRT, without a word from the network: the
journal is read, the model is decrypted into sealed memory, a sandboxed worker loads it, and the front listens.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.fleet import DIGITS
from tests.agent.kill.site import Killing, Site

ROUNDS = 9
VERSION = "1.0.0"
BARE = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path=sys.argv[1], num_threads=1)
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], np.zeros((1, 8, 8, 1), np.float32))
model.invoke()
"""


def bare_s() -> float:
    """A Python that imports the runtime, loads the model and runs it once."""
    began = time.monotonic()
    model = DIGITS / "models" / "v1-int8.tflite"
    subprocess.run([sys.executable, "-c", BARE, str(model)], check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="dunlin-bench-") as folder:
        site = Site(Path(folder))
        try:
            site.start([VERSION])
            device = site.enrol()

            def install() -> str:
                return site.roll_out(VERSION, device)

            Killing(site, device, [(install, lambda view: view.get("phase") == "committed")], serves=False).run(0, "")
            # Nobody answers from now on: it serves by itself.
            site.stop()
            for _ in range(ROUNDS):
                site.revive(device, serves=True)
            device.stop()
        finally:
            site.stop()
    ours, bare = statistics.median(site.serve_s), statistics.median(bare_s() for _ in range(ROUNDS))
    print(f"time to serve after kill -9, medians of {ROUNDS}, no network")
    print(f"  bare script, one prediction   {bare * 1000:6.0f} ms")
    print(f"  fleet-agent, one prediction   {ours * 1000:6.0f} ms")
    print(f"  ratio {ours / bare:.1f}")


if __name__ == "__main__":
    main()
