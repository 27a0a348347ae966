"""Building an engine of an ONNX model with TensorRT. Imported only in the process that builds."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dunlin_contract.manifest import Io
from fleet_agent.runtimes.errors import ModelLoadError, runtime_call
from fleet_agent.runtimes.tensorrt_common import Words, compute_capability, tensorrt

Progress = Callable[[str, int, int], bool]
"""Takes a phase's name, how many of its steps are done, and of how many. False: stop."""

_EXPLICIT_BATCH_FROM = 10
"""Since this version networks have no other kind of batch, and no flag for it."""


class Built(NamedTuple):
    """A serialized engine, and the compute capability it is for."""

    plan: memoryview
    compute: str


def build(model: bytes, io: Io, rows: int, workspace_bytes: int, progress: Progress) -> Built:
    """Build. ``rows``: the largest first size where the model leaves it free; other free sizes cannot be.

    Raises:
        ModelLoadError: TensorRT cannot; the text is its reason.
    """
    words = Words()
    with runtime_call(ModelLoadError, "TensorRT cannot build the engine"):
        compute = compute_capability()
        tensorrt.init_libnvinfer_plugins(words, "")
        builder = tensorrt.Builder(words)
        network = builder.create_network(_flags())
        parser = tensorrt.OnnxParser(network, words)
        parsed = parser.parse(model)
    if not parsed:
        raise ModelLoadError(f"TensorRT does not read the model: {_parse_error(parser, words)}")
    with runtime_call(ModelLoadError, "TensorRT cannot build the engine"):
        config = builder.create_builder_config()
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, workspace_bytes)
        _shapes(builder, network, config, io, rows)
        if hasattr(tensorrt, "IProgressMonitor"):
            config.progress_monitor = _monitor(progress)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelLoadError(f"TensorRT built no engine: {words.why('it gives no reason; memory may be short')}")
    return Built(memoryview(plan), compute)


def _flags() -> int:
    if int(tensorrt.__version__.partition(".")[0]) >= _EXPLICIT_BATCH_FROM:
        return 0
    return 1 << int(tensorrt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def _parse_error(parser: Any, words: Words) -> str:
    if not parser.num_errors:
        return words.why("it gives no reason")
    error = parser.get_error(0)
    words.log(tensorrt.ILogger.Severity.ERROR, f"{error.desc()} (node {error.node()})")
    return words.last


def _shapes(builder: Any, network: Any, config: Any, io: Io, rows: int) -> None:
    """One profile for all sizes that a free first dimension may have."""
    free = [tensor for tensor in io.inputs if any(size < 0 for size in tensor.shape)]
    for tensor in free:
        if any(size < 0 for size in tensor.shape[1:]):
            raise ModelLoadError(f"input {tensor.name!r} has free sizes besides its first: leave delegate out for it")
    inputs = [network.get_input(place) for place in range(network.num_inputs)]
    if not any(size < 0 for one in inputs for size in one.shape):
        return
    profile = builder.create_optimization_profile()
    for one in inputs:
        # What the manifest fixes need not be fixed in the model.
        fixed = next((tensor.shape for tensor in io.inputs if tensor.name == one.name), tuple(one.shape))
        least, most = (tuple(size if size >= 0 else number for size in fixed) for number in (1, rows))
        profile.set_shape(one.name, least, least, most)
    config.add_optimization_profile(profile)


def _monitor(progress: Progress) -> Any:
    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]  # the library has no types
        """Of phases within phases only the outermost are told. TensorRT calls from its own threads."""

        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self._steps.get(phase_name)
            return True if steps is None else progress(phase_name, step + 1, steps)

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()
