"""Lower the precision of an ONNX network where it is written, not where it runs. Needs onnx (extra ``torch``).

TensorRT 11 has no precision switches and no calibrators: a network runs in the types that its ONNX file states ('strongly typed').
The same files work in TensorRT 10 and, for a look at their quality without a GPU, in ONNX Runtime on a CPU.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Availability
from reelbench.engines.ultralytics import MEND
from reelbench.errors import AnalyzerError
from reelbench.paths import atomic_path

EXCLUDED = ("/dfl/",)
"""Nodes with one of these in their name stay as they are: YOLO's box distribution is a fixed weighted sum, not a learnt layer."""


def available() -> Availability:
    import importlib.util

    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    return Availability(False, f"not installed: {', '.join(missing)}", MEND) if missing else Availability(True)


def to_fp16(source: Path, target: Path) -> None:
    """Weights and arithmetic become half precision; inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    lowered = convert_float_to_float16(onnx.load(str(source)), keep_io_types=True)
    with atomic_path(target) as temporary:
        onnx.save(lowered, str(temporary))


def to_int8(source: Path, target: Path, batches: Iterable[NDArray[Any]]) -> None:
    """Convolutions become 8-bit between QuantizeLinear and DequantizeLinear; everything else stays float32.

    Symmetric, weights per channel, as TensorRT wants them. Activation ranges are those that lose the least entropy over the
    calibration ``batches`` (Migacz, '8-bit inference with TensorRT', GTC 2017). Raises AnalyzerError without any batch.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    network = onnx.load(str(source))
    reader = _Reader(network, list(batches))
    kept = [node.name for node in network.graph.node if any(part in node.name for part in EXCLUDED)]
    # ONNX Runtime prints what it is doing.
    with atomic_path(target) as temporary, contextlib.redirect_stdout(io.StringIO()):
        quantize_static(
            str(source),
            str(temporary),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Entropy,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                # TensorRT wants float biases.
                "QuantizeBias": False,
                # One batch at a time: all activations of all images at once would need gigabytes.
                "CalibStridedMinMax": 1,
            },
        )


class _Reader:
    """Feeds calibration batches to ONNX Runtime. A network with a fixed batch is fed whole ones: the last is filled by repetition."""

    def __init__(self, network: Any, batches: Sequence[NDArray[Any]]) -> None:
        if not batches:
            raise AnalyzerError("there is no calibration image: INT8 needs some")
        first = network.graph.input[0]
        self._name, fixed = first.name, first.type.tensor_type.shape.dim[0].dim_value
        self._batches = [fill(batch, fixed) for batch in batches] if fixed else list(batches)
        self._at, self._end = 0, len(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._at, self._end = start_index, end_index

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        if self._at >= self._end:
            return None
        self._at += 1
        return {self._name: self._batches[self._at - 1]}


def fill(batch: NDArray[Any], size: int) -> NDArray[Any]:
    """``batch`` with ``size`` items: the last one is repeated where it has fewer."""
    missing = size - len(batch)
    if missing <= 0:
        return batch
    return np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
