"""A device that swaps two releases again and again, under a client that never pauses."""

import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from dunlin_contract.golden import Golden, Sample, TensorData
from tests.agent.fleet import Agent, Fleet, Release, until
from tests.agent.local_api_models import litert_add
from tests.agent.local_api_parts import PATIENCE_S

SETTLE_S = 30.0
AMOUNTS = (1.0, 2.0)


class Client(threading.Thread):
    """Asks without a pause over one connection; each request is another, and so must its answer be."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.asked = 0
        self.wrong: list[object] = []
        self.versions: set[str] = set()
        self._port = port
        self._over = threading.Event()

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        while not self._over.is_set():
            self.asked += 1
            number = self.asked % 1_000_000
            tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [number] * 4}
            try:
                body = json.dumps({"id": str(number), "inputs": [tensor]})
                connection.request("POST", "/v2/models/adder/infer", body)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, HTTPException, ValueError) as error:
                self.wrong.append(repr(error))
                connection.close()
                continue
            if response.status != 200:
                self.wrong.append((response.status, answer))
                continue
            self.versions.add(answer["model_version"])
            amount = float(answer["model_version"].partition(".")[0])
            if (answer["id"], answer["outputs"][0]["data"]) != (str(number), [number + amount] * 4):
                self.wrong.append(answer)
        connection.close()

    def stop(self) -> None:
        self._over.set()
        self.join()


def lite(fleet: Fleet, amount: float) -> Release:
    """A release for LiteRT whose model adds ``amount``."""
    path = Path(f"/tmp/{secrets.token_hex(8)}.tflite")
    try:
        model = litert_add(path, amount, rows=-1).read_bytes()
    finally:
        path.unlink(missing_ok=True)

    def tensor(name: str, value: float) -> TensorData:
        data = memoryview(bytearray(16)).cast("f")
        for place in range(4):
            data[place] = value
        return TensorData(name=name, dtype="float32", shape=(1, 4), data=bytes(data.cast("B")))

    golden = Golden(samples=(Sample(inputs=(tensor("x", 1.0),), outputs=(tensor("y", 1.0 + amount),)),))
    return fleet.release(amount, version=f"{amount:.0f}.0.0", model=model, golden=golden, runtime="litert", ballast=0)


def rss_kib(pid: int) -> int:
    """Resident memory of a process; 0 once it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
    return 0


def memory_kib(agent: Agent) -> dict[str, int]:
    """Resident memory by process, once the unlocker has left and one worker is there."""

    def quiet() -> bool:
        children = agent.children()
        return "unlocker" not in children and len(children.get("worker", [])) == 1

    until(quiet, lambda: f"only what serves is left of {agent.children()}", SETTLE_S * 4)
    found = {name: sum(map(rss_kib, pids)) for name, pids in agent.children().items()}
    return {"supervisor": rss_kib(agent.process.pid), **found}


def swap(folder: Path, swaps: int, marks: dict[int, Callable[[dict[str, int]], None]]) -> Client:
    """Swap so many times; ``marks``: after so many, who wants to know the memory. Returns the client, stopped."""
    fleet = Fleet(folder)
    fleet.start()
    try:
        fleet.enrol()
        releases = [lite(fleet, amount) for amount in AMOUNTS]
        fleet.offer(*releases)
        with Agent(fleet, arguments=["--runtime", "litert"]) as agent:
            client = Client(agent.port)
            for release in (*releases, releases[0]):
                fleet.desire(release)
                until(
                    lambda release=release: agent.work() or committed(fleet, release),  # type: ignore[misc]
                    lambda: f"the first swaps; {fleet.model()}\n{agent.text()[-2000:]}",
                )
            client.start()
            for number in range(1, swaps + 1):
                release = releases[number % 2]
                fleet.desire(release)
                until(lambda release=release: committed(fleet, release), f"swap {number}")  # type: ignore[misc]
                del fleet.reported[:-1]
                if number in marks:
                    marks[number](memory_kib(agent))
            client.stop()
            return client
    finally:
        fleet.stop()


def committed(fleet: Fleet, release: Release) -> bool:
    """Whether the device says that this release serves and nothing else goes on."""
    model = fleet.model()
    return model is not None and model.phase == "committed" and model.active == release.digest
