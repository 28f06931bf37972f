"""TensorRT without a GPU: what refuses it, and how the inspector's report is read. With one: build, run, compare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reelbench.engines import nvidia, tensorrt
from reelbench.engines.base import Availability
from reelbench.engines.tensorrt import TensorRT
from reelbench.engines.tensorrt_inspector import layer_types, main_precision
from reelbench.engines.yolo_export import YOLOExport

MISSING = nvidia.gpu()


def _layer(kind: str, said: dict[str, str]) -> dict[str, object]:
    return {"Name": "/model.0/conv", "LayerType": kind, "Inputs": [{"Name": "x", "Dimensions": [1, 3, 64, 64], **said}]}


@pytest.mark.parametrize(
    ("told", "precision"),
    [
        ({"Format/Datatype": "Row major linear FP16 format"}, "fp16"),
        ({"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format."}, "int8"),
        ({"Format/Datatype": "Row major linear FP32"}, "fp32"),
        ({"Format/Datatype": "Half"}, "fp16"),
        ({"Format/Datatype": "Float"}, "fp32"),
        ({"Format": "Row major linear", "DataType": "BFloat16"}, "bf16"),
        ({"Format": "Channel major FP16 format where C % 8 == 0", "DataType": "Half"}, "fp16"),
        ({"Format/Datatype": "N/A due to dynamic shapes"}, "unknown"),
    ],
)
def test_the_inspector_s_words_for_a_type(told: dict[str, str], precision: str) -> None:
    assert main_precision(json.dumps({"Layers": [_layer("CaskConvolution", told)]})) == precision


def test_layers_that_compute_decide_not_those_that_copy() -> None:
    half, single = {"Format/Datatype": "Row major linear FP16 format"}, {"Format/Datatype": "Row major linear FP32"}
    layers = [_layer("Reformat", single), _layer("NoOp", single), _layer("PointWise", single), _layer("gemm", half)]
    report = json.dumps({"Layers": [*layers, "only a name"]})
    assert main_precision(report) == "fp16"
    assert layer_types(report)["not told"] == {"not told": 1}


@pytest.mark.skipif(MISSING.ok, reason="there is a GPU here")
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_without_a_gpu_that_is_the_reason(precision: str) -> None:
    state = TensorRT(precision=precision).available()  # type: ignore[arg-type]
    assert not state.ok
    assert "GPU" in state.reason and state.mend


def test_with_a_gpu_the_missing_packages_are_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    if tensorrt.importlib.util.find_spec("tensorrt"):
        pytest.skip("TensorRT is installed here")
    monkeypatch.setattr(nvidia, "gpu", lambda: Availability(True))
    state = TensorRT().available()
    assert (state.ok, state.mend) == (False, 'pip install "reelbench[gpu]"')
    assert "tensorrt" in state.reason


def test_the_module_says_that_no_gpu_has_run_it() -> None:
    assert "Not verified on hardware" in (tensorrt.__doc__ or "")


@pytest.mark.gpu
@pytest.mark.torch
@pytest.mark.parametrize(("precision", "within"), [("fp32", 0.05), ("fp16", 2.0), ("int8", 8.0)])
def test_an_engine_answers_as_onnx_runtime_does(tmp_path: Path, precision: str, within: float) -> None:
    from reelbench.engines.onnx_runtime import OnnxRuntime

    export = YOLOExport((96, 64), batch=2)
    engine = TensorRT(precision=precision, batch=2, export=export)  # type: ignore[arg-type]
    if not engine.available().ok:
        pytest.skip(f"TensorRT cannot run here: {engine.available().reason}")
    images = np.random.default_rng(0).random((2, 3, 64, 96), dtype=np.float32)
    engine.prepare(tmp_path, Path("yolo11n.yaml"), lambda: [images])
    engine.load(Path("yolo11n.yaml"), derived=tmp_path)
    reference = OnnxRuntime()
    reference.load(tmp_path / "model.onnx")
    got, expected = engine.infer(images[:1]), reference.infer(images)
    assert np.allclose(got["output0"], expected["output0"][:1], atol=within)
    assert engine.evidence().precision == precision and not engine.evidence().contradiction
