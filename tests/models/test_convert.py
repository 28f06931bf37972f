"""Pickle to safetensors: bit for bit, only from what is pinned, whole or not there however often it is killed."""

from __future__ import annotations

import pickle
import shutil
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from reelbench.engines.torch_file import read_tensors
from reelbench.errors import InputError, OutputError, UnavailableError, WeightsError
from reelbench.models import convert as module
from reelbench.models import provenance
from reelbench.models.convert import convert
from reelbench.models.store import ModelStore
from support.crashes import every_exit
from support.weights import MakeCatalog, entry

TENSORS = {
    "layer.weight": np.array([[1.5, np.nan, -0.0], [np.inf, 2, 3]], np.float32),
    "layer.half": np.arange(6, dtype=np.float16).reshape(3, 2).T,
    "count": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.float32),
}
_KINDS = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


class _Global:
    """A name that is written into a pickle without being imported."""

    def __init__(self, name: str) -> None:
        self.module, self.name = name.rsplit(".", 1)


class _Tensor:
    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key, self.array = key, array


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]  # pickle's own, in Python: globals can be written by name
    """Writes what ``torch.save`` writes for a dictionary of tensors."""

    def persistent_id(self, value: object) -> object:
        if not (isinstance(value, tuple) and value and value[0] == "storage"):
            return None
        return value

    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
            return
        if isinstance(value, _Tensor):
            array = value.array
            storage = ("storage", _Global(f"torch.{_KINDS[array.dtype.name]}"), value.key, "cpu", array.size)
            strides = (
                tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides) if array.ndim else ()
            )
            self.save(_Global("torch._utils._rebuild_tensor_v2"))
            self.save((storage, 0, array.shape, strides, False, OrderedDict()))
            self.write(pickle.REDUCE)
            return
        super().save(value, save_persistent_id)


def checkpoint(path: Path, tensors: dict[str, np.ndarray]) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as sink:
            _Pickler(sink, protocol=2).dump(
                {name: _Tensor(str(at), one) for at, (name, one) in enumerate(tensors.items())}
            )
        for at, one in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{at}", np.ascontiguousarray(one).tobytes())
    return path.read_bytes()


def store_with(tmp_path: Path, catalog_of: MakeCatalog, content: bytes, where: str = "store") -> ModelStore:
    store = ModelStore(tmp_path / where, catalog_of(a=entry(content, {"file": str(tmp_path / "mirror")})))
    (store.root / "net").mkdir(parents=True)
    (store.root / "net/a.bin").write_bytes(content)
    return store


def test_every_tensor_comes_out_bit_for_bit_and_the_source_is_recorded(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    store = store_with(tmp_path, catalog_of, checkpoint(tmp_path / "net.pt", TENSORS))
    done = convert(store, "net/a.bin", read_tensors)
    assert (done.made, done.tensors, done.read_by) == (True, 4, "reelbench")
    back = load_file(done.path)
    for name, tensor in TENSORS.items():
        assert (back[name].dtype, back[name].shape) == (tensor.dtype, tensor.shape)
        assert back[name].tobytes() == tensor.tobytes()
    made = provenance.read(done.path.parent)
    assert made is not None
    assert made.artifacts == {"net/a.bin": store.catalog["net/a.bin"].sha256}
    assert "safetensors" in made.versions
    again = convert(store, "net/a.bin", read_tensors)
    assert (again.made, again.sha256, again.tensors) == (False, done.sha256, 4)


def test_what_is_no_pickle_absent_or_damaged_is_refused(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    store = store_with(tmp_path, catalog_of, b"onnx")
    with pytest.raises(InputError, match="is no pickle"):
        convert(store, "net/a.bin", read_tensors)
    (store.root / "net/a.bin").write_bytes(b"evil")
    with pytest.raises(WeightsError, match="damaged"):
        convert(store, "net/a.bin", read_tensors)


def test_more_than_tensors_needs_pytorch(
    tmp_path: Path, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(tmp_path, catalog_of, pickle.dumps({"epoch": 1}))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match="PyTorch is needed") as caught:
        convert(store, "net/a.bin", read_tensors)
    assert caught.value.hint == "pip install 'reelbench[torch]'"
    assert not list(store.root.glob("derived/*/*"))


def test_a_file_that_does_not_read_back_the_same_is_not_kept(
    tmp_path: Path, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(tmp_path, catalog_of, checkpoint(tmp_path / "net.pt", TENSORS))
    monkeypatch.setattr(module, "_same", lambda one, other: False)
    with pytest.raises(OutputError, match="does not read back"):
        convert(store, "net/a.bin", read_tensors)
    assert not list(store.root.glob("derived/*/*safetensors*"))


def test_with_pytorch_nested_checkpoints_and_bfloat16_come_too(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    torch = pytest.importorskip("torch", reason="needs the torch extra")
    from safetensors.torch import load_file as load

    shared = torch.arange(6, dtype=torch.bfloat16)
    torch.save(
        {"epoch": 3, "state_dict": {"a": shared, "b": shared[2:], "n": torch.tensor(float("nan"))}}, tmp_path / "x.pt"
    )
    store = store_with(tmp_path, catalog_of, (tmp_path / "x.pt").read_bytes())
    done = convert(store, "net/a.bin", read_tensors)
    assert done.read_by == "torch"
    back = load(done.path)
    assert torch.equal(back["b"], shared[2:])
    assert back["n"].isnan()
    torch.save({"a": torch.ones(1), "epoch": 1}, tmp_path / "y.pt")
    other = store_with(tmp_path, catalog_of, (tmp_path / "y.pt").read_bytes(), "other")
    with pytest.raises(WeightsError, match="no dictionary of tensors"):
        convert(other, "net/a.bin", read_tensors)


def test_killed_at_any_change_the_next_one_has_the_whole_file(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    content = checkpoint(tmp_path / "net.pt", TENSORS)
    whole = convert(store_with(tmp_path, catalog_of, content), "net/a.bin", read_tensors)
    expected = whole.path.read_bytes()

    def fresh(k: int) -> ModelStore:
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)
        return store_with(tmp_path, catalog_of, content, "killed")

    exits = 0
    for _, store, ended in every_exit(
        fresh, lambda store: convert(store, "net/a.bin", read_tensors), lambda store: store.root
    ):
        exits += ended.crashed
        for left in store.root.glob(f"derived/*/{module.NAME}"):
            assert left.read_bytes() == expected
        again = convert(store, "net/a.bin", read_tensors)
        assert again.path.read_bytes() == expected
        assert provenance.read(again.path.parent) is not None
        assert [one.name for one in again.path.parent.iterdir() if one.name.endswith(".tmp")] == []
    assert exits > 8
