"""From a mask of somebody to outlines: simplified polygons in pixels of the displayed frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.results import Box

_RASTER = 320
"""Pixels of the longer side of the frame that a mask is drawn into before its outline is taken."""

Outline = tuple[int, ...]
"""x, y, x, y … in pixels of the displayed frame."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Somebody in one frame. ``cover``: the share of the frame."""

    score: float
    outlines: tuple[Outline, ...]
    box: Box
    cover: float


def raster_of(width: int, height: int) -> tuple[tuple[int, int], tuple[float, float]]:
    """Width and height of the small picture of a frame that masks are drawn into, and the pixels of the frame for each
    of its pixels."""
    shrink = _RASTER / max(width, height)
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return size, (width / size[0], height / size[1])


def shape_of(raster: NDArray[np.uint8], scale: Sequence[float], score: float, smallest: float) -> Shape | None:
    """Whom a mask of 0 and 1 shows; None where it holds less than ``smallest`` of the frame."""
    outlines = _outlines(raster, scale, smallest)
    cover = float(raster.mean())
    if not outlines or cover < smallest:
        return None
    corners = np.concatenate([np.array(one).reshape(-1, 2) for one in outlines])
    (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return Shape(score, outlines, (float(x1), float(y1), float(x2), float(y2)), cover)


def _outlines(raster: NDArray[np.uint8], scale: Sequence[float], smallest: float) -> tuple[Outline, ...]:
    """The outer edges of the parts that are large enough, simplified to within a pixel of the raster."""
    import cv2

    edges, _ = cv2.findContours(raster, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for edge in edges:
        if cv2.contourArea(edge) < smallest * raster.size:
            continue
        points = cv2.approxPolyDP(edge, 1.0, True).reshape(-1, 2)
        if len(points) >= 3:
            # From the middles of the outermost pixels to their far edges: a shape reaches as far as its pixels.
            grown = np.where(points >= np.array(raster.shape[::-1]) - 1, points + 1, points + 0.5)
            grown = np.where(points <= 0, points, grown) * scale
            found.append(tuple(int(value) for value in np.round(grown).reshape(-1)))
    return tuple(found)
