"""OpenVINO: right numbers in every mode, built once and whole, and evidence that cannot be fooled."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.engines.capabilities import Pipelined, Prepares
from reelbench.engines.openvino import OpenVINO, OpenVINOAsync
from reelbench.engines.openvino_quantize import last_convolutions
from reelbench.errors import AnalyzerError, ConfigError

WEIGHTS = np.array([[1, 0, -1], [0.5, 2, 0]], np.float32)
"""A 1×1 convolution from x, n×3×4×4, to y, n×2×4×4, as an ONNX file of 200 bytes (made with onnx.helper)."""
TINY = (
    "CAg6ggEKFQoBeAoBdxIBeRoEY29udiIEQ29udhIEdGlueSonCAIIAwgBCAEQAUIBd0oYAACAPwAAAAAAAIC/AAAAPwAAAEAAAAAAWhwKAXgSFwoVCAESEQoD"
    "EgFuCgIIAwoCCAQKAggEYhwKAXkSFwoVCAESEQoDEgFuCgIIAgoCCAQKAggEQgQKABAR"
)
NETWORK = {"input": "x", "outputs": ["y"], "shape": [3, 4, 4], "mean": 127.5, "scale": 127.5}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(base64.b64decode(TINY))
    return path


def _images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 4), np.uint8)


def _expected(images: NDArray[np.uint8]) -> NDArray[Any]:
    return np.einsum("oc,nchw->nohw", WEIGHTS, images / np.float32(127.5) - 1)


def _calibration() -> Iterable[NDArray[np.uint8]]:
    return [_images(8, seed) for seed in range(4)]


def _loaded(engine: OpenVINO, model: Path) -> OpenVINO:
    folder = model.parent / engine.key(model, "set")
    folder.mkdir(exist_ok=True)
    engine.prepare(folder, model, _calibration)
    engine.load(model, derived=folder)
    return engine


@pytest.mark.parametrize("kind", [OpenVINO, OpenVINOAsync])
def test_answers_are_the_network_s_in_order_and_a_short_batch_is_no_worse(kind: type[OpenVINO], tiny: Path) -> None:
    engine = _loaded(kind(NETWORK, batch=3), tiny)
    batches = [_images(size, seed) for seed, size in enumerate((3, 3, 1, 3, 2, 3, 3))]
    answers = list(engine.infer_many(batches))
    assert [len(answer["y"]) for answer in answers] == [len(batch) for batch in batches]
    for batch, answer in zip(batches, answers, strict=True):
        assert np.allclose(answer["y"], _expected(batch), atol=1e-5)


def test_only_the_asynchronous_engine_works_ahead_and_its_answers_stay_when_it_goes_on(tiny: Path) -> None:
    assert not isinstance(OpenVINO(NETWORK), Pipelined)
    engine = _loaded(OpenVINOAsync(NETWORK), tiny)
    assert isinstance(engine, Pipelined) and isinstance(engine, Prepares)
    assert engine.depth >= 2
    for seed in range(engine.depth):
        engine.submit(_images(1, seed))
    with pytest.raises(AnalyzerError, match="in flight"):
        engine.submit(_images(1))
    first = engine.collect()["y"]
    engine.submit(_images(1, 99))
    rest = [engine.collect()["y"] for _ in range(engine.depth)]
    assert np.allclose(first, _expected(_images(1, 0)), atol=1e-5)
    assert np.allclose(rest[-1], _expected(_images(1, 99)), atol=1e-5)


def test_evidence_says_float_where_float_ran(tiny: Path) -> None:
    engine = _loaded(OpenVINO(NETWORK, batch=2), tiny)
    engine.infer(_images(2))
    evidence = engine.evidence()
    assert (evidence.engine, evidence.device, evidence.precision, evidence.batch) == ("openvino", "CPU", "fp32", 2)
    assert evidence.contradiction == ""
    assert evidence.details["convolutions"] == {"fp32": 1}


def test_int8_is_near_the_float_answer_and_shows_in_the_executed_graph(tiny: Path) -> None:
    engine = _loaded(OpenVINO(NETWORK, precision="int8"), tiny)
    answer = engine.infer(_images(1))["y"]
    assert np.abs(answer - _expected(_images(1))).max() < 0.1
    evidence = engine.evidence()
    assert evidence.precision == "int8" and evidence.details["convolutions"] == {"int8": 1}
    assert evidence.contradiction == ""


def test_int8_that_did_not_happen_is_a_contradiction(tiny: Path) -> None:
    engine = OpenVINO(NETWORK, precision="int8")
    folder = tiny.parent / "float"
    folder.mkdir()
    OpenVINO(NETWORK).prepare(folder, tiny, _calibration)
    engine.load(tiny, derived=folder)
    engine.infer(_images(1))
    assert "INT8 was asked for, but only 0%" in engine.evidence().contradiction


def test_it_is_built_once_and_the_same_each_time(tiny: Path, tmp_path: Path) -> None:
    engine = OpenVINO(NETWORK, precision="int8")
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        engine.prepare(folder, tiny, _calibration)
    assert len({(folder / "network.bin").read_bytes() for folder in folders}) == 1

    def never() -> Iterable[NDArray[Any]]:
        raise AssertionError("calibrated again")

    engine.prepare(folders[0], tiny, never)


def test_a_build_that_breaks_off_leaves_nothing_behind(tiny: Path, tmp_path: Path) -> None:
    def broken() -> Iterable[NDArray[Any]]:
        raise AnalyzerError("no images")

    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises(AnalyzerError, match="no images"):
        OpenVINO(NETWORK, precision="int8").prepare(folder, tiny, broken)
    assert list(folder.iterdir()) == []


def test_the_key_names_what_would_be_built(tiny: Path) -> None:
    float_, int8 = OpenVINO(NETWORK), OpenVINO(NETWORK, precision="int8")
    other = OpenVINO({**NETWORK, "mean": 0.0})
    assert float_.key(tiny, "one") == float_.key(tiny, "two") == OpenVINOAsync(NETWORK, batch=4).key(tiny, "one")
    keys = {float_.key(tiny, "one"), int8.key(tiny, "one"), int8.key(tiny, "two"), other.key(tiny, "one")}
    assert len(keys) == 4
    before = float_.key(tiny, "one")
    tiny.write_bytes(tiny.read_bytes() + b"\0")
    assert float_.key(tiny, "one") != before


def test_a_cut_that_is_not_there_is_named(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match=r"tiny\.onnx has no tensor 'z'"):
        OpenVINO({**NETWORK, "outputs": ["z"]}).prepare(tmp_path, tiny, _calibration)


@pytest.mark.parametrize("name", ["broken.onnx", "broken.pb", "network.txt"])
def test_a_file_that_is_no_network_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"not a network")
    with pytest.raises(AnalyzerError, match=f"OpenVINO cannot (read|convert) {name}"):
        OpenVINO(NETWORK).prepare(tmp_path, path, _calibration)


def test_a_batch_of_the_wrong_size_is_refused(tiny: Path) -> None:
    engine = _loaded(OpenVINO(NETWORK, batch=2), tiny)
    for images in (_images(3), _images(1)[:, :, :2], _images(0)):
        with pytest.raises(AnalyzerError, match="compiled for 2×3×4×4"):
            engine.infer(images)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "int4"},
        {"quantization": {"presets": "x"}},
        {"quantization": {"preset": "x"}},
        {"quantization": {"accuracy": {"max_drop": 0}}},
        {"quantization": {"accuracy": {"drop": 0.1}}},
    ],
)
def test_a_wrong_option_is_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="engine"):
        OpenVINO(NETWORK, **options)


# INT8 that keeps what matters


class Judging:
    """Calibrates as the rest does, and judges by the largest difference, which a whole network in INT8 cannot hide."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance

    def __call__(self) -> Iterable[NDArray[np.uint8]]:
        return _calibration()

    def validation(self) -> Iterable[NDArray[np.uint8]]:
        return [_images(4, 50)]

    def agreement(self, reference: Tensors, found: Tensors) -> float:
        return float(np.abs(reference["y"] - found["y"]).max() <= self._tolerance)


