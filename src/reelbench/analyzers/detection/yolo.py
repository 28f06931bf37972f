"""The head of YOLO networks (YOLOv8, YOLO11 …) that answer with one box and 80 class scores for each anchor point.

Frames keep their proportions: each is scaled to fit the network's input and centred on grey (a letterbox), as Ultralytics does in
training and prediction. Suppression is class by class, each anchor with its best class only, as in Ultralytics' prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from reelbench.analyzers.detection.heads import Detections
from reelbench.engines.base import Tensors
from reelbench.errors import ConfigError
from reelbench.media.types import Colour, Image
from reelbench.settings import Share

STRIDE = 32
"""The sides of the input must be multiples of the coarsest feature map's stride, in pixels."""
GREY = 114


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a frame lies in the network's input, in whole input pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, frame: tuple[int, int], into: tuple[int, int]) -> Letterbox:
        """``frame`` and ``into`` are (width, height). The half pixel is rounded as Ultralytics' LetterBox rounds it."""
        gain = min(into[0] / frame[0], into[1] / frame[1])
        width, height = (max(round(side * gain), 1) for side in frame)
        return cls(round((into[0] - width) / 2 - 0.1), round((into[1] - height) / 2 - 0.1), width, height)


class YOLOHead:
    """In: N×3×H×W float32 RGB in 0…1. Out: one array N×(4+C)×A of (centre x, centre y, width, height in input pixels, C scores).

    ``input`` is the network's (width, height); ``iou`` and ``limit`` are those of the suppression (Ultralytics' own: 0.7, 300).
    ``frame`` is the (width, height) of the frames whose answers `decode` reads; `fitted` sets it. None: frames have the input's size.
    """

    colour: Colour = "rgb"
    size: tuple[int, int] | None = None

    def __init__(
        self,
        input: Sequence[PositiveInt] = (640, 640),
        iou: Share = 0.7,
        limit: PositiveInt = 300,
        frame: tuple[int, int] | None = None,
    ) -> None:
        if len(input) != 2 or any(side < STRIDE or side % STRIDE for side in input):
            raise ConfigError(f"the input of a YOLO network is {list(input)}", "give [width, height], multiples of 32")
        self._input = (int(input[0]), int(input[1]))
        self._iou, self._limit = iou, limit
        self._box = Letterbox.of(frame or self._input, self._input)

    def fitted(self, width: int, height: int) -> YOLOHead:
        """The same head for frames of this size in pixels."""
        return YOLOHead(self._input, self._iou, self._limit, (width, height))

    def batch(self, images: Sequence[Image]) -> NDArray[np.float32]:
        width, height = self._input
        stacked = np.full((len(images), height, width, 3), GREY, np.uint8)
        for canvas, image in zip(stacked, images, strict=True):
            _place(image, canvas)
        return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)

    def decode(self, outputs: Tensors, threshold: float) -> list[Detections]:
        (output,) = outputs.values()
        return [self._one(rows.T, threshold) for rows in output]

    def _one(self, rows: NDArray[Any], threshold: float) -> Detections:
        """``rows``: A×(4+C) of one image."""
        labels = rows[:, 4:].argmax(axis=1)
        scores = rows[np.arange(len(rows)), labels + 4]
        good = np.flatnonzero(scores >= threshold)
        good = good[np.argsort(-scores[good], kind="stable")]
        centres, halves = rows[good, :2], rows[good, 2:4] / 2
        corners = np.concatenate([centres - halves, centres + halves], axis=1)
        kept = _suppress(corners, scores[good], labels[good], self._iou)[: self._limit]
        boxes = self._to_fractions(corners[kept])
        real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        chosen = good[kept][real]
        return Detections(
            boxes[real].astype(np.float32),
            np.clip(scores[chosen], 0, 1).astype(np.float32),
            labels[chosen].astype(np.int64),
        )

    def _to_fractions(self, corners: NDArray[Any]) -> NDArray[Any]:
        shift = np.array([self._box.left, self._box.top] * 2, np.float32)
        scale = np.array([self._box.width, self._box.height] * 2, np.float32)
        fractions: NDArray[Any] = np.clip((corners - shift) / scale, 0.0, 1.0)
        return fractions


def _place(image: Image, canvas: Image) -> None:
    """Scale ``image`` into the middle of ``canvas``."""
    import cv2

    height, width = image.shape[:2]
    box = Letterbox.of((width, height), (canvas.shape[1], canvas.shape[0]))
    if (width, height) != (box.width, box.height):
        image = cv2.resize(image, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
    canvas[box.top : box.top + box.height, box.left : box.left + box.width] = image


def _suppress(corners: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any], iou: float) -> NDArray[np.int64]:
    """Class-wise greedy non-maximum suppression: indices of what stays, best first. ``scores`` must descend."""
    import cv2

    if not len(scores):
        return np.zeros(0, np.int64)
    sized = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(sized.tolist(), scores.tolist(), labels.tolist(), 0.0, iou)
    return np.sort(np.asarray(kept, np.int64).reshape(-1))
