"""A candidate on trial beside the release that serves: what it gets, what is counted, and what clients never notice."""

import os
import signal
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunlin_contract.manifest import Io
from dunlin_contract.sketch import Sketch
from fleet_agent.frames import BY_NAME, Tensor
from fleet_agent.front.comparison import SAMPLED, Comparison, Sample, Trial
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, SPIN_IO
from tests.agent.local_api_parts import PATIENCE_S, Device, Worker, device

X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
SLOW = {"name": "n", "datatype": "INT64", "shape": [], "data": [50_000]}  # about 50 ms
BELOW_ZERO = X | {"data": [-1, 2, 3, 4]}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Device]:
    with device(tmp_path) as made:
        yield made


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Device]:
    """Its front gives a worker one second for an answer."""
    with device(tmp_path, limits={"answer_s": 1.0}) as made:
        yield made


def adder(parts: Device, amount: float) -> Worker:
    return parts.worker(models.add(parts.folder / str(amount), amount), ADD_IO)


def beside(parts: Device, worker: Worker, mode: str, share: int = 1000, io: Io = ADD_IO) -> int:
    """Put ``worker`` on trial beside model m; the order is carried out before anything that is sent after it."""
    number = parts.front.attach(worker, "m", "2.0.0", io)
    parts.front.send(do="trial", worker=number, mode=mode, share=share)
    # A route is carried out after it, so what this waits for shows that the trial is on, too.
    first = adder(parts, 7)
    parts.front.serve(first, "other", "1.0.0", ADD_IO)
    parts.wait_for("other", "1.0.0")
    return number


def compared(parts: Device, number: int, **counts: int) -> dict[str, Any]:
    """The comparison of a worker as soon as it has these counts."""

    def there(message: dict[str, Any]) -> bool:
        found = message.get("compared", {})
        return message["worker"] == number and all(found.get(name) == count for name, count in counts.items())

    return dict(parts.front.told("stats", there)["compared"])


def test_a_shadow_gets_copies_and_no_client_hears_of_it(parts: Device) -> None:
    parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
    number = beside(parts, adder(parts, 2), "shadow")
    client = parts.client()
    for done in range(1, 6):
        status, answer = client.infer("m", X)
        assert (status, answer["model_version"], answer["outputs"][0]["data"]) == (200, "1.0.0", [2, 3, 4, 5])
        found = compared(parts, number, pairs=done)
    assert (found["agreed"], found["errors"], found["shed"]) == (5, 0, 0)
    assert sum(found["latency_us"].values()) == 5
    # Each element is off by 1, and the largest of the release that serves is 5: 200,000 millionths.
    assert Sketch(found["distance"]).quantile(0.5) == pytest.approx(200_000, rel=0.05)


def test_another_largest_element_is_disagreement_and_a_share_is_a_share(parts: Device) -> None:
    parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
    flat = parts.worker(models.share_of_column(parts.folder / "flat"), ADD_IO)
    number = beside(parts, flat, "shadow", 500)
    client = parts.client()
    for _ in range(1000):
        assert client.infer("m", X)[0] == 200
    found = parts.front.told("stats", lambda message: message["worker"] == number and _taken(message) == 500)
    assert found["compared"]["pairs"] > 0
    assert (found["compared"]["agreed"], found["compared"]["errors"]) == (0, 0)


def _taken(message: dict[str, Any]) -> int:
    found = message.get("compared", {"pairs": 0, "shed": 0})
    return int(found["pairs"] + found["shed"])


@contextmanager
def stopped(worker: Worker) -> Iterator[None]:
    """The worker stands still, as one that hangs in native code."""
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if worker.status is None:
            os.kill(worker.pid, signal.SIGCONT)


def test_a_candidate_that_refuses_or_answers_nan_is_counted_against_it_alone(parts: Device) -> None:
    parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
    number = beside(parts, parts.worker(models.log(parts.folder / "log"), ADD_IO), "shadow")
    client = parts.client()
    assert client.infer("m", BELOW_ZERO)[0] == 200
    assert compared(parts, number, errors=1)["pairs"] == 0


