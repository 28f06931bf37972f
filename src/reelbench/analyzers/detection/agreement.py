"""How alike two answers about one image are, as one number without a threshold on which it could flip: what INT8 is calibrated by."""

from __future__ import annotations

import numpy as np

from reelbench.analyzers.detection.heads import Detections
from reelbench.analyzers.detection.tracks import overlaps

LEAST_IOU = 0.5
"""Boxes that overlap less are two things."""
LEAST_SCORE = 0.1
"""Detections below it do not count. Lower than what results show: what lies just below the threshold may cross it."""
VERSION = 1
"""Part of the key of what was calibrated by it; raise it where the number changes."""


def agreement(a: Detections, b: Detections) -> float:
    """0…1: twice what both share over all that both have, an F1 in which a detection weighs as much as its score.

    Detections of one label whose boxes overlap by ``LEAST_IOU`` are paired, the best first; a pair shares its lower score times
    its overlap. So a lost, an invented and a renamed thing count as much as the network was sure of it, and a shifted box or score
    a little. 1 where both see nothing.
    """
    total = float(a.scores.sum() + b.scores.sum())
    if total == 0:
        return 1.0
    if not len(a) or not len(b):
        return 0.0
    overlap = overlaps(a.boxes, b.boxes)
    pairs = (a.labels[:, None] == b.labels[None]) & (overlap >= LEAST_IOU)
    worth = np.where(pairs, overlap * np.minimum(a.scores[:, None], b.scores[None]), 0.0)
    shared = 0.0
    while worth.size and (best := float(worth.max())) > 0:
        shared += best
        row, column = np.unravel_index(int(worth.argmax()), worth.shape)
        worth = np.delete(np.delete(worth, row, axis=0), column, axis=1)
    return 2 * shared / total
