"""nvidia-ml-py 13: what an agent asks of it."""

from pathlib import Path

NVML_TEMPERATURE_GPU = 0


class NVMLError(Exception):
    text = "Unknown Error"

    def __str__(self):
        return self.text


class NVMLError_LibraryNotFound(NVMLError):
    text = "NVML Shared Library Not Found"


class NVMLError_DriverNotLoaded(NVMLError):
    text = "Driver Not Loaded"


class NVMLError_NotSupported(NVMLError):
    text = "Not Supported"


class NVMLError_NoPermission(NVMLError):
    text = "Insufficient Permissions"


class NVMLError_Unknown(NVMLError):
    text = "Unknown Error"


class NVMLError_InvalidArgument(NVMLError):
    text = "Invalid Argument"


class _Rates:
    gpu = 41
    memory = 12


opened = []


def _fault():
    return Path(__file__).with_name("fault").read_text()


def nvmlInit():
    if _fault() == "library":
        raise NVMLError_LibraryNotFound
    if _fault() == "driver":
        raise NVMLError_DriverNotLoaded
    opened.append(1)


def nvmlShutdown():
    opened.pop()


def nvmlDeviceGetHandleByIndex(index):
    if _fault() == "none":
        raise NVMLError_InvalidArgument
    return object()


def _asked(value):
    if _fault() == "unsupported":
        raise NVMLError_NotSupported
    return value


def nvmlDeviceGetTemperature(gpu, sensor):
    return 67


def nvmlDeviceGetUtilizationRates(gpu):
    return _asked(_Rates())


def nvmlDeviceGetPowerUsage(gpu):
    return _asked(43_210)


def nvmlDeviceGetCurrentClocksThrottleReasons(gpu):
    return _asked(0x40 | 0x1)
