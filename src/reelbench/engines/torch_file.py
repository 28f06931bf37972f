"""Tensors of a PyTorch weights file (``.pth``) as numpy arrays, without PyTorch.

Since version 1.6 ``torch.save`` writes a zip: ``<name>/data.pkl`` is a pickle that describes the tensors,
``<name>/data/<key>`` hold their bytes. A pickle can run code, so this reader knows the four names that a dictionary
of tensors is made of and refuses every other, as ``torch.load(weights_only=True)`` does.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import WeightsError

_TYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors by name, C-contiguous. Raises WeightsError for a file that is no dictionary of plain tensors."""
    try:
        with zipfile.ZipFile(path) as file:
            (index,) = [name for name in file.namelist() if name.endswith("/data.pkl")]
            with file.open(index) as described:
                found = _Unpickler(described, file, index.removesuffix("data.pkl")).load()
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path.name} is no file of plain tensors: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(one, np.ndarray) for one in found.values()):
        raise WeightsError(f"{path.name} holds other things than named tensors")
    return {str(name): np.asarray(one, order="C") for name, one in found.items()}


class _Unpickler(pickle.Unpickler):
    """Knows an ordered dictionary, a tensor and the kinds of storage; nothing else is looked up, let alone called."""

    def __init__(self, described: Any, file: zipfile.ZipFile, folder: str) -> None:
        super().__init__(described, encoding="utf-8")
        self._file, self._folder = file, folder

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        """A storage, ('storage', type, key, device, number of elements), as a flat array."""
        kind, scalar, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it asks for a {kind}")
        flat = np.frombuffer(self._file.read(f"{self._folder}data/{key}"), np.dtype(scalar).newbyteorder("<"))
        if len(flat) != count:
            raise pickle.UnpicklingError(f"storage {key} has {len(flat)} elements, not {count}")
        return flat


def _tensor(storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    """A view of the storage; numpy counts strides in bytes, PyTorch in elements."""
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides), default=0) < 0 or (0 not in shape and last >= len(storage)):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
