"""The two networks of a person: where somebody is (BlazePose's detector), and the mask of that person (its landmark
network).

Source: V. Bazarevsky et al., *BlazePose* (arXiv 2006.10204). The square around a person follows from two points: the
middle of the hips, and a point above the head that says how large and how tilted the person is. The landmark network
gives both points again, so the detector is not needed for the next frame."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, hypot, pi

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.blaze.crops import Picture, Points, Square, cut
from reelbench.analyzers.blaze.ssd import Detected, Detector
from reelbench.analyzers.person.outlines import Shape, raster_of, shape_of
from reelbench.engines.openvino_small import Feed, SmallNetwork
from reelbench.results import Box

DETECTOR_FEED = Feed((127.5,), 127.5)
LANDMARK_FEED = Feed((0.0,), 255.0)
DETECTOR_SIZE, LANDMARK_SIZE = 224, 256
_STRIDES = (8, 16, 32, 32, 32)
_LANDMARKS, _HIPS, _TOP = 39, 33, 34
_MARGIN = 1.25


@dataclass(frozen=True, slots=True)
class Person(Shape):
    """One person in one frame. ``square``: where to look in the next frame."""

    square: Square


def pose_detector(network: SmallNetwork, threshold: float) -> Detector:
    return Detector(network, DETECTOR_SIZE, _STRIDES, "Identity", "Identity_1", threshold)


def square_of_detection(found: Detected) -> Square:
    return _square(found.keys[0], found.keys[1])


def square_around(box: Box, margin: float = 1.2) -> Square:
    """Where the detector looks for the person in a box that something else found."""
    x1, y1, x2, y2 = box
    return Square((x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1, 1.0) * margin)


def read_person(network: SmallNetwork, picture: Picture, square: Square, smallest: float) -> Person | None:
    """The person in the square; None where the mask holds less than ``smallest`` of the frame."""
    outputs = network(cut(picture, square, LANDMARK_SIZE))
    points = square.to_frame(outputs["Identity"].reshape(_LANDMARKS, 5)[:, :2], LANDMARK_SIZE)
    raster, scale = _drawn(outputs["Identity_2"][..., 0], square, picture.width, picture.height)
    shape = shape_of(raster, scale, float(np.clip(outputs["Identity_1"].reshape(-1)[0], 0, 1)), smallest)
    if shape is None:
        return None
    following = _square(points[_HIPS], points[_TOP])
    return Person(shape.score, shape.outlines, shape.box, shape.cover, following)


def _square(hips: Points, top: Points) -> Square:
    across, up = float(top[0] - hips[0]), float(top[1] - hips[1])
    side = max(2 * hypot(across, up) * _MARGIN, 1.0)
    return Square(float(hips[0]), float(hips[1]), side, atan2(up, across) + pi / 2)


def _drawn(
    mask: NDArray[np.float32], square: Square, width: int, height: int
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """The mask (numbers above 0 are the person) as 0 and 1 in a small picture of the whole frame, and the pixels of
    the frame for each of its pixels."""
    import cv2

    size, scale = raster_of(width, height)
    middles = np.array([[0.5, 0.5], [LANDMARK_SIZE - 0.5, 0.5], [0.5, LANDMARK_SIZE - 0.5]], np.float32)
    corners = middles - 0.5
    placed = (square.to_frame(middles, LANDMARK_SIZE) / scale - 0.5).astype(np.float32)
    whole = cv2.warpAffine(
        mask, cv2.getAffineTransform(corners, placed), size, flags=cv2.INTER_LINEAR, borderValue=(-1e3,)
    )
    return (whole > 0).astype(np.uint8), scale
