"""What stands between frames and a detection network: how a batch is laid out, and how the outputs are read.

An engine only knows arrays; a head knows what they mean. Each network has one head (`ssd`, `yolo`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Tensors
from reelbench.media.types import Colour, Image


def _no_boxes() -> NDArray[np.float32]:
    return np.zeros((0, 4), np.float32)


def _no_scores() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


def _no_labels() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one frame, n things, highest score first.

    ``boxes`` (n, 4) float32: x1, y1, x2, y2 as fractions 0…1 of the displayed frame; ``scores`` (n,) float32 in 0…1;
    ``labels`` (n,) integers into `coco.NAMES`.
    """

    boxes: NDArray[np.float32] = field(default_factory=_no_boxes)
    scores: NDArray[np.float32] = field(default_factory=_no_scores)
    labels: NDArray[np.int64] = field(default_factory=_no_labels)

    def __len__(self) -> int:
        return len(self.scores)


class Head(Protocol):
    """One network's way in and out. Stateless: the same images and outputs always give the same answer."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) that frames are requested at (stretched); None: as displayed, `batch` makes them fit."""
        ...

    @property
    def colour(self) -> Colour: ...

    def batch(self, images: Sequence[Image]) -> NDArray[Any]:
        """Stack n images into the array that the network wants, n first."""
        ...

    def decode(self, outputs: Tensors, threshold: float) -> list[Detections]:
        """One `Detections` an image of the batch, in order, with nothing below ``threshold``."""
        ...


@runtime_checkable
class FitsFrames(Protocol):
    """A head that must know the size of a clip's frames to read the answers: one that letterboxes them."""

    def fitted(self, width: int, height: int) -> Head:
        """The head for frames of this displayed size in pixels."""
        ...
