"""A network of lowered precision is compared with FP32 where it runs; a wrong one is refused, and stays so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.doctor.networks import MEAN, SCALE, SmallNetwork, small_networks
from reelbench.engines import openvino_parity
from reelbench.engines.openvino import OpenVINO, Precision
from reelbench.engines.openvino_parity import INPUTS, refused_networks, stored
from reelbench.engines.parity import ParityError

KNOWN = small_networks()[0]


def _engine(precision: Precision) -> OpenVINO:
    cut = {"input": "x", "outputs": ["y"], "shape": KNOWN.shape, "mean": MEAN, "scale": SCALE}
    return OpenVINO(cut, precision=precision, batch=2, cache=False)


def _scaled(network: SmallNetwork, layer: int, factor: float) -> SmallNetwork:
    """The network with the weights of one layer scaled."""
    layers = [
        replace(one, weights=one.weights * factor) if at == layer else one for at, one in enumerate(network.layers)
    ]
    return replace(network, layers=tuple(layers))


def _never() -> Iterable[NDArray[np.uint8]]:
    raise AssertionError("calibration images were asked for again")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return KNOWN.write(tmp_path / "known.onnx")


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "derived" / "network"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_an_honest_network_is_proven_once_and_says_so(tmp_path: Path, model: Path, precision: Precision) -> None:
    folder = _folder(tmp_path)
    engine = _engine(precision)
    engine.prepare(folder, model, KNOWN.images)
    record = stored(folder, precision)
    assert record and record["ok"] and record["relative"] > 1e-3 and not record["remedy"]
    assert (folder / INPUTS).is_file()
    engine.prepare(folder, model, _never)
    engine.load(model, derived=folder)
    engine.infer(KNOWN.images()[0])
    assert engine.evidence().details["parity"]["relative"] == record["relative"]
    engine.close()


def test_a_network_with_scaled_weights_is_refused_with_both_figures_and_stays_refused(
    tmp_path: Path, model: Path
) -> None:
    folder = _folder(tmp_path)
    wrong = _scaled(KNOWN, 2, 3.0).write(tmp_path / "wrong.onnx")
    _engine("int8").prepare(folder, wrong, KNOWN.images)
    # What was made lies there as the network of the true model, as a faulty kernel would make it compute.
    for path in folder.glob("parity-*"):
        path.unlink()
    with pytest.raises(ParityError, match=r"relative error 2 \(at most 0.4\) and cosine .* \(at least 0.92\)"):
        _engine("int8").prepare(folder, model, KNOWN.images)
    with pytest.raises(ParityError, match="does not compute here what it does in FP32"):
        _engine("int8").prepare(folder, model, _never)
    assert refused_networks(tmp_path / "derived") == ["network"]


def test_another_network_or_runtime_is_compared_again(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path)
    _engine("int8").prepare(folder, model, KNOWN.images)
    monkeypatch.setattr(openvino_parity, "_runtime", lambda: "openvino 1.0")
    assert stored(folder, "int8") is None
    monkeypatch.undo()
    assert stored(folder, "int8")
    weights = folder / "network.bin"
    weights.write_bytes(weights.read_bytes() + b"0")
    assert stored(folder, "int8") is None


def test_layers_are_given_back_to_fp32_before_a_network_is_refused(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pointwise(node: object) -> bool:
        return list(node.input_value(1).get_shape())[2:] == [1, 1]  # type: ignore[attr-defined]

    monkeypatch.setattr(openvino_parity, "REMEDIES", {"pointwise convolutions in FP32": pointwise})
    folder = _folder(tmp_path)
    _engine("int8").prepare(folder, _scaled(KNOWN, 2, 3.0).write(tmp_path / "wrong.onnx"), KNOWN.images)
    for path in folder.glob("parity-*"):
        path.unlink()
    engine = _engine("int8")
    engine.prepare(folder, model, KNOWN.images)
    record = stored(folder, "int8")
    assert record and record["ok"] and record["remedy"] == "pointwise convolutions in FP32"
    engine.load(model, derived=folder)
    engine.infer(KNOWN.images()[0])
    assert engine.evidence().details["convolutions"] == {"fp32": 1, "int8": 3}
    engine.close()
