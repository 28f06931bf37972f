"""Faces and outlines of people in a frame, carried from the photograph by the camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus.boxes import area, carry, clip, rounded
from reelbench.corpus.camera import Matrix
from reelbench.corpus.clip import Point, TruthFace
from reelbench.corpus.materials import Outline, PhotographFace
from reelbench.results import Box

FACE_SEEN, FACE_WHOLE = 0.05, 0.6
"""A face of which a share between these can be seen is arguable: the instant is then left out of the truth."""
LEAST_AREA = 64.0
"""Square pixels; what is left of an outline within the frame may be a sliver."""


def moved(points: Sequence[Point], matrix: Matrix) -> NDArray[np.float64]:
    """N×2: points of the photograph in the frame."""
    return np.asarray(np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2])


def shows(known: PhotographFace, matrix: Matrix, window: Box, hidden: float) -> Literal["whole", "arguable", "no"]:
    """How much of the face can be seen in the frame, of which ``hidden`` pixels lie under texts."""
    whole = carry(known.box, matrix)
    share = (area(clip(whole, window)) - hidden) / area(whole)
    if share < FACE_SEEN:
        return "no"
    inside = all(window[0] <= x < window[2] and window[1] <= y < window[3] for x, y in moved(known.eyes, matrix))
    return "whole" if share >= FACE_WHOLE and inside and not known.arguable else "arguable"


def face(known: PhotographFace, matrix: Matrix, window: Box, is_open: bool) -> TruthFace:
    """The face in the frame, its box clipped to the window."""
    a, b = sorted((round(float(x), 2), round(float(y), 2)) for x, y in moved(known.eyes, matrix))
    box = rounded(clip(carry(known.box, matrix), window))
    return TruthFace(box=box, eyes=(a, b), open=is_open, looking=known.looking, age=known.age)


def outline(known: Outline, matrix: Matrix, window: Box) -> tuple[Point, ...]:
    """The outline within the window (Sutherland and Hodgman 1974: cut by one side after the other); empty where nothing is left."""
    points = [(float(x), float(y)) for x, y in moved(known, matrix)]
    for axis, limit, sign in ((0, window[0], 1), (0, window[2], -1), (1, window[1], 1), (1, window[3], -1)):
        points = _cut(points, axis, limit, sign)
    if len(points) < 3 or _area(points) < LEAST_AREA:
        return ()
    return tuple((round(x, 1), round(y, 1)) for x, y in points)


def _cut(points: list[Point], axis: int, limit: float, sign: int) -> list[Point]:
    kept: list[Point] = []
    for before, point in zip([*points[-1:], *points[:-1]], points, strict=True):
        was, now = (before[axis] - limit) * sign, (point[axis] - limit) * sign
        if (was >= 0) != (now >= 0):
            w = was / (was - now)
            kept.append((before[0] + w * (point[0] - before[0]), before[1] + w * (point[1] - before[1])))
        if now >= 0:
            kept.append(point)
    return kept


def _area(points: list[Point]) -> float:
    xs, ys = np.array(points).T
    return abs(float(np.dot(xs, np.roll(ys, 1)) - np.dot(ys, np.roll(xs, 1)))) / 2
