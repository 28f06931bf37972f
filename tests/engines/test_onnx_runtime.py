"""ONNX Runtime: right numbers, evidence of what ran, and a plain word where something cannot run."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reelbench.engines.onnx_runtime import PROVIDERS, OnnxRuntime, contradiction
from reelbench.errors import AnalyzerError, UnavailableError

WEIGHTS = np.array([[1, 0, -1], [0.5, 2, 0]], np.float32)
"""A 1×1 convolution from 3 to 2 channels of n×3×4×4, as ONNX. Made with onnx 1.23:

g = make_graph([make_node("Conv", ["x", "w"], ["y"], name="conv")], "tiny", [make_tensor_value_info("x", FLOAT, ["n", 3, 4, 4])],
               [make_tensor_value_info("y", FLOAT, ["n", 2, 4, 4])], [from_array(WEIGHTS.reshape(2, 3, 1, 1), "w")])
make_model(g, opset_imports=[make_opsetid("", 17)], ir_version=8).SerializeToString()
"""
TINY = (
    "CAg6ggEKFQoBeAoBdxIBeRoEY29udiIEQ29udhIEdGlueSonCAIIAwgBCAEQAUIBd0oYAACAPwAAAAAAAIC/AAAAPwAAAEAAAAAAWhwKAXgSFwoVCAESEQoD"
    "EgFuCgIIAwoCCAQKAggEYhwKAXkSFwoVCAESEQoDEgFuCgIIAgoCCAQKAggEQgQKABAR"
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(base64.b64decode(TINY))
    return path


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, 4, 4), dtype=np.float32)


def test_answers_are_the_network_s_and_batches_may_differ_in_size(tiny: Path) -> None:
    engine = OnnxRuntime()
    engine.load(tiny)
    sizes = (3, 1)
    answers = list(engine.infer_many([_images(n) for n in sizes]))
    for size, answer in zip(sizes, answers, strict=True):
        assert list(answer) == ["y"]
        assert np.allclose(answer["y"], np.einsum("oc,nchw->nohw", WEIGHTS, _images(size)), atol=1e-6)


def test_evidence_is_read_from_what_ran(tiny: Path) -> None:
    engine = OnnxRuntime(threads=1)
    engine.load(tiny)
    engine.infer(_images(2))
    evidence = engine.evidence()
    assert (evidence.engine, evidence.device, evidence.precision, evidence.batch) == ("onnx_runtime", "CPU", "fp32", 2)
    assert evidence.details["executed_types"] == {"Conv": {"float": 1}}
    assert set(evidence.details["executed_nodes"]) == {"CPUExecutionProvider"}
    assert evidence.details["assigned_nodes"] == {"CPUExecutionProvider": 1}
    assert not evidence.contradiction


def test_nodes_on_another_provider_contradict_the_request() -> None:
    said = contradiction(PROVIDERS["cuda"], {"CUDAExecutionProvider": 80, "CPUExecutionProvider": 3})
    assert "CUDAExecutionProvider" in said and "CPUExecutionProvider ran 3 nodes" in said
    assert contradiction(PROVIDERS["cuda"], {"CUDAExecutionProvider": 80}) == ""


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_missing_provider_is_named_with_what_would_mend_it(provider: str) -> None:
    import onnxruntime

    if PROVIDERS[provider] in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has {PROVIDERS[provider]}")
    state = OnnxRuntime(provider=provider).available()  # type: ignore[arg-type]
    assert not state.ok
    assert f"lacks {PROVIDERS[provider]}" in state.reason and "CPUExecutionProvider" in state.reason
    assert "onnxruntime-gpu" in state.mend


def test_a_provider_that_is_missing_never_turns_into_the_cpu(tiny: Path) -> None:
    import onnxruntime

    if PROVIDERS["cuda"] in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has the CUDA provider")
    with pytest.raises(UnavailableError, match="CUDAExecutionProvider"):
        OnnxRuntime(provider="cuda").load(tiny)


@pytest.mark.gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_provider_runs_every_node(tiny: Path, provider: str) -> None:
    engine = OnnxRuntime(provider=provider)  # type: ignore[arg-type]
    if not engine.available().ok:
        pytest.skip(engine.available().reason)
    engine.load(tiny)
    assert np.allclose(engine.infer(_images(2))["y"], np.einsum("oc,nchw->nohw", WEIGHTS, _images(2)), atol=1e-2)
    assert not engine.evidence().contradiction


def test_a_file_that_is_no_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "not.onnx"
    path.write_text("hello")
    with pytest.raises(AnalyzerError, match=r"cannot load not\.onnx") as caught:
        OnnxRuntime().load(path)
    assert "\n" not in str(caught.value)


def test_a_batch_that_does_not_fit_is_refused(tiny: Path) -> None:
    engine = OnnxRuntime()
    engine.load(tiny)
    with pytest.raises(AnalyzerError, match=r"shape \(1, 5, 4, 4\)"):
        engine.infer(np.zeros((1, 5, 4, 4), np.float32))


def test_importing_the_engines_imports_no_heavy_package() -> None:
    code = (
        "import sys, reelbench.engines.onnx_runtime, reelbench.engines.tensorrt, reelbench.engines.ultralytics;"
        "print([m for m in ('onnxruntime', 'onnx', 'torch', 'ultralytics', 'tensorrt', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.strip() == "[]"