def _int8(**quantization: Any) -> OpenVINO:
    return OpenVINO(NETWORK, precision="int8", quantization=quantization)


@pytest.mark.parametrize(("tolerance", "kept", "drop"), [(1e-4, [0], 0.0), (10.0, [], 0.0)])
def test_accuracy_control_gives_back_what_hurts_and_nothing_else(
    tiny: Path, tmp_path: Path, tolerance: float, kept: list[int], drop: float
) -> None:
    engine = _int8(accuracy={"max_drop": 0.1})
    engine.prepare(tmp_path, tiny, Judging(tolerance))
    engine.load(tiny, derived=tmp_path)
    answer = engine.infer(_images(1))["y"]
    facts = engine.evidence().details["quantization"]
    assert facts["method"] == "accuracy control" and (facts["images"], facts["validation_images"]) == (32, 4)
    assert (facts["float_convolutions"], facts["drop"]) == (kept, drop)
    assert facts["drop_without_control"] == (1.0 if kept else 0.0)
    assert facts["images_sha256"] != facts["validation_images_sha256"]
    assert (np.abs(answer - _expected(_images(1))).max() < 1e-5) == bool(kept)


def test_accuracy_control_wants_a_judge(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="cannot judge"):
        _int8(accuracy={}).prepare(tmp_path, tiny, _calibration)


