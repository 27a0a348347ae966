"""Memory of an idle agent against a bare paho client over the same mutual TLS, in one run (goal: 1.2 times at most).

Usage: ``python benchmarks/rss.py``. "Idle" is connected, subscribed and reported, with no model: every process of the
agent that is alive then is counted. Besides, one worker with the digits on LiteRT (goal: 60 MB), and a bare script that
holds the same model.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo.fleet import DIGITS  # noqa: E402 - the path is set above
from dunlin_contract.manifest import Io, Tensor  # noqa: E402
from tests.agent.fleet import Agent, Fleet, until  # noqa: E402
from tests.agent.local_api_parts import Worker  # noqa: E402

GOAL = 1.2
WORKER_GOAL_MB = 60
ROUNDS = 3

BARE = """
import ssl, sys, time
import paho.mqtt.client as paho
context = ssl.create_default_context(cafile=sys.argv[2])
context.load_cert_chain(sys.argv[3], sys.argv[4])
client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bare", protocol=paho.MQTTv5)
client.tls_set_context(context)
client.on_connect = lambda *_: client.subscribe("dunlin/v1/bare/dn/desired", 1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
time.sleep(600)
"""

BARE_MODEL = """
import sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path=sys.argv[1], num_threads=1)
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], np.zeros((1, 8, 8, 1), np.float32))
model.invoke()
print("ready", flush=True)
time.sleep(600)
"""
MODEL = DIGITS / "models" / "v2-int8.tflite"
DIGITS_IO = Io(
    inputs=(Tensor(name="image", dtype="float32", shape=(1, 8, 8, 1)),),
    outputs=(Tensor(name="scores", dtype="float32", shape=(1, 10)),),
)


def rss_kib(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise RuntimeError("no Rss in smaps_rollup")


def settled(pids: list[int]) -> int:
    """Sum over processes, once two seconds go by without a change of more than a page or two."""
    last = -1
    while True:
        now = sum(rss_kib(pid) for pid in pids)
        if abs(now - last) <= 16:
            return now
        last = now
        time.sleep(2)


def measure(folder: Path) -> tuple[int, int, list[str]]:
    """Bare client and agent, in KiB, and the agent's processes."""
    fleet = Fleet(folder)
    fleet.start()
    try:
        fleet.enrol()
        certificate, key = fleet.ca.files(folder / "pki", "bare")
        argv = [str(fleet.broker.port), str(folder / "pki" / "ca.crt"), str(certificate), str(key)]
        bare = subprocess.Popen([sys.executable, "-c", BARE, *argv], stdout=subprocess.PIPE, text=True)
        try:
            assert bare.stdout is not None
            bare.stdout.readline()
            with Agent(fleet) as agent:
                until(lambda: fleet.reported, "the agent has reported")
                until(lambda: not agent.children(), "the unlocker has left")
                return settled([bare.pid]), settled([agent.process.pid]), sorted(agent.children())
        finally:
            bare.kill()
            bare.wait()
    finally:
        fleet.stop()


def measure_worker() -> tuple[int, int]:
    """Bare script and worker with the digits, in KiB."""
    bare = subprocess.Popen([sys.executable, "-c", BARE_MODEL, str(MODEL)], stdout=subprocess.PIPE, text=True)
    worker = Worker()
    try:
        assert bare.stdout is not None
        bare.stdout.readline()
        answer = worker.load(MODEL, "litert", DIGITS_IO)
        assert answer["is"] == "loaded", answer
        return settled([bare.pid]), settled([worker.pid])
    finally:
        worker.close()
        bare.kill()
        bare.wait()


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = []
        for number in range(ROUNDS):
            place = Path(folder) / str(number)
            place.mkdir()
            rounds.append(measure(place))
    bare, agent, children = sorted(rounds, key=lambda one: one[1] / one[0])[ROUNDS // 2]
    print("resident memory, connected and idle, median of", ROUNDS, "runs")
    print(f"  bare paho client over mutual TLS  {bare / 1024:6.1f} MiB")
    print(f"  fleet-agent, no model loaded      {agent / 1024:6.1f} MiB  (supervisor{', '.join(['', *children])})")
    print(f"  ratio {agent / bare:.2f}, goal {GOAL}")
    script, worker = measure_worker()
    worker_mb = worker * 1024 / 1e6
    print("resident memory with the digits (int8) on LiteRT")
    print(f"  bare script                       {script / 1024:6.1f} MiB")
    print(f"  one worker                        {worker / 1024:6.1f} MiB  (ratio {worker / script:.2f})")
    print(f"  {worker_mb:.0f} MB, goal {WORKER_GOAL_MB} MB")
    return 0 if agent / bare <= GOAL and worker_mb <= WORKER_GOAL_MB else 1


if __name__ == "__main__":
    sys.exit(main())
