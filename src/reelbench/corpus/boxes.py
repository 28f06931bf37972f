"""Boxes of annotated things in the frame."""

from __future__ import annotations

import numpy as np

from reelbench.corpus.camera import Matrix
from reelbench.corpus.lettering import Lettering
from reelbench.results import Box

TEXT_COVERS = 0.5
"""A text without a panel hides about half of what lies behind its box; one with a panel hides all of it."""


def carry(box: Box, matrix: Matrix) -> Box:
    """The upright box around a transformed box."""
    x1, y1, x2, y2 = box
    corners = matrix @ np.array([[x1, x2, x2, x1], [y1, y1, y2, y2], [1, 1, 1, 1]], dtype=np.float64)
    return float(corners[0].min()), float(corners[1].min()), float(corners[0].max()), float(corners[1].max())


def clip(box: Box, to: Box) -> Box:
    return max(box[0], to[0]), max(box[1], to[1]), min(box[2], to[2]), min(box[3], to[3])


def area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def rounded(box: Box) -> Box:
    x1, y1, x2, y2 = (round(side, 2) for side in box)
    return x1, y1, x2, y2


def covered(box: Box, texts: list[Lettering]) -> float:
    """How many of its pixels texts hide."""
    return sum(area(clip(box, text.cover)) * (1.0 if text.opaque else TEXT_COVERS) for text in texts)
