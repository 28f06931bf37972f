"""One protocol for every engine that computes in less than FP32: proven where it runs, refused with figures, or said to be unproven."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelbench.analyzers.overlay import rapidocr_parity
from reelbench.analyzers.overlay.rapidocr import RapidOCRReader
from reelbench.bench.executed import executed
from reelbench.doctor.networks import small_networks
from reelbench.engines import openvino_parity
from reelbench.engines.base import Tensors
from reelbench.engines.lowered import Feed, LoweredNetwork, MayLower, NotComparedError, prove, stored
from reelbench.engines.onnx_graph import precisions
from reelbench.engines.onnx_runtime import OnnxRuntime, onnxruntime_session
from reelbench.engines.openvino_small import Feed as Pixels
from reelbench.engines.openvino_small import SmallNetwork
from reelbench.engines.parity import ParityError
from reelbench.engines.tensorrt import TensorRT
from reelbench.engines.transformers_vlm import TransformersVLM
from reelbench.engines.ultralytics import UltralyticsYOLO
from support.quantized import write_quantized


def _folder(tmp_path: Path, name: str = "derived") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def _made(folder: Path, answer: float, reference: Any = None, identity: str = "1") -> LoweredNetwork:
    def answers(feeds: Sequence[Feed]) -> Iterator[Tensors]:
        yield from ({"y": feed["x"] * answer} for feed in feeds)

    return LoweredNetwork(
        folder=folder,
        name="made.onnx",
        precision="int8",
        packages=("numpy",),
        identity=lambda: identity,
        inputs=lambda: [{"x": np.arange(1.0, 5.0)}],
        answers=answers,
        reference=reference or (lambda feeds: ({"y": feed["x"]} for feed in feeds)),
    )


def test_what_is_refused_names_network_figure_and_tolerance_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ParityError) as caught:
        prove(_made(tmp_path, 1.5))
    said = caught.value.message
    assert said.startswith("made.onnx in int8 (numpy ") and "\n" not in said
    assert "relative error 0.5 (at most 0.4) and cosine 1.00000 (at least 0.92)" in said
    with pytest.raises(ParityError):  # the record alone refuses it, until it is another network
        prove(_made(tmp_path, 1.0))
    assert prove(_made(tmp_path, 1.0, identity="2"))["ok"] is True


def test_what_cannot_be_compared_is_neither_proven_nor_refused(tmp_path: Path) -> None:
    def too_large(feeds: Sequence[Feed]) -> Iterable[Tensors]:
        raise NotComparedError("FP32 does not fit")

    record = prove(_made(tmp_path, 1.5, too_large))
    assert (record["ok"], record["reason"]) == (None, "FP32 does not fit")


@pytest.mark.parametrize(
    "engine",
    [
        OnnxRuntime(),
        TensorRT("fp16"),
        UltralyticsYOLO("cuda", "fp16"),
        TransformersVLM(precision="nf4"),
        TransformersVLM(device="cuda"),
    ],
    ids=lambda engine: type(engine).__name__,
)
def test_every_engine_that_can_lower_speaks_the_protocol(tmp_path: Path, engine: Any) -> None:
    """Those for a GPU cannot answer here; that they would be asked is what this says."""
    assert isinstance(engine, MayLower)
    found = list(engine.lowered(tmp_path, write_quantized(tmp_path / "q.onnx"), tuple))
    assert [one.precision for one in found] == [found[0].precision] and found[0].precision != "fp32"
    assert callable(found[0].answers) and callable(found[0].reference)


@pytest.mark.parametrize("engine", [TensorRT("fp32"), UltralyticsYOLO(), TransformersVLM(), OnnxRuntime()])
def test_fp32_is_not_compared(tmp_path: Path, engine: Any) -> None:
    assert not list(engine.lowered(tmp_path, small_networks()[0].write(tmp_path / "f.onnx"), tuple))


def test_onnx_runtime_in_int8_is_proven_and_a_faulty_kernel_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_quantized(tmp_path / "q.onnx")
    assert precisions(model) == {"int8": 1}
    (network,) = OnnxRuntime().lowered(_folder(tmp_path), model, tuple)
    record = prove(network)
    assert record["ok"] and record["inputs"] == 4 and stored(network) == record
    honest = OnnxRuntime.infer

    def faulty(self: OnnxRuntime, batch: Any) -> Tensors:
        return {name: 0.4 * one for name, one in honest(self, batch).items()}

    monkeypatch.setattr(OnnxRuntime, "infer", faulty)
    (network,) = OnnxRuntime().lowered(_folder(tmp_path, "other"), model, tuple)
    with pytest.raises(ParityError, match=r"q.onnx in int8 .* relative error 0.6 \(at most 0.4\)"):
        prove(network)


def test_a_published_int8_network_is_compared_with_its_own_rounding_in_fp32(tmp_path: Path) -> None:
    model = write_quantized(tmp_path / "q.onnx")
    assert SmallNetwork(model, Pixels(precision="int8")).executed() == {"int8": 1}
    feeds = [{"x": np.random.default_rng(0).random((1, 3, 16, 16), np.float32)}]
    network = openvino_parity.published(_folder(tmp_path), model)
    answers = []
    for asked, precision in ((network.answers, "int8"), (network.reference, "fp32")):
        going = iter(asked(feeds))
        answers.append(next(going)["0"])
        assert _executed()["openvino"] == {precision: 1}  # it lives as long as it is asked
        going.close()  # type: ignore[attr-defined]
    assert np.allclose(*answers, atol=1e-4)


def test_the_reference_of_a_quantized_onnx_file_computes_in_fp32(tmp_path: Path) -> None:
    session = onnxruntime_session(write_quantized(tmp_path / "q.onnx"))
    assert _executed()["onnx_runtime"] == {"fp32": 1} and session


def _executed() -> dict[str, dict[str, int]]:
    return executed()["executed"]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """What other tests of this process hold is not among its objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def test_rapidocr_in_bf16_has_both_networks_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {role: small_networks()[0].write(tmp_path / f"{role}.onnx", rows=1) for role in ("detector", "recogniser")}
    pictures = [np.random.default_rng(0).random((1, 3, 32, 32), np.float32)]
    for source in ("_pages", "_lines"):
        monkeypatch.setattr(rapidocr_parity, source, lambda: iter(pictures))
    reader = RapidOCRReader("openvino", "bf16")
    found = list(
        reader.lowered(models, lambda key: _folder(tmp_path, key) if not (tmp_path / key).exists() else tmp_path / key)
    )
    assert [one.name for one in found] == ["detector.onnx", "recogniser.onnx"]
    assert all(prove(one)["ok"] for one in found)
    assert not list(RapidOCRReader("openvino", "fp32").lowered(models, lambda key: tmp_path))