def test_under_load_the_copies_go_first(parts: Device) -> None:
    serving, candidate = (parts.worker(models.spin(parts.folder / name), SPIN_IO) for name in ("one", "two"))
    parts.serve(serving, "m", "1.0.0", SPIN_IO)
    number = beside(parts, candidate, "shadow", io=SPIN_IO)
    answers: list[int] = []
    clients = [parts.client() for _ in range(8)]
    threads = [threading.Thread(target=lambda c=client: answers.append(c.infer("m", SLOW)[0])) for client in clients]
    with stopped(serving):
        for thread in threads:
            thread.start()
        _until_pending(parts, 8)
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    # While two or more still wait the device has better to do, idle as the candidate is; the last two find time for it.
    assert compared(parts, number, pairs=2, shed=6)["errors"] == 0


def _until_pending(parts: Device, count: int) -> None:
    client = parts.client()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        client.connection.request("GET", "/metrics")
        text = client.connection.getresponse().read().decode()
        if f'nv_inference_pending_request_count{{model="m",version="1.0.0"}} {count}\n' in text:
            return
        assert time.monotonic() < deadline, text


def test_a_split_gives_the_candidate_exactly_its_share(parts: Device) -> None:
    parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
    number = beside(parts, adder(parts, 2), "split", 137)
    client = parts.client()
    versions: Counter[str] = Counter()
    for _ in range(1000):
        status, answer = client.infer("m", X)
        assert status == 200
        assert answer["outputs"][0]["data"][0] == (2 if answer["model_version"] == "1.0.0" else 3)
        versions[answer["model_version"]] += 1
    assert versions == {"1.0.0": 863, "2.0.0": 137}
    found = compared(parts, number, pairs=137)
    assert (found["agreed"], found["distance"], sum(found["latency_us"].values())) == (0, {}, 137)
    path = "/v2/models/m/versions/1.0.0/infer"
    assert {client.ask("POST", path, {"inputs": [X]})[1]["model_version"] for _ in range(20)} == {"1.0.0"}


@pytest.mark.parametrize("fault", ["nan", "dead", "hangs"])
def test_what_the_candidate_of_a_split_owes_the_release_that_serves_gives(impatient: Device, fault: str) -> None:
    impatient.serve(adder(impatient, 1), "m", "1.0.0", ADD_IO)
    candidate = impatient.worker(models.log(impatient.folder / "log"), ADD_IO)
    number = beside(impatient, candidate, "split")
    client = impatient.client()
    with stopped(candidate) if fault != "nan" else nullcontext():
        if fault == "dead":
            threading.Timer(0.2, candidate.kill).start()
        status, answer = client.infer("m", BELOW_ZERO)
        assert (status, answer["model_version"]) == (200, "1.0.0")
        if fault == "nan":
            compared(impatient, number, errors=1, pairs=0)
        else:
            assert impatient.front.told("lost")["worker"] == number
            assert client.infer("m", X)[1]["model_version"] == "1.0.0"


def test_what_the_release_that_serves_refuses_too_is_no_fault_of_the_candidate(parts: Device) -> None:
    parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
    number = beside(parts, adder(parts, 2), "split")
    client = parts.client()
    for _ in range(3):
        assert client.infer("m", X | {"shape": [1, 3], "data": [1, 2, 3]})[0] == 400
    assert client.infer("m", X)[1]["model_version"] == "2.0.0"
    assert compared(parts, number, pairs=1)["errors"] == 0


def test_a_copy_that_finds_no_room_is_shed_and_its_client_hears_nothing(tmp_path: Path) -> None:
    with device(tmp_path, limits={"queued_requests": 1}) as parts:
        parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
        candidate = adder(parts, 2)
        number = beside(parts, candidate, "shadow")
        client = parts.client()
        with stopped(candidate):
            for amount in range(5):
                status, answer = client.infer("m", X | {"data": [amount, 0, 0, 0]})
                assert (status, answer["outputs"][0]["data"][0]) == (200, amount + 1)
            assert compared(parts, number, shed=4)["errors"] == 0


