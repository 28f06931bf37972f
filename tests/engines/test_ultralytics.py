"""YOLO in PyTorch, its ONNX export, and lower precisions of it. Needs the extra 'torch' but for the first tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelbench.engines import onnx_precision, ultralytics
from reelbench.engines.onnx_runtime import OnnxRuntime
from reelbench.engines.ultralytics import UltralyticsYOLO
from reelbench.engines.yolo_export import YOLOExport
from reelbench.errors import AnalyzerError, UnavailableError

RANDOM = Path("yolo11n.yaml")
SIZE = (96, 64)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="needs the extra 'torch'")


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, SIZE[1], SIZE[0]), dtype=np.float32)


def test_without_the_extra_the_command_that_mends_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ultralytics" else found(name))
    for part in (UltralyticsYOLO(), YOLOExport(), OnnxRuntime(export=YOLOExport())):
        state = part.available()
        assert (state.ok, state.mend) == (False, 'pip install "reelbench[torch]"')
        assert "ultralytics" in state.reason
    with pytest.raises(UnavailableError):
        YOLOExport().write(RANDOM, tmp_path)


def test_a_kept_export_needs_no_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ultralytics, "torch_extra", lambda: pytest.fail("looked for the extra"))
    (tmp_path / "model.onnx").write_bytes(b"kept")
    assert YOLOExport().write(RANDOM, tmp_path).read_bytes() == b"kept"


@pytest.mark.torch
def test_random_weights_follow_their_seed(torch: Any) -> None:
    answers = []
    for seed in (0, 0, 1):
        engine = UltralyticsYOLO(seed=seed)
        engine.load(RANDOM)
        answers.append(engine.infer(_images(1))["output0"])
    assert answers[0].shape == (1, 84, 126)
    assert np.array_equal(answers[0], answers[1]) and not np.array_equal(answers[0], answers[2])


@pytest.mark.torch
def test_evidence_is_read_from_the_parameters_and_the_kernels(torch: Any) -> None:
    engine = UltralyticsYOLO()
    engine.load(RANDOM)
    engine.infer(_images(2))
    evidence = engine.evidence()
    assert (evidence.device, evidence.precision, evidence.batch, evidence.contradiction) == ("CPU", "fp32", 2, "")
    assert evidence.version == torch.__version__
    assert evidence.details["kernels"]["aten::convolution"] > 50
    engine._network.half()
    assert "asked for fp32, the parameters are fp16" in engine._contradiction("fp16", "cpu")


@pytest.mark.torch
def test_a_file_that_is_no_checkpoint_is_refused(torch: Any, tmp_path: Path) -> None:
    path = tmp_path / "yolo11n.pt"
    path.write_text("not a pickle")
    with pytest.raises(AnalyzerError, match=r"cannot read yolo11n\.pt"):
        UltralyticsYOLO().load(path)


@pytest.mark.torch
def test_weights_that_are_not_there_are_not_looked_for_elsewhere(torch: Any, tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="does not exist"):
        UltralyticsYOLO().load(tmp_path / "yolo11n.pt")


@pytest.mark.torch
@pytest.mark.parametrize("batch", [None, 2])
def test_the_export_answers_as_pytorch_does(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int | None
) -> None:
    monkeypatch.chdir(tmp_path)
    export = YOLOExport(SIZE, batch=batch)
    engine = OnnxRuntime(export=export)
    derived = tmp_path / "derived"
    engine.prepare(derived, RANDOM, lambda: pytest.fail("asked for calibration images"))
    assert {path.name for path in tmp_path.rglob("*")} == {"derived", "model.onnx", "export.json"}
    engine.load(RANDOM, derived=derived)
    reference = UltralyticsYOLO()
    reference.load(RANDOM)
    got, expected = (part.infer(_images(2))["output0"] for part in (engine, reference))
    assert np.allclose(got, expected, atol=1e-2, rtol=1e-4)
    assert engine.evidence().details["export"]["source"] == "yolo11n.yaml"


@pytest.mark.torch
def test_lower_precisions_are_written_into_the_network(torch: Any, tmp_path: Path) -> None:
    """INT8 is what TensorRT wants: symmetric, signed, without 8-bit biases; ONNX Runtime shows that it still answers alike."""
    import onnx

    source = YOLOExport(SIZE, batch=2).write(RANDOM, tmp_path)
    half, quantized = tmp_path / "half.onnx", tmp_path / "int8.onnx"
    onnx_precision.to_fp16(source, half)
    # The last batch is smaller than the network's.
    onnx_precision.to_int8(source, quantized, [_images(2), _images(1)])
    answers = {}
    for path in (source, half, quantized):
        engine = OnnxRuntime()
        engine.load(path)
        answers[path] = engine.infer(_images(2))["output0"]
    assert np.allclose(answers[half], answers[source], atol=0.5)
    assert np.allclose(answers[quantized], answers[source], atol=2.0)
    graph = onnx.load(str(quantized)).graph
    zeros = [onnx.numpy_helper.to_array(part) for part in graph.initializer if part.name.endswith("zero_point")]
    assert len(zeros) > 80 and all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    quantized_inputs = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    plain = [node.name for node in graph.node if node.op_type == "Conv" and node.input[0] not in quantized_inputs]
    assert plain == ["/model.23/dfl/conv/Conv"]
    kinds = {part.data_type for part in onnx.load(str(half)).graph.initializer if part.name.endswith("conv.weight")}
    assert kinds == {onnx.TensorProto.FLOAT16}


@pytest.mark.torch
def test_int8_without_calibration_images_is_refused(torch: Any, tmp_path: Path) -> None:
    source = YOLOExport(SIZE, batch=1).write(RANDOM, tmp_path)
    with pytest.raises(AnalyzerError, match="calibration image"):
        onnx_precision.to_int8(source, tmp_path / "int8.onnx", [])
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.gpu
@pytest.mark.torch
def test_half_precision_on_a_gpu(torch: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    engine = UltralyticsYOLO(device="cuda", precision="fp16")
    engine.load(RANDOM)
    engine.infer(_images(1))
    evidence = engine.evidence()
    assert (evidence.device, evidence.precision, evidence.contradiction) == ("CUDA:0", "fp16", "")
