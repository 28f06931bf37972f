"""Heads of the SSD networks that TensorFlow's object detection library trained on COCO.

`SSDHead` reads a network that ends in its own non-maximum suppression, as OpenCV runs it. `SSDRawHead` reads one that was cut at its
predictors and does the same steps itself, so that the network keeps a fixed shape: it can be batched, and quantized.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from reelbench.analyzers.detection.coco import INDEX_BY_CATEGORY
from reelbench.analyzers.detection.heads import Detections
from reelbench.engines.base import Tensors
from reelbench.media.types import Colour, Image

NMS_IOU = 0.6
MAX_DETECTIONS = 100
_BOX_SCALES = np.array([10.0, 10.0, 5.0, 5.0], np.float32)
"""By how much the network's y, x, h, w were multiplied in training (the library's faster_rcnn_box_coder)."""


class SSDHead:
    """For networks that end in a DetectionOutput layer.

    In: N×3×S×S float32 RGB, 0…255 (the network scales them itself). Out: one array N×1×K×7 of (image, category, score,
    x1, y1, x2, y2), boxes as fractions of the frame; rows with score 0 are padding.
    """

    colour: Colour = "rgb"

    def __init__(self, size: PositiveInt = 300) -> None:
        self.size = (size, size)

    def batch(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), dtype=np.float32)

    def decode(self, outputs: Tensors, threshold: float) -> list[Detections]:
        (output,) = outputs.values()
        return [_from_rows(rows.reshape(-1, 7), threshold) for rows in output]


class SSDRawHead:
    """For networks that end in their predictors, with the anchors of SSD-MobileNet at 300×300.

    In: N×S×S×3 uint8 RGB. Out: ``boxes`` N×A×1×4 (encoded y, x, h, w) and ``classes`` N×A×91 (logits, 0 is the background),
    for A anchors, under the names that the constructor is given.
    """

    colour: Colour = "rgb"

    def __init__(self, size: PositiveInt = 300, boxes: str = "concat:0", classes: str = "concat_1:0") -> None:
        self.size = (size, size)
        self._boxes, self._classes = boxes, classes
        self._anchors = anchors()

    def batch(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        return np.stack(images)

    def decode(self, outputs: Tensors, threshold: float) -> list[Detections]:
        pairs = zip(outputs[self._boxes], outputs[self._classes], strict=True)
        return [self._one(encoded.reshape(-1, 4), logits, threshold) for encoded, logits in pairs]

    def _one(self, encoded: NDArray[np.float32], logits: NDArray[np.float32], threshold: float) -> Detections:
        """Only what reaches the threshold is decoded: of 174 447 pairs of anchor and category that is a handful."""
        rows, categories = np.nonzero(logits[:, 1:] >= math.log(threshold / (1 - threshold)))
        if not len(rows):
            return Detections()
        categories = categories + 1
        scores = 1.0 / (1.0 + np.exp(-logits[rows, categories]))
        boxes = _decode(encoded[rows], self._anchors[rows])
        kept = suppress(boxes, scores, categories)
        return select(boxes[kept], scores[kept], categories[kept], threshold)


def anchors() -> NDArray[np.float32]:
    """(1917, 4) cy, cx, h, w as fractions: the library's multiple_grid_anchor_generator as SSD-MobileNet configures it.

    Six grids, scales 0.2…0.95, aspect ratios 1, 2, ½, 3, ⅓ and one more square between two scales; the finest has three.
    """
    scales = [*(0.2 + 0.15 * layer for layer in range(6)), 1.0]
    grids = []
    for layer, cells in enumerate((19, 10, 5, 3, 2, 1)):
        scale = scales[layer]
        if layer == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 1 / 3)]
            shapes.append((math.sqrt(scale * scales[layer + 1]), 1.0))
        sides = np.array([(s / math.sqrt(ratio), s * math.sqrt(ratio)) for s, ratio in shapes])
        centre = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(centre, centre, indexing="ij")
        centres = np.repeat(np.stack([y, x], axis=-1).reshape(-1, 2), len(sides), axis=0)
        grids.append(np.hstack([centres, np.tile(sides, (cells * cells, 1))]))
    return np.concatenate(grids).astype(np.float32)


def suppress(boxes: NDArray[Any], scores: NDArray[Any], categories: NDArray[np.int64]) -> NDArray[np.int64]:
    """Non-maximum suppression within each category; the rows that stay, best first, at most 100."""
    import cv2

    corner_and_size = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxesBatched(
        corner_and_size.tolist(), scores.tolist(), categories.tolist(), score_threshold=0.0, nms_threshold=NMS_IOU
    )
    rows = np.asarray(kept, np.int64).reshape(-1)
    return rows[np.argsort(-scores[rows], kind="stable")][:MAX_DETECTIONS]


def select(boxes: NDArray[Any], scores: NDArray[Any], categories: NDArray[np.int64], threshold: float) -> Detections:
    """Keep what reaches ``threshold`` and is one of the 80 names, clip boxes to the frame, best first.

    ``categories`` are TensorFlow's numbers 1…90. Boxes that clipping leaves empty are dropped.
    """
    labels = INDEX_BY_CATEGORY[categories]
    boxes = np.clip(boxes, 0.0, 1.0)
    good = (scores >= threshold) & (labels >= 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    order = np.flatnonzero(good)
    order = order[np.argsort(-scores[order], kind="stable")]
    return Detections(boxes[order].astype(np.float32), np.minimum(scores[order], 1.0).astype(np.float32), labels[order])


def _from_rows(rows: NDArray[Any], threshold: float) -> Detections:
    return select(rows[:, 3:7], rows[:, 2], rows[:, 1].astype(np.int64), threshold)


def _decode(encoded: NDArray[np.float32], anchor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Encoded y, x, h, w (n, 4) around their anchors to x1, y1, x2, y2 (n, 4)."""
    y, x, h, w = (encoded / _BOX_SCALES).T
    cy, cx, ah, aw = anchor.T
    centre_y, centre_x = y * ah + cy, x * aw + cx
    half_h, half_w = np.exp(h) * ah / 2, np.exp(w) * aw / 2
    return np.stack([centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h], axis=1)
