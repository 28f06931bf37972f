"""Device memory for the tensors of one network, by NVIDIA's cuda-python. Not verified on hardware."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import AnalyzerError


class DeviceBuffers:
    """One stream, and for each tensor a device buffer and (outputs) a host array. One input tensor."""

    def __init__(self, device_id: int) -> None:
        from cuda.bindings import runtime

        self._cuda = runtime
        self._do(runtime.cudaSetDevice(device_id))
        self.stream = int(self._do(runtime.cudaStreamCreate()))
        self._pointers: dict[str, int] = {}
        self._hosts: dict[str, NDArray[Any]] = {}
        self._input: tuple[str, np.dtype[Any], int] | None = None

    def add(self, name: str, shape: tuple[int, ...], kind: np.dtype[Any], output: bool) -> int:
        """Allocate one tensor; its address on the device."""
        host = np.empty(shape, kind)
        pointer = int(self._do(self._cuda.cudaMalloc(host.nbytes)))
        self._pointers[name] = pointer
        if output:
            self._hosts[name] = host
        else:
            self._input = (name, host.dtype, host.nbytes)
        return pointer

    def upload(self, batch: NDArray[Any]) -> None:
        """Copy the input to the device, in stream order. ``batch`` may change once `download` returned."""
        assert self._input is not None
        name, kind, size = self._input
        self._uploaded = np.ascontiguousarray(batch, dtype=kind)
        if self._uploaded.nbytes != size:
            raise AnalyzerError(f"the engine takes {size} bytes as input and was given {self._uploaded.nbytes}")
        self._copy(self._pointers[name], self._uploaded.ctypes.data, size, "cudaMemcpyHostToDevice")

    def download(self) -> dict[str, NDArray[Any]]:
        """Wait for the stream; every output in an array of its own."""
        for name, host in self._hosts.items():
            self._copy(host.ctypes.data, self._pointers[name], host.nbytes, "cudaMemcpyDeviceToHost")
        self._do(self._cuda.cudaStreamSynchronize(self.stream))
        return {name: host.copy() for name, host in self._hosts.items()}

    def close(self) -> None:
        for pointer in self._pointers.values():
            self._do(self._cuda.cudaFree(pointer))
        self._pointers = {}
        self._do(self._cuda.cudaStreamDestroy(self.stream))

    def _copy(self, to: int, source: int, size: int, direction: str) -> None:
        kind = getattr(self._cuda.cudaMemcpyKind, direction)
        self._do(self._cuda.cudaMemcpyAsync(to, source, size, kind, self.stream))

    def _do(self, answer: Any) -> Any:
        """cuda-python answers (status, value …)."""
        status, *values = answer
        if int(status) != 0:
            raise AnalyzerError(f"CUDA: {status}")
        return values[0] if values else None
