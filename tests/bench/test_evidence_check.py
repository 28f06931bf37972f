"""Evidence that the parent checks: library, device and precision of a process that really runs."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from reelbench.bench.evidence_check import checked_evidence, engine_names
from reelbench.bench.executed import executed
from reelbench.doctor.networks import MEAN, SCALE, small_networks
from reelbench.engines import proofs
from reelbench.engines.openvino import OpenVINO, Precision
from reelbench.engines.proofs import Proof


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_networks()[0].write(tmp_path_factory.mktemp("network") / "known.onnx")


def _engine(model: Path, folder: Path, precision: Precision) -> OpenVINO:
    known = small_networks()[0]
    cut = {"input": "x", "outputs": ["y"], "shape": known.shape, "mean": MEAN, "scale": SCALE}
    engine = OpenVINO(cut, precision=precision, batch=2, cache=False)
    engine.prepare(folder, model, known.images)
    engine.load(model, derived=folder)
    engine.infer(known.images()[0])
    return engine


def _claim(**more: object) -> dict[str, object]:
    return {"engine": "openvino", "device": "CPU", "precision": "fp32", "version": "1", "contradiction": "", **more}


def test_what_is_true_is_checked_and_what_is_not_contradicts(tmp_path: Path, network: Path) -> None:
    gc.collect()
    gc.freeze()  # networks that other tests of this process hold are not among its objects now
    engine = _engine(network, tmp_path, "fp32")
    try:
        claim = _claim(executed=executed())
        found = checked_evidence(claim, os.getpid())
        assert found["checks"] == dict.fromkeys(("library", "device", "precision"), "checked")
        assert (found["contradiction"], found["verified_on_hardware"]) == ("", False)
        lied = checked_evidence({**claim, "precision": "int8"}, os.getpid())
        assert "the engine's graph has" in lied["contradiction"]
    finally:
        engine.close()
        gc.unfreeze()


def test_a_library_that_is_not_loaded_contradicts() -> None:
    found = checked_evidence(_claim(engine="tensorrt", device="CPU"), os.getpid())
    assert "has not loaded that library" in found["contradiction"]
    assert found["checks"]["library"] == "self-reported"


@pytest.mark.parametrize("device", ["CUDA:7", "TPU:0", "CPU+CUDA:99"])
def test_a_device_that_this_machine_lacks_contradicts(device: str) -> None:
    assert "machine" in checked_evidence(_claim(device=device), os.getpid())["contradiction"]


def test_what_cannot_be_checked_is_self_reported() -> None:
    found = checked_evidence(_claim(engine="rules", precision="none"), os.getpid())
    assert found["checks"] == {"library": "self-reported", "device": "checked", "precision": "self-reported"}
    assert not found["contradiction"] and "verified_on_hardware" not in found


def test_only_a_stored_proof_verifies_and_a_worker_cannot() -> None:
    claim = _claim(verified_on_hardware=True, verified="says the worker")
    assert checked_evidence(claim, os.getpid())["verified_on_hardware"] is False
    proof = Proof("openvino", "CPU", "fp32", "1", True, "2026-03-01T00:00:00+00:00", 3e-4)
    proofs.keep([proof], "machine")
    found = checked_evidence(claim, os.getpid())
    assert found["verified_on_hardware"] is True
    assert found["verified"] == "parity 3e-04 on this machine, 2026-03-01"
    assert checked_evidence({**claim, "version": "2"}, os.getpid())["verified_on_hardware"] is False
    assert checked_evidence({**claim, "precision": "int8"}, os.getpid())["verified_on_hardware"] is False


def test_names_of_engines_say_what_executes() -> None:
    assert engine_names("rapidocr/openvino") == ["openvino"]
    assert engine_names("opencv + numpy") == ["opencv", "numpy"]
    assert engine_names("ultralytics") == ["torch"]
