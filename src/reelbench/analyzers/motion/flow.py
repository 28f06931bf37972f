"""How the whole picture moved between two frames: sparse optical flow and a robust similarity.

Corners (Shi and Tomasi) are followed with pyramids of Lucas and Kanade (Bouguet's form), and a shift, scale and turn
that most of them agree on is found by RANSAC: OpenCV's ``goodFeaturesToTrack``, ``calcOpticalFlowPyrLK``,
``estimateAffinePartial2D``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, hypot, log

import numpy as np
from numpy.typing import NDArray

from reelbench.media.types import Image

LEAST_POINTS = 8
CORNER_QUALITY = 0.01
REFERENCE_WIDTH = 180
"""Distances in pixels below are meant for a picture of this width, and grow with it."""
CORNER_DISTANCE = 7.0
PARTS = (4, 3)
"""Rows and columns of the picture's parts, each of which has its own corners."""
AGREES = 0.7
"""A point that lands so near to where the motion would carry it agrees with it."""
STANDS = 0.05
"""Points that moved less than this per frame may belong to something laid over the picture: a text, a frame, a logo."""
MOVING_SHARE = 0.2
"""Where at least this share of the points moves together and the others stand, the picture moves under something that
stands."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What the picture did: ``x`` and ``y`` the shift of its middle in widths (to the right, down), ``zoom`` the
    logarithm of its scale, ``turn`` in radians; ``share`` of the points that agree."""

    x: float
    y: float
    zoom: float
    turn: float
    share: float


class Follower:
    """Compares each frame with the one before it. ``points``: how many corners are followed at most."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._last: Image | None = None

    def forget(self) -> None:
        self._last = None

    def next(self, gray: Image) -> Motion | None:
        """From the last frame to this one; None for the first, and where nothing can be followed (a cut, a bare
        wall)."""
        last, self._last = self._last, gray
        return None if last is None else self._between(last, gray)

    def _between(self, last: Image, gray: Image) -> Motion | None:
        import cv2

        height, width = gray.shape
        unit = width / REFERENCE_WIDTH
        corners = _corners(last, self._points, CORNER_DISTANCE * unit)
        if len(corners) < LEAST_POINTS:
            return None
        side = 2 * round(7 * min(unit, 1.5)) + 1
        levels = 3 if unit < 2 else 4
        moved, found, _ = cv2.calcOpticalFlowPyrLK(last, gray, corners, None, winSize=(side, side), maxLevel=levels)
        good = found.ravel() == 1
        a, b = corners[good].reshape(-1, 2), moved[good].reshape(-1, 2)
        if len(a) < LEAST_POINTS:
            return None
        fitted = _similarity(a, b, AGREES * unit)
        if fitted is None:
            return None
        stands = np.hypot(*(b - a).T) < STANDS * unit
        if MOVING_SHARE * len(a) <= np.count_nonzero(~stands) < len(a):
            # What moves decides where it moves as one; else the whole does.
            under = _similarity(a[~stands], b[~stands], AGREES * unit)
            if under is not None and under[1] >= 0.7:
                fitted = under[0], under[1] * float(np.mean(~stands)) + float(np.mean(stands))
        return _motion(fitted[0], fitted[1], width, height)


def _corners(gray: Image, points: int, distance: float) -> NDArray[np.float32]:
    """As many of each part of the picture: where a text stands, the strongest corners of the whole would all be its own."""
    import cv2

    height, width = gray.shape
    rows, columns = PARTS
    found = []
    for row in range(rows):
        for column in range(columns):
            top, left = row * height // rows, column * width // columns
            part = gray[top : (row + 1) * height // rows, left : (column + 1) * width // columns]
            corners = cv2.goodFeaturesToTrack(part, max(1, points // (rows * columns)), CORNER_QUALITY, distance)
            if corners is not None:
                found.append(corners + np.array([left, top], np.float32))
    return np.concatenate(found) if found else np.empty((0, 1, 2), np.float32)


def _similarity(
    a: NDArray[np.float32], b: NDArray[np.float32], near: float
) -> tuple[NDArray[np.float64], float] | None:
    """The 2×3 matrix that most points agree with, and their share."""
    import cv2

    if len(a) < LEAST_POINTS:
        return None
    matrix, agree = cv2.estimateAffinePartial2D(
        a, b, method=cv2.RANSAC, ransacReprojThreshold=near, maxIters=200, confidence=0.99, refineIters=5
    )
    if matrix is None:
        return None
    return matrix, float(np.mean(agree))


def _motion(matrix: NDArray[np.float64], share: float, width: int, height: int) -> Motion:
    middle = np.array([width / 2, height / 2])
    x, y = matrix[:, :2] @ middle + matrix[:, 2] - middle
    scale = hypot(matrix[0, 0], matrix[1, 0])
    return Motion(x / width, y / height, log(max(scale, 1e-6)), atan2(matrix[1, 0], matrix[0, 0]), share)
