"""From detections at sampled instants to events: held until the next sample, or merged over time into tracks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from reelbench.analyzers.detection.coco import NAMES
from reelbench.analyzers.detection.heads import Detections
from reelbench.results import Box, Event


def pixels(box: Sequence[float], width: int, height: int) -> Box:
    """A box as fractions of the frame to pixels of it."""
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1 * width, y1 * height, x2 * width, y2 * height)


def ends(pts_s: Sequence[float], duration_s: float) -> list[float]:
    """Until when each sample stands for the clip: up to the next one, the last up to the clip's end."""
    return list(chain(pts_s[1:], [max(duration_s, pts_s[-1])])) if pts_s else []


def hold(
    pts_s: Sequence[float], found: Sequence[Detections], duration_s: float, width: int, height: int
) -> list[Event]:
    """Sample and hold: one event for each detection of each sample, from its instant to the next sample."""
    return [
        Event(
            start_s=start,
            end_s=end,
            label=NAMES[label],
            score=float(score),
            box=pixels(box, width, height),
        )
        for start, end, seen in zip(pts_s, ends(pts_s, duration_s), found, strict=True)
        for box, score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True)
    ]
