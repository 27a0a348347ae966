"""``GET /metrics``: whether Prometheus could read it, and whether its numbers are those of what was asked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.frames import Response, Status, Timing
from fleet_agent.front import metrics
from fleet_agent.front.statistics import MOST_BATCHES, REASONS, Ledger
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO
from tests.agent.local_api_parts import Device, device

X = {"name": "x", "datatype": "FP32", "shape": [2, 4], "data": [1] * 8}
_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.e+-]+)')


def parse(text: str) -> dict[str, dict[str, float]]:
    """Name -> labels -> value; every sample must follow its family's type, and be there once."""
    found: dict[str, dict[str, float]] = {}
    family = ""
    helped: set[str] = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert line.split(" ")[2] not in helped
            helped.add(line.split(" ")[2])
            continue
        if line.startswith("# TYPE "):
            family, kind = line.split(" ")[2:]
            assert kind in ("counter", "gauge", "histogram")
            assert family in helped
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        assert re.sub("_(bucket|sum|count)$", "", name) == family or name == family
        assert labels not in found.setdefault(name, {})
        found[name][labels or ""] = float(value)
    return found


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Device]:
    with device(tmp_path) as made:
        yield made


def scrape(parts: Device) -> dict[str, dict[str, float]]:
    connection = parts.client().connection
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(response.read().decode())


def test_an_agent_without_models_has_metrics(parts: Device) -> None:
    found = scrape(parts)
    assert found["dunlin_connections"][""] >= 1
    assert found["nv_cpu_memory_total_bytes"][""] > found["nv_cpu_memory_used_bytes"][""] > 0
    assert "nv_inference_count" not in found


def test_what_was_asked_is_counted_by_model_and_version(parts: Device) -> None:
    worker = parts.worker(models.log(parts.folder / "log"), ADD_IO)
    parts.serve(worker, "m", "1.0.0", ADD_IO)
    client = parts.client()
    for _ in range(3):
        assert client.infer("m", X)[0] == 200
    assert client.infer("m", X | {"data": [-1] * 8})[0] == 200
    assert client.infer("m", X | {"shape": [8]})[0] == 400
    found = scrape(parts)
    one = 'model="m",version="1.0.0"'
    assert found["nv_inference_request_success"][one] == 4
    assert found["nv_inference_count"][one] == 8
    assert found["nv_inference_exec_count"][one] == 4
    assert found["nv_inference_pending_request_count"][one] == 0
    assert found["dunlin_nonfinite_total"][one] == 1
    assert {f'{one},reason="{reason}"' for reason in REASONS} == set(found["nv_inference_request_failure"])
    assert sum(found["nv_inference_request_failure"].values()) == 0
    assert found["dunlin_request_duration_seconds_count"][one] == 4
    assert found["dunlin_request_duration_seconds_bucket"][f'{one},le="+Inf"'] == 4
    assert found["nv_inference_first_response_histogram_ms_bucket"][f'{one},le="5000"'] == 4
    assert 0 < found["nv_inference_compute_infer_duration_us"][one] < found["nv_inference_request_duration_us"][one]
    seconds = found["dunlin_request_duration_seconds_sum"][one]
    assert seconds == pytest.approx(found["nv_inference_request_duration_us"][one] / 1e6, abs=1e-5)


def test_a_version_that_left_takes_its_numbers_with_it_and_a_restarted_one_keeps_them(parts: Device) -> None:
    def asked(version: str) -> float | None:
        return scrape(parts).get("nv_inference_count", {}).get(f'model="m",version="{version}"')

    model = models.add(parts.folder / "add", 1)
    first = parts.worker(model, ADD_IO)
    number = parts.serve(first, "m", "1.0.0", ADD_IO)
    parts.client().infer("m", X)
    first.kill()
    parts.front.told("lost")
    parts.front.send(do="detach", worker=number)
    number = parts.serve(parts.worker(model, ADD_IO), "m", "1.0.0", ADD_IO)
    parts.client().infer("m", X)
    assert asked("1.0.0") == 4
    assert scrape(parts)["dunlin_worker_lost_total"] == {'model="m",version="1.0.0"': 1}
    parts.serve(parts.worker(model, ADD_IO), "m", "2.0.0", ADD_IO)
    parts.front.send(do="detach", worker=number)
    parts.front.told("drained", lambda message: message["worker"] == number)
    assert (asked("1.0.0"), asked("2.0.0")) == (None, 0)


def test_a_batch_is_one_run_of_its_rows_and_names_are_escaped(tmp_path: Path) -> None:
    ledger = Ledger('a"b\\c\nd', "1.0.0")
    for leads in (True, False):
        timing = Timing(0, 1000, 3_000_000, 2000, rows=5, members=2, leads=leads)
        ledger.served(Response(1, Status.SERVED, timing, [], (), ""), 2, 4_000_000)
    ledger.failed("REJECTED", 7)
    assert (ledger.inferences, ledger.executions, ledger.batches[5].infer_ns) == (4, 1, 3_000_000)
    assert ledger.queue.ns == 2 * (4_000_000 - 3_003_000)
    found = parse(metrics.text([ledger], metrics.Now(3, 1, [2]), tmp_path).decode())
    name = 'model="a\\"b\\\\c\\nd",version="1.0.0"'
    assert found["nv_inference_count"][name] == 4
    assert found["nv_inference_request_failure"][f'{name},reason="REJECTED"'] == 1
    assert found["nv_inference_pending_request_count"][name] == 2
    assert found["dunlin_request_duration_seconds_bucket"][f'{name},le="0.002"'] == 0
    assert found["dunlin_request_duration_seconds_bucket"][f'{name},le="0.005"'] == 2
    # A machine that does not tell its memory shows none.
    assert "nv_cpu_memory_total_bytes" not in found


def test_requests_of_ever_other_sizes_take_no_more_memory() -> None:
    ledger = Ledger("m", "1.0.0")
    for rows in range(1, 2 * MOST_BATCHES):
        ledger.served(Response(1, Status.SERVED, Timing(run_ns=1, rows=rows), [], (), ""), rows, 1)
    assert len(ledger.batches) == MOST_BATCHES
    assert (ledger.executions, ledger.phases.count) == (2 * MOST_BATCHES - 1, 2 * MOST_BATCHES - 1)