def test_a_shadow_that_hangs_is_told_and_no_client_waits_for_it(impatient: Device) -> None:
    impatient.serve(adder(impatient, 1), "m", "1.0.0", ADD_IO)
    candidate = adder(impatient, 2)
    number = beside(impatient, candidate, "shadow")
    client = impatient.client()
    with stopped(candidate):
        assert [client.infer("m", X)[0] for _ in range(20)] == [200] * 20
        assert impatient.front.told("hung")["worker"] == number
        assert client.infer("m", X)[0] == 200


def test_standby_gets_nothing_until_it_is_routed_to_and_then_its_trial_is_over(parts: Device) -> None:
    old = parts.serve(adder(parts, 1), "m", "1.0.0", ADD_IO)
    number = beside(parts, adder(parts, 2), "standby")
    client = parts.client()
    assert {client.infer("m", X)[1]["model_version"] for _ in range(10)} == {"1.0.0"}
    parts.front.send(do="route", model="m", worker=number)
    parts.wait_for("m", "2.0.0")
    # On probation it is the release before that gets copies.
    parts.front.send(do="trial", worker=old, mode="shadow", share=1000)
    answered = client.infer("m", X)[1]["model_version"]
    assert answered == "2.0.0"
    assert parts.front.told("stats", lambda message: "compared" in message)["worker"] == old


# The pure parts.


def tensor(values: list[float], dtype: str = "float32") -> Tensor:
    kind = BY_NAME[dtype]
    return Tensor("y", kind, (len(values),), struct.pack(f"<{len(values)}{kind.format}", *values))


@given(share=st.integers(1, 1000), before=st.integers(0, 2000))
def test_of_any_thousand_requests_in_a_row_exactly_the_share_is_taken(share: int, before: int) -> None:
    trial = Trial(None, "split", share)  # type: ignore[arg-type] - whose share it is plays no part
    for _ in range(before):
        trial.takes()
    assert sum(trial.takes() for _ in range(1000)) == share


def test_two_clients_that_take_turns_are_both_in_the_share() -> None:
    trial = Trial(None, "split", 500)  # type: ignore[arg-type]
    taken = [trial.takes() for _ in range(1000)]
    assert sum(taken[::2]) == sum(taken[1::2]) == 250


def test_a_large_output_is_sampled_evenly() -> None:
    values = [0.0] * (SAMPLED * 3)
    values[SAMPLED * 3 - 3] = 1.0
    sample = Sample(tensor(values))
    assert len(sample.values) == SAMPLED
    assert sample.top == SAMPLED * 3 - 3


@pytest.mark.parametrize("dtype", [name for name in BY_NAME if name != "bool"])
def test_every_dtype_is_compared(dtype: str) -> None:
    comparison = Comparison()
    comparison.add(Sample(tensor([1, 4, 2], dtype)), Sample(tensor([1, 5, 2], dtype)))
    comparison.add(Sample(tensor([1, 4, 2], dtype)), Sample(tensor([4, 1, 2], dtype)))
    assert (comparison.pairs, comparison.agreed, comparison.distance.count) == (2, 1, 2)
    assert comparison.distance.quantile(0.0) == pytest.approx(250_000, rel=0.05)


def test_what_cannot_be_compared_is_not() -> None:
    comparison = Comparison()
    comparison.add(Sample(tensor([1, float("nan")])), Sample(tensor([1, float("nan")])))
    assert comparison.pairs == 0
    comparison.add(Sample(tensor([1, 2])), Sample(tensor([1, 2, 3])))
    assert (comparison.pairs, comparison.agreed, comparison.distance.count) == (1, 0, 0)
    comparison.add(Sample(tensor([])), Sample(tensor([])))
    assert (comparison.pairs, comparison.agreed) == (2, 1)
    comparison.add(Sample(tensor([0, 0])), Sample(tensor([0, 1e30])))
    assert comparison.distance.count == 2
