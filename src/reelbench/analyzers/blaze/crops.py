"""Squares of a frame, turned and scaled, as networks of faces and people want them.

All coordinates are pixels of the displayed frame, whatever size the frame was handed over in: a frame that was
stretched to another shape is straightened by the same warp that cuts the square out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, sin

import numpy as np
from numpy.typing import NDArray

from reelbench.media.types import Image

Points = NDArray[np.float32]
"""n × 2 (or more) pixels of the displayed frame, x first."""

_FINEST = 4
"""At most so many samples for each pixel of a crop, in both directions, where a large square shrinks into a small
crop."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as handed over, and how wide and high it is displayed."""

    image: Image
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Square:
    """Centre, side in pixels, and the clockwise angle in radians by which the crop is turned against the frame."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def to_frame(self, points: NDArray[np.floating], size: float) -> Points:
        """Points of a crop of ``size`` pixels (n × 2 or n × 3) as pixels of the frame; a third column (depth) is
        scaled alike."""
        turn = np.array([[cos(self.angle), -sin(self.angle)], [sin(self.angle), cos(self.angle)]])
        flat = (np.asarray(points[:, :2], np.float64) / size - 0.5) * self.side @ turn.T + (self.x, self.y)
        deep = np.asarray(points[:, 2:], np.float64) * (self.side / size)
        return np.concatenate([flat, deep], axis=1).astype(np.float32)


def cut(picture: Picture, square: Square, size: int) -> Image:
    """The square as size × size × 3; black where it leaves the frame."""
    import cv2

    height, width = picture.image.shape[:2]
    scale_x, scale_y = width / picture.width, height / picture.height
    finer = min(_FINEST, max(1, ceil(square.side * max(scale_x, scale_y) / size - 0.5)))
    pixels = size * finer
    step = square.side / pixels
    right, down = np.array([cos(square.angle), sin(square.angle)]), np.array([-sin(square.angle), cos(square.angle)])
    # The middle of the crop's first pixel, in the frame; OpenCV counts from the middle of a pixel.
    first = np.array([square.x, square.y]) + (right + down) * step * (0.5 - pixels / 2)
    matrix = np.stack([right * step, down * step, first], axis=1) * [[scale_x], [scale_y]]
    matrix[:, 2] -= 0.5
    crop = cv2.warpAffine(picture.image, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    shrunk: Image = crop if finer == 1 else cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return shrunk


def cover(width: int, height: int, closer: bool) -> list[Square]:
    """One square around the whole frame; with ``closer`` also overlapping ones as wide as its short side, so that
    what is small in a long frame is seen larger."""
    short, long = min(width, height), max(width, height)
    whole = [Square(width / 2, height / 2, float(long))]
    if not closer or long < 1.2 * short:
        return whole
    count = ceil((long / short - 1) / 0.5) + 1
    middles = np.linspace(short / 2, long - short / 2, count)
    upright = height >= width
    return whole + [
        Square(width / 2 if upright else float(at), float(at) if upright else height / 2, float(short))
        for at in middles
    ]


def size_of(size: Sequence[int] | None) -> tuple[int, int] | None:
    """[width, height] of a configuration. Raises ValueError where it is not two positive numbers."""
    if size is None:
        return None
    if len(size) != 2 or min(size) < 16:
        raise ValueError("size wants [width, height] of 16 pixels or more")
    return int(size[0]), int(size[1])
