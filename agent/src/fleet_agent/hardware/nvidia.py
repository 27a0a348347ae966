"""NVIDIA GPUs of workstations and servers, by NVML (nvidia-ml-py). Source: NVIDIA's NVML API reference."""

import importlib
from collections.abc import Callable
from typing import Any

from fleet_agent.hardware.reading import LackingError, Reading, tenths

_SLOWED_BY_HEAT = 0x20 | 0x40  # SW thermal slowdown, HW thermal slowdown
_SLOWED_BY_POWER = 0x80  # HW power brake: the supply asked for it
_THROTTLED, _UNDER_VOLTAGE = 1 << 2, 1 << 0
_FIRST = 0


def read() -> Reading:
    """Temperature, power, load and throttling of the first GPU; what it has no sensor for stays untold.

    Raises:
        LackingError: the library, the driver or the GPU is not there.
    """
    try:
        library: Any = importlib.import_module("pynvml")
    except ImportError:
        raise LackingError("nvidia-ml-py is not installed: pip install nvidia-ml-py") from None
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise LackingError(f"NVML does not start ({error}): check NVIDIA's driver, such as with nvidia-smi") from None
    try:
        return _reading(library, library.nvmlDeviceGetHandleByIndex(_FIRST))
    except library.NVMLError as error:
        raise LackingError(f"NVML shows no GPU: {error}") from None
    finally:
        library.nvmlShutdown()


def _reading(library: Any, gpu: Any) -> Reading:
    def asked(call: Callable[..., Any], *arguments: Any) -> Any:
        """A Jetson's GPU answers hardly any of this, and a workstation's not all."""
        try:
            return call(gpu, *arguments)
        except (library.NVMLError_NotSupported, library.NVMLError_NoPermission, library.NVMLError_Unknown):
            return None

    celsius = asked(library.nvmlDeviceGetTemperature, library.NVML_TEMPERATURE_GPU)
    rates = asked(library.nvmlDeviceGetUtilizationRates)
    milliwatts = asked(library.nvmlDeviceGetPowerUsage)
    slowed = asked(library.nvmlDeviceGetCurrentClocksThrottleReasons)
    return Reading(
        temperature_dc=None if celsius is None else tenths(celsius),
        throttled=None if slowed is None else _flags(slowed),
        power_mw=None if milliwatts is None else int(milliwatts),
        gpu_permille=None if rates is None else min(1000, int(rates.gpu) * 10),
    )


def _flags(slowed: int) -> int:
    """In the bits of :class:`~fleet_agent.hardware.reading.Reading`."""
    return (_THROTTLED if slowed & _SLOWED_BY_HEAT else 0) | (_UNDER_VOLTAGE if slowed & _SLOWED_BY_POWER else 0)
