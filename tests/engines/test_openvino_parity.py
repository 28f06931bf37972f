"""A network of lowered precision is compared with FP32 where it runs; a wrong one is refused, and stays so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.doctor.networks import MEAN, SCALE, SmallNetwork, small_networks
from reelbench.engines import lowered, openvino_parity
from reelbench.engines.capabilities import Calibration
from reelbench.engines.lowered import INPUTS, prove, refused_networks, stored
from reelbench.engines.openvino import OpenVINO, Precision
from reelbench.engines.parity import ParityError

KNOWN = small_networks()[0]


def _engine(precision: Precision) -> OpenVINO:
    cut = {"input": "x", "outputs": ["y"], "shape": KNOWN.shape, "mean": MEAN, "scale": SCALE}
    return OpenVINO(cut, precision=precision, batch=2, cache=False)


def _proven(engine: OpenVINO, folder: Path, model: Path, images: Calibration) -> dict[str, Any]:
    """Prepared and compared, as a worker does it."""
    engine.prepare(folder, model, images)
    (network,) = engine.lowered(folder, model, images)
    record = prove(network)
    assert stored(network) == record
    return record


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
    record = _proven(engine, folder, model, KNOWN.images)
    assert record["ok"] and record["relative"] > 1e-3 and not record["remedy"]
    assert (folder / INPUTS).is_file()
    assert _proven(engine, folder, model, _never) == record
    assert not list(_engine("fp32").lowered(folder, model, _never))


def test_a_network_with_scaled_weights_is_refused_with_both_figures_and_stays_refused(
    tmp_path: Path, model: Path
) -> None:
    folder = _folder(tmp_path)
    wrong = _scaled(KNOWN, 2, 3.0).write(tmp_path / "wrong.onnx")
    _engine("int8").prepare(folder, wrong, KNOWN.images)
    # What was made lies there as the network of the true model, as a faulty kernel would make it compute.
    figures = r"known.onnx in int8 \(openvino .*\) .* relative error 2 \(at most 0.4\) and cosine .* \(at least 0.92\)"
    with pytest.raises(ParityError, match=figures):
        _proven(_engine("int8"), folder, model, KNOWN.images)
    with pytest.raises(ParityError, match="does not compute here what it does in FP32"):
        _proven(_engine("int8"), folder, model, _never)
    assert refused_networks(tmp_path / "derived") == ["known.onnx"]


def test_another_network_or_runtime_is_compared_again(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path)
    _proven(_engine("int8"), folder, model, KNOWN.images)
    (network,) = _engine("int8").lowered(folder, model, _never)
    monkeypatch.setattr(lowered, "versions", lambda packages: dict.fromkeys(packages, "1.0"))
    assert stored(network) is None
    monkeypatch.undo()
    assert stored(network)
    weights = folder / "network.bin"
    weights.write_bytes(weights.read_bytes() + b"0")
    assert stored(network) is None


def test_layers_are_given_back_to_fp32_before_a_network_is_refused(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pointwise(node: object) -> bool:
        return list(node.input_value(1).get_shape())[2:] == [1, 1]  # type: ignore[attr-defined]

    monkeypatch.setattr(openvino_parity, "REMEDIES", {"pointwise convolutions in FP32": pointwise})
    folder = _folder(tmp_path)
    _engine("int8").prepare(folder, _scaled(KNOWN, 2, 3.0).write(tmp_path / "wrong.onnx"), KNOWN.images)
    engine = _engine("int8")
    record = _proven(engine, folder, model, KNOWN.images)
    assert record["ok"] and record["remedy"] == "pointwise convolutions in FP32"
    engine.load(model, derived=folder)
    engine.infer(KNOWN.images()[0])
    assert engine.evidence().details["convolutions"] == {"fp32": 1, "int8": 3}
    engine.close()
