"""The three networks of a face: where it is (BlazeFace), its 468 landmarks (face mesh), its eyelids and irises (iris).

Sources: V. Bazarevsky et al., arXiv 1907.05047; Y. Kartynnik et al., arXiv 1907.06724; A. Ablavatski et al., arXiv
2006.11341. How a square is laid around a face and an eye follows the networks' model cards."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2

import numpy as np

from reelbench.analyzers.blaze.crops import Picture, Points, Square, cut
from reelbench.analyzers.blaze.ssd import Detected, Detector
from reelbench.engines.openvino_small import Feed, SmallNetwork

DETECTOR_FEED = Feed((127.5,), 127.5)
LANDMARK_FEED = Feed((0.0,), 255.0)
DETECTOR_SIZE, MESH_SIZE, IRIS_SIZE = 128, 192, 64

# Numbers of the mesh's landmarks; left and right as in the picture, of a face that looks at the camera.
LEFT_OUTER, LEFT_INNER, RIGHT_INNER, RIGHT_OUTER = 33, 133, 362, 263
LEFT_CHEEK, RIGHT_CHEEK, FOREHEAD, CHIN = 234, 454, 10, 152
# BlazeFace's key points.
_LEFT_EYE_KEY, _RIGHT_EYE_KEY = 0, 1

_FACE_MARGIN, _EYE_MARGIN = 1.5, 2.3


@dataclass(frozen=True, slots=True)
class Mesh:
    """468 × 3 landmarks (pixels of the displayed frame; depth in the same unit, smaller is nearer) and how surely
    this is a face."""

    points: Points
    score: float

    @property
    def box(self) -> Points:
        """x1, y1, x2, y2 around all landmarks."""
        flat = self.points[:, :2]
        return np.concatenate([flat.min(axis=0), flat.max(axis=0)])


@dataclass(frozen=True, slots=True)
class Eye:
    """``lids``: 16 points around the opening, the lower lid from the outer corner (0) to the inner one (8), then the
    upper lid from the outer side (9 to 15). ``iris``: its centre, then four points of its edge. All in pixels of the
    displayed frame."""

    lids: Points
    iris: Points


def face_detector(network: SmallNetwork, threshold: float) -> Detector:
    return Detector(network, DETECTOR_SIZE, (8, 16, 16, 16), "regressors", "classificators", threshold)


def square_of_detection(found: Detected) -> Square:
    """Around a detected face, upright by its eyes."""
    return _square(found.box, found.keys[_LEFT_EYE_KEY], found.keys[_RIGHT_EYE_KEY])


def square_of_mesh(mesh: Mesh) -> Square:
    """Where the face of the last frame is looked for in the next one."""
    return _square(mesh.box, mesh.points[LEFT_OUTER], mesh.points[RIGHT_OUTER])


def read_mesh(network: SmallNetwork, picture: Picture, square: Square) -> Mesh:
    outputs = network(cut(picture, square, MESH_SIZE))
    points = square.to_frame(outputs["conv2d_21"].reshape(-1, 3), MESH_SIZE)
    score = 1 / (1 + np.exp(-float(np.clip(outputs["conv2d_31"].reshape(-1)[0], -50, 50))))
    return Mesh(points, float(score))


def read_eyes(network: SmallNetwork, picture: Picture, mesh: Mesh) -> tuple[Eye, Eye]:
    """The eye further left in the picture, and the other one. The network knows one of them; the other is shown to it
    mirrored."""
    left = _read_eye(network, picture, mesh.points[LEFT_OUTER], mesh.points[LEFT_INNER], False)
    right = _read_eye(network, picture, mesh.points[RIGHT_INNER], mesh.points[RIGHT_OUTER], True)
    return left, right


def _read_eye(network: SmallNetwork, picture: Picture, a: Points, b: Points, mirrored: bool) -> Eye:
    middle = (a[:2] + b[:2]) / 2
    side = _EYE_MARGIN * max(float(np.hypot(*(b[:2] - a[:2]))), 1.0)
    square = Square(float(middle[0]), float(middle[1]), side, atan2(b[1] - a[1], b[0] - a[0]))
    crop = cut(picture, square, IRIS_SIZE)
    outputs = network(crop[:, ::-1] if mirrored else crop)
    lids, iris = (
        outputs[name].reshape(-1, 3)[:count, :2].copy()
        for name, count in (("output_eyes_contours_and_brows", 16), ("output_iris", 5))
    )
    if mirrored:
        for points in (lids, iris):
            points[:, 0] = IRIS_SIZE - points[:, 0]
    return Eye(square.to_frame(lids, IRIS_SIZE), square.to_frame(iris, IRIS_SIZE))


def _square(box: Points, left: Points, right: Points) -> Square:
    side = _FACE_MARGIN * float(max(box[2] - box[0], box[3] - box[1], 1.0))
    angle = atan2(right[1] - left[1], right[0] - left[0])
    return Square(float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2, side, angle)
