"""What the API tells of models and of itself, in the forms of Triton's extensions.

(triton-inference-server/server, docs/protocol: model_configuration, statistics, model_repository)
"""

from typing import Any

from dunlin_contract.manifest import Tensor as Spec
from fleet_agent import __version__
from fleet_agent.frames import BY_NAME
from fleet_agent.front.router import Worker
from fleet_agent.front.statistics import Ledger, Phases, Timed

_EXTENSIONS = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
]


def server(*, shared_memory: bool) -> dict[str, Any]:
    """Answer of ``GET /v2``."""
    extensions = [*_EXTENSIONS, "system_shared_memory"] if shared_memory else _EXTENSIONS
    return {"name": "dunlin", "version": __version__, "extensions": extensions}


def model(worker: Worker) -> dict[str, Any]:
    """Answer of ``GET /v2/models/{name}``; a free size is -1."""
    inputs, outputs = ([_metadata(spec) for spec in side] for side in (worker.io.inputs, worker.io.outputs))
    return {
        "name": worker.model,
        "versions": [worker.version],
        "platform": worker.runtime,
        "inputs": inputs,
        "outputs": outputs,
    }


def config(worker: Worker, copies: int) -> dict[str, Any]:
    """Answer of ``.../config``: Triton's ModelConfig. With batches the sizes leave the rows out, as Triton's do."""
    batches = worker.batch > 1
    made: dict[str, Any] = {
        "name": worker.model,
        "platform": worker.runtime,
        "backend": worker.runtime,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": worker.batch if batches else 0,
        "input": [_config(spec, batches=batches) for spec in worker.io.inputs],
        "output": [_config(spec, batches=batches) for spec in worker.io.outputs],
        "instance_group": [{"name": worker.model, "kind": "KIND_CPU", "count": copies}],
    }
    if batches:
        made["dynamic_batching"] = {"preferred_batch_size": [], "max_queue_delay_microseconds": 0}
    return made


def index_entry(worker: Worker) -> dict[str, str]:
    """One line of ``POST /v2/repository/index``."""
    state, reason = ("READY", "") if worker.usable else ("UNAVAILABLE", "it stopped and is being replaced")
    return {"name": worker.model, "version": worker.version, "state": state, "reason": reason}


def statistics(ledger: Ledger) -> dict[str, Any]:
    """One version in the answer of ``.../stats``."""
    nothing = Timed()
    return {
        "name": ledger.model,
        "version": ledger.version,
        "last_inference": ledger.last_ms,
        "inference_count": ledger.inferences,
        "execution_count": ledger.executions,
        "inference_stats": {
            "success": _timed(ledger.success),
            "fail": _timed(ledger.fail),
            "queue": _timed(ledger.queue),
            **_phases(ledger.phases),
            "cache_hit": _timed(nothing),
            "cache_miss": _timed(nothing),
        },
        "response_stats": {},
        "batch_stats": [{"batch_size": rows} | _phases(ledger.batches[rows]) for rows in sorted(ledger.batches)],
        "memory_usage": [{"type": "CPU", "id": 0, "byte_size": ledger.rss}],
    }


def _metadata(spec: Spec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": BY_NAME[spec.dtype].datatype, "shape": list(spec.shape)}


def _config(spec: Spec, *, batches: bool) -> dict[str, Any]:
    dims = list(spec.shape[1:] if batches else spec.shape)
    return {"name": spec.name, "data_type": f"TYPE_{BY_NAME[spec.dtype].datatype}", "dims": dims}


def _timed(timed: Timed) -> dict[str, int]:
    return {"count": timed.count, "ns": timed.ns}


def _phases(phases: Phases) -> dict[str, dict[str, int]]:
    return {
        "compute_input": {"count": phases.count, "ns": phases.input_ns},
        "compute_infer": {"count": phases.count, "ns": phases.infer_ns},
        "compute_output": {"count": phases.count, "ns": phases.output_ns},
    }
