"""From a pickle to safetensors: the same tensors in a file that holds nothing else and can run nothing.

Only what the catalog pins is read, and every tensor is compared bit for bit with what the new file gives back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import InputError, OutputError, UnavailableError, WeightsError
from reelbench.models import provenance
from reelbench.models.pickles import is_pickle
from reelbench.models.placing import disk_errors, require_room, settle, sha256_of
from reelbench.models.pulling import locked

if TYPE_CHECKING:
    from reelbench.models.store import ModelStore

Reader = Callable[[Path], Mapping[str, NDArray[Any]]]
"""Reads plain tensors from a pickle without running it; raises WeightsError for a file that holds more."""

NAME = "model.safetensors"

# Where a checkpoint that holds more than tensors keeps them.
_KEPT_AS = ("state_dict", "model_state_dict", "model", "weights", "params")


@dataclass(frozen=True, slots=True)
class Converted:
    """The new file, in a derived folder of the store. ``made`` is false where it was there already."""

    source: str
    path: Path
    sha256: str
    tensors: int
    read_by: str
    made: bool


def convert(store: ModelStore, artifact: str, read: Reader) -> Converted:
    """Convert a pickle of the store. ``read`` is tried first; what it cannot read needs PyTorch.

    Raises WeightsError where the pickle is absent, damaged or holds other things than tensors; UnavailableError where PyTorch is needed
    and absent; InputError for a file that is no pickle; OutputError for the disk.
    """
    entry = store.catalog[artifact]
    path = store.path(artifact)
    with disk_errors(path):
        if not is_pickle(path):
            raise InputError(f"{artifact} is no pickle", "safetensors, ONNX and IR need no conversion")
        folder = store.derived(f"safetensors-{artifact.replace('/', '-')[:80]}-{entry.sha256[:12]}")
        with locked(store.root, entry.family):
            target = folder / NAME
            if target.is_file():
                return Converted(artifact, target, sha256_of(target), _count(target), "", made=False)
            require_room(folder, entry.bytes, f"converting {artifact}")
            try:
                tensors, read_by = _plain(read(path)), "reelbench"
            except WeightsError as error:
                tensors, read_by = _by_torch(artifact, path, str(error)), "torch"
            provenance.write(
                folder, f"models convert, read by {read_by}", {artifact: entry.sha256}, ["safetensors", read_by]
            )
            _write(tensors, target)
    return Converted(artifact, target, sha256_of(target), len(tensors), read_by, made=True)


def _plain(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}


def _by_torch(artifact: str, path: Path, why: str) -> dict[str, Any]:
    """The tensors, by PyTorch's restricted reader. Each is a copy: safetensors knows no two names for the same memory."""
    try:
        import torch
    except ImportError as error:
        raise UnavailableError(
            f"{artifact}: {why}: PyTorch is needed to read it", "pip install 'reelbench[torch]'"
        ) from error
    import pickle

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{artifact} holds more than tensors: {first}", "it can only be used as the pickle that it is"
        ) from error
    for key in _KEPT_AS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    if not isinstance(found, dict) or not found or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise WeightsError(f"{artifact} holds no dictionary of tensors", "it can only be used as the pickle that it is")
    return {str(name): tensor.detach().contiguous().clone() for name, tensor in found.items()}


def _write(tensors: dict[str, Any], target: Path) -> None:
    """Write, read back, compare, and only then give the file its name."""
    if not tensors:
        raise WeightsError("the file holds no tensors")
    if all(isinstance(one, np.ndarray) for one in tensors.values()):
        from safetensors.numpy import load_file, save_file
    else:
        from safetensors.torch import load_file, save_file
    temporary = target.with_name(f".{NAME}.tmp")  # one name, under the family's lock: kill -9 leaves no litter behind
    try:
        save_file(tensors, temporary)
        back = load_file(temporary)
        if back.keys() != tensors.keys() or not all(_same(back[name], tensors[name]) for name in tensors):
            raise OutputError(f"{target}: what was written does not read back the same", "check the disk")
        settle(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _same(one: Any, other: Any) -> bool:
    """Bit for bit: a NaN equals itself, and -0 is not 0."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if isinstance(one, np.ndarray):
        return one.tobytes() == np.asarray(other).tobytes()
    import torch

    return bool(torch.equal(_bits(one, torch), _bits(other, torch)))


def _bits(tensor: Any, torch: Any) -> Any:
    return tensor.reshape(-1).view(torch.uint8)


def _count(path: Path) -> int:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return len(file.keys())
