"""What the landmarks of one face say at one instant: how far the eyes are open, where the head and the eyes point.

Head angles are read off the mesh, whose depth has the unit of its width: yaw from the line between the cheeks, pitch
from the line between forehead and chin, roll from the outer corners of the eyes. The eyes' own angle comes from where
the iris lies between the lids' corners, on an eyeball as wide as 0.45 of the eye's opening is to each side (an
average of adults; a person may be off by some degrees)."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, atan2, degrees

import numpy as np

from reelbench.analyzers.blaze.crops import Points
from reelbench.analyzers.faces.networks import (
    CHIN,
    FOREHEAD,
    LEFT_CHEEK,
    LEFT_INNER,
    LEFT_OUTER,
    RIGHT_CHEEK,
    RIGHT_INNER,
    RIGHT_OUTER,
    Eye,
    Mesh,
)

_OUTER, _INNER = 0, 8
_BALL = 0.45
"""Radius of the eyeball in widths of the eye's opening."""


@dataclass(frozen=True, slots=True)
class Look:
    """One face at one instant.

    ``eyes``: the irises' centres in pixels (x, y), the one further left in the picture first. ``sockets``:
    the middles between the corners of both eyes, likewise, which stay where they are when the eyes close.
    ``openness``: the height of the opening over its width, of the eye that is seen more widely. ``yaw`` and ``pitch`` of the head and
    ``gaze_yaw`` and ``gaze_pitch`` of head and eyes together in degrees: positive is to the right in the picture, and
    downwards. ``roll``: clockwise."""

    t_s: float
    box: tuple[float, float, float, float]
    score: float
    eyes: tuple[float, float, float, float]
    sockets: tuple[float, float, float, float]
    openness: float
    yaw: float
    pitch: float
    roll: float
    gaze_yaw: float
    gaze_pitch: float


def look(t_s: float, mesh: Mesh, eyes: tuple[Eye, Eye]) -> Look:
    yaw, pitch, roll = head_angles(mesh.points)
    widths = np.array([_width(eye) for eye in eyes])
    turned = np.array([iris_offset(eye) for eye in eyes])
    side, down = np.average(turned, axis=0, weights=widths)
    x1, y1, x2, y2 = (float(value) for value in mesh.box)
    (ax, ay), (bx, by) = (eye.iris[0].tolist() for eye in eyes)
    corners = mesh.points[[LEFT_OUTER, LEFT_INNER, RIGHT_INNER, RIGHT_OUTER], :2]
    (cx, cy), (dx, dy) = corners.reshape(2, 2, 2).mean(axis=1).tolist()
    return Look(
        t_s=t_s,
        box=(x1, y1, x2, y2),
        score=mesh.score,
        eyes=(ax, ay, bx, by),
        sockets=(cx, cy, dx, dy),
        openness=float(np.average([openness(eye) for eye in eyes], weights=widths)),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        gaze_yaw=yaw + _ball_angle(float(side)),
        gaze_pitch=pitch + _ball_angle(float(down)),
    )


def head_angles(points: Points) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of 468 × 3 landmarks."""
    across, along = points[RIGHT_CHEEK] - points[LEFT_CHEEK], points[CHIN] - points[FOREHEAD]
    eyes = points[RIGHT_OUTER] - points[LEFT_OUTER]
    yaw = atan2(float(across[2]), float(np.hypot(across[0], across[1])))
    pitch = atan2(float(along[2]), float(np.hypot(along[0], along[1])))
    # A face turned to the right of the picture has its right cheek further away, one that looks down its chin.
    return degrees(yaw), degrees(pitch), degrees(atan2(float(eyes[1]), float(eyes[0])))


def openness(eye: Eye) -> float:
    """The mean height of the opening's middle part over the distance of its corners."""
    heights = np.hypot(*(eye.lids[2:7] - eye.lids[10:15]).T)
    return float(heights.mean()) / _width(eye)


def iris_offset(eye: Eye) -> tuple[float, float]:
    """How far the iris' centre lies from the middle between the corners, along and across the line between them, in
    widths of the opening."""
    a, b = eye.lids[_OUTER], eye.lids[_INNER]
    if b[0] < a[0]:  # always from left to right in the picture
        a, b = b, a
    along = (b - a) / _width(eye)
    off = eye.iris[0] - (a + b) / 2
    return float(off @ along) / _width(eye), float(along[0] * off[1] - along[1] * off[0]) / _width(eye)


def _width(eye: Eye) -> float:
    return max(float(np.hypot(*(eye.lids[_INNER] - eye.lids[_OUTER]))), 1e-3)


def _ball_angle(offset: float) -> float:
    return degrees(asin(float(np.clip(offset / _BALL, -1, 1))))
