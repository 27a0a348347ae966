"""Switching, draining and losing workers under load: no request fails, and every answer says who really gave it."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunlin_contract import cbor
from fleet_agent import ipc
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, PAIR_IO, SPIN_IO
from tests.agent.local_api_parts import Client, Device, Front, Worker, device

_STEPS = 400_000  # about 0.4 s
X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}
SLOW = {"name": "n", "datatype": "INT64", "shape": [], "data": [_STEPS]}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Device]:
    with device(tmp_path) as made:
        yield made


def adder(parts: Device, amount: int) -> Worker:
    return parts.worker(models.add(parts.folder / str(amount), amount), ADD_IO)


class Load:
    """Clients that ask without pause until they are stopped, each time for something else, and check that each answer
    is the one to its own request, by the version that it names.
    """

    def __init__(self, clients: list[Client]) -> None:
        self.served: Counter[str] = Counter()
        self.wrong: list[object] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(client,)) for client in clients]
        for thread in self._threads:
            thread.start()

    def _run(self, client: Client) -> None:
        asked = 0
        while not self._stop.is_set():
            asked += 1
            status, answer = client.infer("m", X | {"data": [asked] * 4}, id=str(asked))
            with self._lock:
                if status != 200:
                    self.wrong.append((status, answer))
                    continue
                amount = int(answer["model_version"].split(".")[2])
                self.served[answer["model_version"]] += 1
                if (answer["id"], answer["outputs"][0]["data"]) != (str(asked), [asked + amount] * 4):
                    self.wrong.append(answer)

    def more(self, count: int) -> None:
        """Wait for ``count`` more answers."""
        wanted = self.served.total() + len(self.wrong) + count
        while self.served.total() + len(self.wrong) < wanted:
            time.sleep(0.001)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_hundred_switches_under_load_drop_nothing_and_mislabel_nothing(parts: Device) -> None:
    workers = [adder(parts, amount) for amount in (1, 2, 3)]
    attached = [parts.serve(workers[0], "m", "1.0.1", ADD_IO)]
    load = Load([parts.client(unix=number % 2 == 0) for number in range(4)])
    for switch in range(1, 101):
        worker = workers[switch % 3]
        if switch > 2:
            worker.serve_again()
        attached.append(parts.front.serve(worker, "m", f"1.0.{switch % 3 + 1}", ADD_IO))
        before = attached[-2]
        parts.front.send(do="detach", worker=before)
        assert parts.front.told("drained")["worker"] == before
        load.more(8)
    load.stop()
    assert load.wrong == []
    assert set(load.served) == {"1.0.1", "1.0.2", "1.0.3"}
    parts.front.send(do="detach", worker=attached[-1])
    parts.front.told("drained")
    # Each answer was counted by the worker that gave it, and no worker's numbers were lost at its detach.
    counted = Counter[str]()
    for place, number in enumerate(attached):
        counted[f"1.0.{place % 3 + 1}"] += parts.front.statistics.get(number, {"count": 0})["count"]
    assert counted == load.served


def test_a_drained_worker_finishes_what_it_has(parts: Device) -> None:
    slow = parts.worker(models.spin(parts.folder / "spin"), SPIN_IO)
    quick = parts.worker(models.spin(parts.folder / "spin"), SPIN_IO)
    number = parts.serve(slow, "m", "1.0.0", SPIN_IO)
    answers: list[tuple[int, dict]] = []
    asking = threading.Thread(target=lambda: answers.append(parts.client().infer("m", SLOW)))
    asking.start()
    _until_busy(parts, slow)
    parts.serve(quick, "m", "2.0.0", SPIN_IO)
    parts.front.send(do="detach", worker=number)
    assert parts.client().infer("m", SLOW | {"data": [5]})[1]["model_version"] == "2.0.0"
    parts.front.told("drained")
    asking.join()
    assert answers[0][0] == 200
    assert answers[0][1]["model_version"] == "1.0.0"
    assert answers[0][1]["outputs"][0]["data"] == [_STEPS]


@pytest.mark.parametrize("unix", [False, True])
def test_requests_of_a_killed_worker_are_run_again_by_its_successor(parts: Device, unix: bool) -> None:
    doomed = parts.worker(models.spin(parts.folder / "spin"), SPIN_IO)
    successor = parts.worker(models.spin(parts.folder / "spin"), SPIN_IO)
    number = parts.serve(doomed, "m", "1.0.0", SPIN_IO)
    answers: list[tuple[int, dict]] = []

    def ask(client: Client) -> None:
        answers.append(client.infer("m", SLOW))

    threads = [threading.Thread(target=ask, args=(parts.client(unix=unix),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    _until_busy(parts, doomed)
    doomed.kill()
    assert parts.front.told("lost")["worker"] == number
    assert parts.client().ask("GET", "/v2/models/m/ready")[0] == 400
    assert parts.client().ask("GET", "/v2/health/ready")[0] == 400
    assert parts.client().ask("GET", "/v2/health/live")[0] == 200
    assert parts.client().ask("POST", "/v2/repository/index", b"")[1][0]["state"] == "UNAVAILABLE"
    parts.front.serve(successor, "m", "0.9.0", SPIN_IO)
    for thread in threads:
        thread.join()
    assert [(status, answer["model_version"]) for status, answer in answers] == [(200, "0.9.0")] * 3
    parts.front.send(do="detach", worker=number)
    assert parts.front.told("drained")["worker"] == number


def test_a_request_that_outlives_two_workers_is_given_up(parts: Device) -> None:
    workers = [parts.worker(models.spin(parts.folder / "spin"), SPIN_IO) for _ in range(2)]
    parts.serve(workers[0], "m", "1.0.0", SPIN_IO)
    answers: list[tuple[int, dict]] = []
    asking = threading.Thread(target=lambda: answers.append(parts.client().infer("m", SLOW | {"data": [2**60]})))
    asking.start()
    for place, worker in enumerate(workers):
        _until_busy(parts, worker)
        worker.kill()
        parts.front.told("lost")
        if place == 0:
            parts.front.serve(workers[1], "m", "1.0.1", SPIN_IO)
    asking.join()
    assert answers == [(503, {"error": "model 'm' stopped twice while it ran this request"})]


def test_a_model_that_loops_for_ever_is_replaced_and_the_others_do_not_notice(tmp_path: Path) -> None:
    with device(tmp_path, limits={"answer_s": 1.0}) as parts:
        looping = parts.worker(models.spin(parts.folder / "spin"), SPIN_IO)
        number = parts.serve(looping, "m", "1.0.0", SPIN_IO)
        parts.serve(adder(parts, 1), "other", "1.0.0", ADD_IO)
        answers: list[tuple[int, dict]] = []
        asking = threading.Thread(target=lambda: answers.append(parts.client().infer("m", SLOW | {"data": [2**60]})))
        asking.start()
        _until_busy(parts, looping)
        behind = threading.Thread(target=lambda: answers.append(parts.client().infer("m", SLOW | {"data": [7]})))
        behind.start()
        other = parts.client()
        while asking.is_alive():
            assert other.infer("other", X)[1]["outputs"][0]["data"] == [1] * 4
        assert answers == [(504, {"error": "model 'm' did not answer in time"})]
        # The supervisor would kill it now, and start another.
        assert parts.front.told("hung")["worker"] == number
        assert parts.front.told("lost")["worker"] == number
        looping.kill()
        parts.front.serve(parts.worker(models.spin(parts.folder / "spin"), SPIN_IO), "m", "1.0.0", SPIN_IO)
        behind.join()
        assert (answers[1][0], answers[1][1]["outputs"][0]["data"]) == (200, [7])


def test_copies_share_requests_and_one_that_dies_is_not_missed(parts: Device) -> None:
    workers = [parts.worker(models.spin(parts.folder / "spin"), SPIN_IO) for _ in range(2)]
    numbers = [parts.serve(worker, "m", "1.0.0", SPIN_IO) for worker in workers]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(parts.client().infer("m", SLOW)[0])) for _ in range(4)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    # Their statistics come in either order.
    while not all(parts.front.statistics.get(number, {"count": 0})["count"] for number in numbers):
        parts.front.told("stats")
    config = parts.client().ask("GET", "/v2/models/m/config")[1]
    assert config["instance_group"][0]["count"] == 2
    workers[1].kill()
    parts.front.told("lost")
    assert parts.client().ask("GET", "/v2/models/m/ready")[0] == 200
    assert parts.client().infer("m", SLOW | {"data": [3]})[0] == 200


def test_a_worker_without_successor_is_503_and_a_removed_model_404(parts: Device) -> None:
    worker = adder(parts, 1)
    parts.serve(worker, "m", "1.0.1", ADD_IO)
    worker.kill()
    parts.front.told("lost")
    assert parts.client().infer("m", X) == (503, {"error": "model 'm' stopped; try again"})
    waiting: list[tuple[int, dict]] = []
    asking = threading.Thread(target=lambda: waiting.append(parts.client().infer("m", X)))
    asking.start()
    parts.front.send(do="unroute", model="m")
    asking.join()
    assert waiting[0][0] in (404, 503)
    assert parts.client().infer("m", X)[0] == 404
    assert parts.client().ask("GET", "/v2/health/ready") == (400, {"error": "not ready: no model is served yet"})


def test_a_request_waiting_for_a_successor_meets_the_successors_io(parts: Device) -> None:
    worker = adder(parts, 1)
    parts.serve(worker, "m", "1.0.1", ADD_IO)
    worker.kill()
    parts.front.told("lost")
    answers: list[tuple[int, dict]] = []
    asking = threading.Thread(target=lambda: answers.append(parts.client().infer("m", X)))
    asking.start()
    parts.front.serve(parts.worker(models.pair(parts.folder / "pair"), PAIR_IO), "m", "2.0.0", PAIR_IO)
    asking.join()
    assert answers[0][0] == 400
    assert "'a', 'b'" in answers[0][1]["error"]


def test_a_worker_that_breaks_the_frames_is_lost(parts: Device) -> None:
    fake = Worker()
    parts.workers.append(fake)
    mine, theirs = socket.socketpair()
    fake.data.close()
    fake.data = theirs
    number = parts.front.serve(fake, "m", "1.0.0", ADD_IO)
    with mine:
        mine.sendall(b"\xff" * 64)
        assert parts.front.told("lost")["worker"] == number


def test_statistics_count_what_the_model_did(parts: Device) -> None:
    worker = parts.worker(models.log(parts.folder / "log"), ADD_IO)
    number = parts.serve(worker, "m", "1.0.0", ADD_IO)
    client = parts.client()
    for data in ([1, 1, 1, 1], [-1, 1, 1, 1], [1, 2, 3, 4]):
        assert client.infer("m", X | {"data": data})[0] == 200
    assert client.infer("m", X | {"shape": [4]})[0] == 400
    told = parts.front.told("stats", lambda message: message["count"] == 3)
    assert (told["worker"], told["errors"], told["nonfinite"]) == (number, 0, 1)
    assert sum(told["sketch"].values()) == 3


def test_a_port_in_use_an_open_address_and_a_file_in_the_way_are_refused(tmp_path: Path) -> None:
    taken = Front(tmp_path)
    (tmp_path / "file").write_text("precious")
    refused = [
        ({"port": taken.port}, "port-in-use", str(taken.port)),
        ({"host": "0.0.0.0"}, "not-loopback", "reachable from outside"),
        ({"host": "localhost.example"}, "bad-address", "not an IP address"),
        ({"socket": taken.path}, "socket-in-use", "another process listens"),
        ({"socket": str(tmp_path / "file")}, "socket-in-use", "no socket"),
        ({"socket": str(tmp_path / "no" / "folder")}, "bad-socket", "No such file"),
        ({"socket": str(tmp_path / ("long" * 40))}, "bad-socket", "too long"),
    ]
    second = _BareFront()
    for change, code, says in refused:
        order = {"do": "listen", "host": "127.0.0.1", "port": 0, "socket": None} | change
        second.send(**order)
        answer = second.receive()
        assert (answer["is"], answer["code"]) == ("failed", code)
        assert says in answer["text"]
    assert (tmp_path / "file").read_text() == "precious"
    taken.kill()
    second.send(do="listen", host="::1", port=0, socket=taken.path)
    assert second.receive()["is"] == "listening"
    taken.close()
    second.close()


class _BareFront(Front):
    """A front that was told nothing yet."""

    def __init__(self) -> None:
        super(Front, self).__init__("fleet_agent.front")

    def close(self) -> None:
        self.control.close()
        self.wait()


def test_a_front_whose_supervisor_is_gone_ends(tmp_path: Path) -> None:
    front = Front(tmp_path)
    client = socket.create_connection(("127.0.0.1", front.port))
    front.close()
    assert front.status == 0
    client.close()


@pytest.mark.parametrize("order", [cbor.encode({"do": "sudo"}), b"junk"])
def test_an_order_that_is_none_ends_the_front(order: bytes) -> None:
    front = _BareFront()
    front.control.send(order)
    assert ipc.recv(front.control) is None
    front.close()


def _until_busy(parts: Device, worker: Worker) -> None:
    """Until the worker has used up some processor time on a request: it is really in the model."""
    client = parts.client()
    begun = _ticks(worker)
    while _ticks(worker) < begun + 5:
        assert client.ask("GET", "/v2/health/live")[0] == 200
    client.connection.close()


def _ticks(worker: Worker) -> int:
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_models_are_independent(parts: Device) -> None:
    parts.serve(adder(parts, 1), "one", "1.0.1", ADD_IO)
    doomed = adder(parts, 2)
    parts.serve(doomed, "two", "1.0.2", ADD_IO)
    doomed.kill()
    parts.front.told("lost")
    client = parts.client()
    assert client.infer("one", X)[1]["outputs"][0]["data"] == [1] * 4
    assert json.dumps(client.ask("POST", "/v2/repository/index", b"")[1]).count("UNAVAILABLE") == 1
    ready = client.ask("POST", "/v2/repository/index", {"ready": True})[1]
    assert [entry["name"] for entry in ready] == ["one"]
