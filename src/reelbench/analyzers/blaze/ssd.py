"""The single-shot detectors of the Blaze family: anchors, decoding, and suppression that blends what overlaps.

After V. Bazarevsky et al., *BlazeFace* (arXiv 1907.05047) and *BlazePose* (arXiv 2006.10204): two anchors at each
place of a grid for each layer, of a fixed size, so that only their centres matter; boxes that overlap are averaged by
their scores instead of dropped, which keeps a box from trembling between frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.blaze.crops import Picture, Points, Square, cover, cut
from reelbench.engines.openvino_small import SmallNetwork

_PER_LAYER = 2


@dataclass(frozen=True, slots=True)
class Detected:
    """``box`` as x1, y1, x2, y2 and ``keys`` (key points) in pixels of the displayed frame."""

    box: NDArray[np.float32]
    keys: Points
    score: float


def anchors(size: int, strides: Sequence[int]) -> NDArray[np.float32]:
    """The anchors' centres as fractions of the input, n × 2, x first. Layers that share a stride lie on one grid."""
    centres = []
    for stride in dict.fromkeys(strides):
        cells = -(-size // stride)
        middles = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(middles, middles)
        at = np.stack([x, y], axis=-1).reshape(-1, 2)
        centres.append(np.repeat(at, _PER_LAYER * list(strides).count(stride), axis=0))
    return np.concatenate(centres).astype(np.float32)


class Detector:
    """A network of ``size`` pixels whose outputs are ``boxes`` (n × (4 + 2·keys)) and ``scores`` (n × 1, before the
    sigmoid)."""

    def __init__(
        self, network: SmallNetwork, size: int, strides: Sequence[int], boxes: str, scores: str, threshold: float
    ) -> None:
        self._network, self._size, self._threshold = network, size, threshold
        self._boxes, self._scores = boxes, scores
        self._anchors = anchors(size, strides)

    def find(self, picture: Picture, closer: bool, within: Sequence[Square] | None = None) -> list[Detected]:
        """Best first. ``closer``: look at overlapping parts of a long frame, too. ``within``: look at these squares
        instead."""
        found: list[Detected] = []
        for square in cover(picture.width, picture.height, closer) if within is None else within:
            outputs = self._network(cut(picture, square, self._size))
            found += self._decoded(outputs[self._boxes], outputs[self._scores], square)
        return blend(found)

    def _decoded(self, boxes: NDArray[np.float32], scores: NDArray[np.float32], square: Square) -> list[Detected]:
        likely = 1 / (1 + np.exp(-np.clip(scores.reshape(-1), -80, 80)))
        kept = np.flatnonzero(likely >= self._threshold)
        centres = self._anchors[kept] * self._size
        found = []
        for raw, centre, score in zip(boxes[kept], centres, likely[kept], strict=True):
            middle, half = raw[:2] + centre, raw[2:4] / 2
            points = np.concatenate([[middle - half, middle + half], raw[4:].reshape(-1, 2) + centre])
            placed = square.to_frame(points, self._size)
            found.append(Detected(placed[:2].reshape(-1), placed[2:], float(score)))
        return found


def blend(found: Sequence[Detected], least: float = 0.3) -> list[Detected]:
    """Greedy, best score first: what overlaps the best by more than ``least`` (intersection over union) is averaged
    with it by score."""
    rest = sorted(found, key=lambda one: -one.score)
    blended = []
    while rest:
        same = [one for one in rest if overlap(rest[0].box, one.box) > least]
        weights = np.array([one.score for one in same])
        box = np.average([one.box for one in same], axis=0, weights=weights)
        keys = np.average([one.keys for one in same], axis=0, weights=weights)
        blended.append(Detected(box.astype(np.float32), keys.astype(np.float32), rest[0].score))
        rest = [one for one in rest if not any(one is other for other in same)]
    return blended


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Intersection over union of two boxes; a box overlaps itself by 1 even when it is empty."""
    if a is b:
        return 1.0
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    shared = float(sides.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0 else 0.0