@pytest.mark.parametrize("kept", [{"keep_outputs": ["y"]}, {"keep_convolutions": [0]}])
def test_what_is_to_stay_in_fp32_does(kept: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    engine = _int8(**kept)
    engine.prepare(tmp_path, tiny, _calibration)
    engine.load(tiny, derived=tmp_path)
    engine.infer(_images(1))
    evidence = engine.evidence()
    assert evidence.details["quantization"]["float_convolutions"] == [0]
    assert evidence.details["convolutions"] == {"fp32": 1}


def test_the_way_back_from_a_head_does_not_lead_past_it_through_a_shape() -> None:
    """As TensorFlow's predictors are: the answer is reshaped to the size of the features that it was computed from."""
    from openvino import Model
    from openvino import opset13 as ov

    image = ov.parameter([1, 3, 4, 4], np.float32)
    features = ov.convolution(image, np.ones((2, 3, 1, 1), np.float32), [1, 1], [0, 0], [0, 0], [1, 1], name="features")
    head = ov.convolution(features, np.ones((2, 2, 1, 1), np.float32), [1, 1], [0, 0], [0, 0], [1, 1], name="head")
    answer = ov.reshape(head, ov.shape_of(features), special_zero=False)
    answer.output(0).set_names({"boxes:0"})
    assert list(last_convolutions(Model([answer], [image]), "boxes")) == ["head"]


@pytest.mark.parametrize(
    ("quantization", "names"),
    [
        ({"keep_outputs": ["z"]}, "no output 'z'"),
        ({"keep_convolutions": [1]}, "no convolution 1"),
    ],
)
def test_a_layer_that_is_not_there_is_named(
    quantization: dict[str, Any], names: str, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=names):
        _int8(**quantization).prepare(tmp_path, tiny, _calibration)


def test_the_key_holds_how_it_was_quantized(tiny: Path) -> None:
    ways: list[dict[str, Any]] = [
        {},
        {"preset": "performance"},
        {"accurate_bias": True},
        {"keep_convolutions": [0]},
        {"accuracy": {}},
        {"accuracy": {"max_drop": 0.2}},
    ]
    assert len({_int8(**way).key(tiny, "set") for way in ways}) == len(ways)
