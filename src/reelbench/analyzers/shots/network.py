"""TransNetV2 as an OpenVINO graph, built from its published weights without PyTorch.

Souček and Lokoč, TransNet V2: an effective deep network architecture for fast shot transition detection, arXiv
2008.04838. Three blocks of two cells; a cell looks at the frames with four pairs of convolutions, each first over
space (3×3) and then over time (3, dilated by 1, 2, 4, 8). To what the last block sees are added two kinds of likeness
of a frame to the 50 before and after it: of the blocks' means and of colour histograms. Batch normalization is folded
into the convolutions over time; all else is as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 27, 48
BINS = 512
REACH = 50
"""How many frames before and after itself a frame is compared with."""
DILATIONS = (1, 2, 4, 8)
BLOCKS, CELLS = 3, 2
EPSILON = 1e-3

Weights = Mapping[str, NDArray[Any]]


def build(weights: Weights, length: int) -> Any:
    """An ``openvino.Model`` for windows of ``length`` frames.

    Inputs: 'frames', uint8, length×27×48×3 RGB; 'colours', float32, length×512 (`histograms`). Outputs: 'single' and
    'many', float32, length: how likely each frame is the one before a change of shot, and any frame of a transition.
    """
    import openvino as ov
    from openvino import opset13 as op

    frames = op.parameter([length, HEIGHT, WIDTH, 3], np.uint8, name="frames")
    colours = op.parameter([length, BINS], np.float32, name="colours")
    # time×height×width×colour to 1×colour×time×height×width
    x = op.multiply(op.convert(frames, "f32"), np.float32(1 / 255))
    x = op.unsqueeze(op.transpose(x, np.array([3, 0, 1, 2])), np.array(0))
    means = []
    for block in range(BLOCKS):
        cells = []
        for cell in range(CELLS):
            x = _cell(x, weights, f"SDDCNN.{block}.DDCNN.{cell}")
            x = op.relu(x)
            cells.append(x)
        x = op.add(cells[0], cells[1])
        x = op.avg_pool(x, [1, 2, 2], [0, 0, 0], [0, 0, 0], [1, 2, 2], exclude_pad=True)
        means.append(op.reduce_mean(x, np.array([3, 4]), keep_dims=False))
    seen = op.reshape(op.transpose(x, np.array([0, 2, 3, 4, 1])), np.array([length, -1]), special_zero=False)
    mean = op.transpose(op.squeeze(op.concat(means, axis=1), np.array(0)), np.array([1, 0]))
    projected = op.normalize_l2(
        _linear(mean, weights, "frame_sim_layer.projection"), np.array([1]), eps=1e-24, eps_mode="max"
    )
    like = _likeness(projected, weights, "frame_sim_layer.fc", length)
    alike = _likeness(colours, weights, "color_hist_layer.fc", length)
    # The order of the published network: colours, then frames, then what was seen.
    hidden = op.relu(_linear(op.concat([alike, like, seen], axis=1), weights, "fc1"))
    results = []
    for name, layer in (("single", "cls_layer1"), ("many", "cls_layer2")):
        chance = op.sigmoid(op.reshape(_linear(hidden, weights, layer), np.array([length]), special_zero=False))
        chance.output(0).get_tensor().set_names({name})
        results.append(op.result(chance, name=name))
    return ov.Model(results, [frames, colours], "TransNetV2")


def histograms(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """N×27×48×3 RGB to N×512: how often each colour of 3 bits a channel occurs, each row of length 1."""
    counts = np.empty((len(frames), BINS), np.float32)
    high = frames.reshape(len(frames), -1, 3).astype(np.uint16) >> 5
    bins = (high[..., 0] << 6) + (high[..., 1] << 3) + high[..., 2]
    for row, of_frame in zip(counts, bins, strict=True):
        row[:] = np.bincount(of_frame, minlength=BINS)
    counts /= np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-12)
    return counts


def _cell(x: Any, weights: Weights, name: str) -> Any:
    """Four ways over time, side by side, and the batch normalization of all of them."""
    from openvino import opset13 as op

    gain = weights[f"{name}.bn.weight"] / np.sqrt(weights[f"{name}.bn.running_var"] + EPSILON)
    shift = weights[f"{name}.bn.bias"] - weights[f"{name}.bn.running_mean"] * gain
    ways: list[Any] = []
    for dilation in DILATIONS:
        space, time = (weights[f"{name}.Conv3D_{dilation}.layers.{layer}.weight"] for layer in (0, 1))
        first = len(ways) * len(time)
        time = time * gain[first : first + len(time), None, None, None, None]
        over = op.convolution(x, space, [1, 1, 1], [0, 1, 1], [0, 1, 1], [1, 1, 1])
        ways.append(op.convolution(over, time, [1, 1, 1], [dilation, 0, 0], [dilation, 0, 0], [dilation, 1, 1]))
    return op.add(op.concat(ways, axis=1), shift.reshape(1, -1, 1, 1, 1))


def _linear(x: Any, weights: Weights, name: str) -> Any:
    from openvino import opset13 as op

    return op.add(op.matmul(x, weights[f"{name}.weight"], False, True), weights[f"{name}.bias"][None])


def _likeness(x: Any, weights: Weights, name: str, length: int) -> Any:
    """How like each frame is to those around it (rows of length 1 in, 0 beyond the window), and a layer over that."""
    from openvino import opset13 as op

    products = op.matmul(x, x, False, True)
    padded = op.pad(products, np.array([0, REACH]), np.array([0, REACH]), "constant", np.float32(0))
    around = np.arange(length)[:, None] + np.arange(2 * REACH + 1)[None]
    return op.relu(_linear(op.gather_elements(padded, around.astype(np.int32), 1), weights, name))
