"""Evidence that the parent checks: library, device and precision of a process that really runs."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from reelbench.bench.evidence_check import checked_evidence, engine_names
from reelbench.bench.executed import executed
from reelbench.doctor.networks import MEAN, SCALE, small_networks
from reelbench.engines import proofs
from reelbench.engines.openvino import OpenVINO, Precision
from reelbench.engines.proofs import Proof
from support.quantized import write_quantized


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
        claim = _claim(**executed())
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


def test_an_engine_that_failed_its_proof_contradicts_whichever_analyzer_uses_it() -> None:
    proofs.keep([Proof("torch", "CPU", "bf16", "2.11.0", False, "2026-03-01", reason="cosine 0.3")], "machine")
    for engine in ("transformers", "easyocr", "ultralytics", "torch"):
        claim = _claim(engine=engine, precision="bf16", version="1", details={"torch": "2.11.0+cu130"})
        assert "cosine 0.3" in checked_evidence(claim, os.getpid())["contradiction"]


def test_versions_are_those_of_a_module_or_of_its_distribution() -> None:
    same = [("5.0.0", "5.0.0.93"), ("2.11.0+cu130", "2.11.0"), ("1.32.0", "1.32.0")]
    other = [("1.32.0", "1.32.1"), ("2.1", "2.1.4"), ("5.0.0", "5.0.01"), ("", "1.0")]
    assert [proofs.same_version(*one) for one in same + other] == [True] * 3 + [False] * 4


def test_lowered_precision_that_nothing_compared_is_said(record: dict[str, object]) -> None:
    claim = _claim(precision="int8")
    assert "nothing compared" in checked_evidence(claim, os.getpid())["uncompared"]
    assert "uncompared" not in checked_evidence({**claim, "parity": [record]}, os.getpid())
    assert "uncompared" not in checked_evidence(_claim(), os.getpid())
    no_memory = {**record, "ok": None, "reason": "no memory for FP32"}
    assert checked_evidence({**claim, "parity": [no_memory]}, os.getpid())["uncompared"] == "no memory for FP32"
    assert "bf16" not in record["precision"]  # type: ignore[operator]
    assert "uncompared" in checked_evidence({**claim, "precision": "bf16", "parity": [record]}, os.getpid())
    refused = checked_evidence({**claim, "parity": [{**record, "ok": False}]}, os.getpid())
    assert "known.onnx failed its comparison" in refused["contradiction"]


@pytest.fixture
def record() -> dict[str, object]:
    return {"network": "known.onnx", "precision": "int8", "ok": True, "relative": 0.1, "cosine": 0.99}


def test_onnx_runtime_opencv_and_ctranslate2_are_read_from_what_they_loaded(tmp_path: Path, network: Path) -> None:
    import cv2
    import onnxruntime

    gc.collect()
    gc.freeze()
    try:
        session = onnxruntime.InferenceSession(str(write_quantized(tmp_path / "q.onnx")))
        # Python's garbage collector knows neither the network nor the dictionary in which nothing else lies.
        held = SimpleNamespace(networks={"one": cv2.dnn.readNet(str(network))})
        ran = executed()
        assert ran["executed"] == {"onnx_runtime": {"int8": 1}, "opencv_dnn": {"fp32": 5}}
        assert ran["placed"] == {"onnx_runtime": {"CPU": 1}, "opencv_dnn": {"CPU": 5}}
        claim = _claim(engine="onnx_runtime", precision="int8", **ran)
        assert checked_evidence(claim, os.getpid())["checks"]["precision"] == "checked"
        lied = checked_evidence({**claim, "precision": "fp32"}, os.getpid())
        assert "names fp32, but the engine's graph has 1 × int8" in lied["contradiction"]
        del session, held
        assert executed()["executed"] == {}
    finally:
        gc.unfreeze()


def test_a_network_of_which_only_a_request_is_kept_is_read(network: Path) -> None:
    import openvino as ov

    gc.collect()
    gc.freeze()
    try:
        request = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
        assert executed()["executed"] == {"openvino": {"fp32": 5}} and request
    finally:
        gc.unfreeze()


def test_networks_that_lie_on_another_device_contradict() -> None:
    found = checked_evidence(_claim(placed={"openvino": {"GPU.0": 7}}), os.getpid())
    assert "names CPU, but the live networks of openvino lie on GPU.0" in found["contradiction"]
    assert "lie on" not in checked_evidence(_claim(placed={"torch": {"CUDA:0": 7}}), os.getpid())["contradiction"]


def test_onnx_runtime_on_a_gpu_wants_its_own_library() -> None:
    found = checked_evidence(_claim(engine="onnx_runtime", device="CUDA:0"), os.getpid())
    assert "onnx_runtime_cuda" in found["contradiction"]


def test_names_of_engines_say_what_executes() -> None:
    assert engine_names("rapidocr/openvino") == ["openvino"]
    assert engine_names("opencv + numpy") == ["opencv", "numpy"]
    assert engine_names("ultralytics") == ["torch"]
