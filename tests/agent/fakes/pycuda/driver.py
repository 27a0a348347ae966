"""The CUDA driver as pycuda shows it: contexts belong to threads, memory has addresses, copies are of bytes."""

import ctypes
import threading
from pathlib import Path

from numpy.lib.array_utils import byte_bounds as _bounds

_current = threading.local()
_started = [False]
memory = {}


class Error(Exception):
    pass


class LogicError(Error):
    pass


class LaunchError(Error):
    pass


class MemoryError(Error):  # noqa: A001 - its name
    pass


def fault():
    return Path(__file__).parents[1].joinpath("fault").read_text()


def stack():
    if not hasattr(_current, "stack"):
        _current.stack = []
    return _current.stack


def need_context():
    if not stack():
        raise LogicError("cuMemcpyHtoDAsync failed: invalid device context")


def init():
    if fault() == "no-gpu":
        raise LogicError("cuInit failed: no CUDA-capable device is detected")
    _started[0] = True


class Context:
    def push(self):
        stack().append(self)

    @staticmethod
    def pop():
        if not stack():
            raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
        stack().pop()


class Device:
    def __init__(self, number):
        if not _started[0]:
            raise LogicError("cuDeviceGet failed: initialization error")
        if number != 0:
            raise LogicError("cuDeviceGet failed: invalid device ordinal")

    def compute_capability(self):
        return (9, 0) if fault() == "other-gpu" else (8, 7)

    def make_context(self):
        context = Context()
        context.push()
        return context


class DeviceAllocation:
    def __init__(self, size):
        self._buffer = (ctypes.c_char * size)()
        memory[int(self)] = self._buffer

    def __int__(self):
        return ctypes.addressof(self._buffer)

    def free(self):
        del memory[int(self)]


def mem_alloc(size):
    need_context()
    if fault() == "no-memory":
        raise MemoryError("cuMemAlloc failed: out of memory")
    return DeviceAllocation(size)


class Stream:
    handle = 7

    def __init__(self):
        need_context()

    def synchronize(self):
        need_context()
        if fault() == "launch":
            raise LaunchError("cuStreamSynchronize failed: unspecified launch failure")


def _address(array):
    begin, end = _bounds(array)
    assert array.flags.c_contiguous
    return begin, end - begin


def memcpy_htod_async(target, source, stream=None):
    need_context()
    address, size = _address(source)
    ctypes.memmove(int(target), address, size)


def memcpy_dtoh_async(target, source, stream=None):
    need_context()
    address, size = _address(target)
    ctypes.memmove(address, int(source), size)
