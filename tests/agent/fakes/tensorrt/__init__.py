"""TensorRT 10's Python API as far as an engine takes it. It computes with ONNX Runtime, and fails as the real one does.

What goes wrong is the text of the file ``fault`` beside the package; a plan is the version, the GPU and the model.
"""

import ctypes
import enum
import json
import time
from pathlib import Path

import numpy
import onnxruntime
from pycuda import driver as _driver

__version__ = "10.3.0"
_MAGIC = b"fake plan\n"
_NAMES = {
    "tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int8)": "INT8", "tensor(int32)": "INT32",
    "tensor(int64)": "INT64", "tensor(uint8)": "UINT8", "tensor(bool)": "BOOL",
}  # fmt: skip


def _fault():
    return Path(__file__).parents[1].joinpath("fault").read_text()


class DataType(enum.IntEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    INT64 = 8


def nptype(dtype):
    kinds = {"FLOAT": "float32", "HALF": "float16", "BOOL": "bool_"}
    return getattr(numpy, kinds.get(dtype.name, dtype.name.lower()))


class TensorIOMode(enum.IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class MemoryPoolType(enum.IntEnum):
    WORKSPACE = 0


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def __init__(self):
        pass


class IProgressMonitor:
    def __init__(self):
        pass


def init_libnvinfer_plugins(logger, namespace):
    return True


def _session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Tensor:
    def __init__(self, node):
        self.name = node.name
        self.dtype = DataType[_NAMES[node.type]]
        self.shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)


class INetworkDefinition:
    def __init__(self):
        self.model = None

    @property
    def num_inputs(self):
        return len(_session(self.model).get_inputs())

    def get_input(self, place):
        return _Tensor(_session(self.model).get_inputs()[place])


class _ParserError:
    def desc(self):
        return "In function importFallbackPluginImporter: [8] Assertion failed: No importer registered for op: Rot13"

    def node(self):
        return 3

    def code(self):
        return 8


class OnnxParser:
    def __init__(self, network, logger):
        self._network = network
        self.num_errors = 0

    def parse(self, model):
        self._network.model = model
        self.num_errors = int(_fault() == "op")
        return not self.num_errors

    def get_error(self, place):
        return _ParserError()


class _Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, usual, most):
        if not (len(least) == len(usual) == len(most)) or any(a > b for a, b in zip(least, most, strict=True)):
            raise ValueError(f"set_shape: dimensions of {name} are inconsistent")
        self.shapes[name] = (tuple(least), tuple(most))


class IBuilderConfig:
    def __init__(self):
        self.progress_monitor = None
        self.pools = {}
        self.profiles = []

    def set_memory_pool_limit(self, pool, size):
        self.pools[pool] = size

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)
        return len(self.profiles) - 1


class Builder:
    def __init__(self, logger):
        self._logger = logger

    def create_network(self, flags=0):
        assert flags == 0
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return _Profile()

    def build_serialized_network(self, network, config):
        if config.pools.get(MemoryPoolType.WORKSPACE, 0) < 1 << 20:
            self._logger.log(ILogger.Severity.ERROR, "Could not find any implementation for node: no workspace")
            return None
        free = [tensor for tensor in _session(network.model).get_inputs() if _Tensor(tensor).shape.count(-1)]
        if free and not config.profiles:
            self._logger.log(ILogger.Severity.ERROR, "Network has dynamic or shape inputs, but no optimization profile")
            return None
        if not self._steps(config.progress_monitor):
            return None
        if _fault() == "none":
            self._logger.log(ILogger.Severity.ERROR, "Error Code 10: Could not find any implementation for node Conv_0")
            return None
        if _fault() == "memory":
            raise MemoryError("std::bad_alloc")
        if _fault() == "crash":
            ctypes.string_at(0)
        head = {
            "version": __version__,
            "compute": _driver.Device(0).compute_capability(),
            "shapes": config.profiles[0].shapes if config.profiles else {},
            "off": 1.0 if _fault() == "wrong" else 0.0,
        }
        return _MAGIC + json.dumps(head).encode() + b"\n" + network.model

    def _steps(self, monitor):
        monitor.phase_start("Building Engine", None, 4)
        for step in range(4):
            monitor.phase_start("Tactics", "Building Engine", 2)
            monitor.step_complete("Tactics", 0)
            monitor.phase_finish("Tactics")
            # A build goes on for as long as a file says so.
            while _fault() == "slow":
                time.sleep(0.02)
            if not monitor.step_complete("Building Engine", step):
                return False
        monitor.phase_finish("Building Engine")
        return True


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, plan):
        _driver.need_context()
        head, _, model = plan.removeprefix(_MAGIC).partition(b"\n")
        if not plan.startswith(_MAGIC) or _fault() == "deserialize":
            self._logger.log(
                ILogger.Severity.ERROR,
                "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion"
                " stdVersionRead == kSERIALIZATION_VERSION failed.Version tag does not match.)",
            )
            return None
        return ICudaEngine(json.loads(head), model)


class ICudaEngine:
    def __init__(self, head, model):
        self.head = head
        self.session = _session(model)
        self._tensors = {node.name: (_Tensor(node), TensorIOMode.INPUT) for node in self.session.get_inputs()}
        self._tensors |= {node.name: (_Tensor(node), TensorIOMode.OUTPUT) for node in self.session.get_outputs()}

    @property
    def num_io_tensors(self):
        return len(self._tensors)

    def get_tensor_name(self, place):
        return list(self._tensors)[place]

    def get_tensor_mode(self, name):
        return self._tensors[name][1]

    def get_tensor_dtype(self, name):
        return self._tensors[name][0].dtype

    def get_tensor_shape(self, name):
        return self._tensors[name][0].shape

    def create_execution_context(self):
        return None if _fault() == "context" else IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self._engine = engine
        self._shapes = {}
        self._addresses = {}

    def set_input_shape(self, name, shape):
        fixed = self._engine.get_tensor_shape(name)
        if len(fixed) != len(shape):
            return False
        least, most = self._engine.head["shapes"].get(name, (fixed, fixed))
        if not all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True)):
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        if self._engine.get_tensor_mode(name) == TensorIOMode.INPUT:
            return self._shapes.get(name, self._engine.get_tensor_shape(name))
        rows = next(iter(self._shapes.values()))[:1]
        return tuple(rows[0] if size < 0 else size for size in self._engine.get_tensor_shape(name))

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle):
        _driver.need_context()
        if _fault() == "execute" or stream_handle != _driver.Stream.handle:
            return False
        inputs = {}
        for node in self._engine.session.get_inputs():
            dtype = numpy.dtype(nptype(self._engine.get_tensor_dtype(node.name)))
            shape = self._shapes[node.name]
            raw = ctypes.string_at(self._addresses[node.name], dtype.itemsize * int(numpy.prod(shape)))
            inputs[node.name] = numpy.frombuffer(raw, dtype).reshape(shape)
        names = [node.name for node in self._engine.session.get_outputs()]
        for name, output in zip(names, self._engine.session.run(names, inputs), strict=True):
            raw = (output + numpy.asarray(self._engine.head["off"], output.dtype)).tobytes()
            ctypes.memmove(self._addresses[name], raw, len(raw))
        return True
