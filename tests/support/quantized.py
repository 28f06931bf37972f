"""A convolution in an ONNX file whose input and weights are rounded to INT8, as quantizers write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelbench.doctor.onnx_file import model, node

SHAPE = (1, 3, 16, 16)


def write_quantized(path: Path) -> Path:
    """One convolution over a picture of `SHAPE`, with known weights."""
    weights = np.random.default_rng(1).integers(-100, 100, (8, 3, 3, 3)).astype(np.int8)
    constants = {
        "weights": weights,
        "step": np.array(0.01, np.float32),
        "pixel": np.array(1 / 127, np.float32),
        "zero": np.array(0, np.int8),
    }
    nodes = [
        node("QuantizeLinear", ["x", "pixel", "zero"], "xq"),
        node("DequantizeLinear", ["xq", "pixel", "zero"], "xd"),
        node("DequantizeLinear", ["weights", "step", "zero"], "wd"),
        node("Conv", ["xd", "wd"], "y", kernel_shape=(3, 3)),
    ]
    path.write_bytes(model("quantized", nodes, constants, ("x", SHAPE), ("y", (1, 8, 14, 14))))
    return path
