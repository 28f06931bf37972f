"""OpenCV DNN: right numbers, one image at a time, and a plain word about a file that it cannot read."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.engines.capabilities import Pipelined, Prepares
from reelbench.engines.opencv_dnn import OpenCVDNN
from reelbench.errors import AnalyzerError

WEIGHTS = np.array([[1, 0, -1], [0.5, 2, 0]], np.float32)
"""A 1×1 convolution from x, n×3×4×4, to y, n×2×4×4, as an ONNX file of 200 bytes (made with onnx.helper)."""
TINY = (
    "CAg6ggEKFQoBeAoBdxIBeRoEY29udiIEQ29udhIEdGlueSonCAIIAwgBCAEQAUIBd0oYAACAPwAAAAAAAIC/AAAAPwAAAEAAAAAAWhwKAXgSFwoVCAESEQoD"
    "EgFuCgIIAwoCCAQKAggEYhwKAXkSFwoVCAESEQoDEgFuCgIIAgoCCAQKAggEQgQKABAR"
)


@pytest.fixture
def engine(tmp_path: Path) -> OpenCVDNN:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(base64.b64decode(TINY))
    engine = OpenCVDNN()
    engine.load(path)
    return engine


def _images(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((count, 3, 4, 4), dtype=np.float32)


def test_a_batch_is_answered_image_by_image(engine: OpenCVDNN) -> None:
    (answer,) = engine.infer(_images(3)).values()
    assert np.allclose(answer, np.einsum("oc,nchw->nohw", WEIGHTS, _images(3)), atol=1e-6)


def test_a_stream_is_answered_in_order(engine: OpenCVDNN) -> None:
    assert [len(next(iter(answer.values()))) for answer in engine.infer_many([_images(2), _images(1)])] == [2, 1]


def test_evidence_reads_the_network(engine: OpenCVDNN) -> None:
    engine.infer(_images(2))
    evidence = engine.evidence()
    assert (evidence.engine, evidence.device, evidence.precision, evidence.batch) == ("opencv_dnn", "CPU", "fp32", 1)
    assert evidence.details["layers"] >= 1 and evidence.details["threads"] >= 1


def test_it_neither_prepares_nor_works_ahead(engine: OpenCVDNN) -> None:
    assert engine.available().ok
    assert not isinstance(engine, Prepares | Pipelined)


@pytest.mark.parametrize("name", ["broken.onnx", "broken.pb"])
def test_a_file_that_is_no_network_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"not a network")
    with pytest.raises(AnalyzerError, match=f"OpenCV cannot read {name}") as caught:
        OpenCVDNN().load(path)
    assert "\n" not in str(caught.value)
