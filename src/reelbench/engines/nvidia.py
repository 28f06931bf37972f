"""Looks for an NVIDIA GPU without any CUDA library: the driver's own library answers, or there is none."""

from __future__ import annotations

import ctypes
from functools import cache

from reelbench.engines.base import Availability

MEND = "run it on a machine with an NVIDIA GPU and its driver (nvidia-smi lists them)"


@cache
def _count() -> int:
    """CUDA devices that the driver offers; -1 where there is no driver. Creates no context."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return -1
    number = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(number)) != 0:
        return 0
    return number.value


def count() -> int:
    """How many CUDA devices can be used. Looks only; never raises."""
    return max(0, _count())


def gpu() -> Availability:
    """Whether a GPU can be used. Looks only; never raises."""
    if _count() > 0:
        return Availability(True)
    if _count() == 0:
        return Availability(False, "the NVIDIA driver is there, but it offers no usable GPU", MEND)
    return Availability(False, "no NVIDIA GPU or driver on this machine", MEND)


def identity(device_id: int) -> tuple[str, str]:
    """(GPU name, driver version) as NVML tells them; needs nvidia-ml-py. Raises pynvml.NVMLError."""
    import pynvml

    pynvml.nvmlInit()
    try:
        name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(device_id))
        return _text(name), _text(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
