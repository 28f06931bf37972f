"""Which boxes are right: greedy matching at one IoU, as COCO's evaluation does it (Lin et al., arXiv 1405.0312, cocoeval)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reelbench.quality.instants import Instant, Seen
from reelbench.results import Box


@dataclass(frozen=True, slots=True)
class Counts:
    """Boxes that are right, wrong and missed, summed over ``instants``."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    instants: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.right + other.right,
            self.wrong + other.wrong,
            self.missed + other.missed,
            self.instants + other.instants,
        )


def count(instants: Iterable[Instant], iou: float, score: float) -> Counts:
    """Judge every found box whose score is at least ``score``."""
    return sum((_count_one(instant, iou, score) for instant in instants), Counts())


def _count_one(instant: Instant, iou: float, score: float) -> Counts:
    """Best score first, each found box takes the free expected box of its label that it overlaps most.

    A box that takes none, but lies in an ignored region of its label, is neither right nor wrong; a region takes any number.
    """
    right = wrong = 0
    judged = [one for one in instant.expected if not one.ignore]
    ignored = [one for one in instant.expected if one.ignore]
    free = list(judged)
    for found in sorted((one for one in instant.found if one.score >= score), key=lambda one: (-one.score, one)):
        best = _best(found, free, iou)
        if best is not None:
            free.remove(best)
            right += 1
        elif not any(region.label == found.label and _inside(found.box, region.box) >= iou for region in ignored):
            wrong += 1
    return Counts(right, wrong, len(judged) - right, 1)


def _best(found: Seen, free: Sequence[Seen], iou: float) -> Seen | None:
    overlaps = [(overlap(found.box, one.box), one) for one in free if one.label == found.label]
    value, best = max(overlaps, default=(0.0, None), key=lambda pair: pair[0])
    return best if value >= iou else None


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0…1; 0 where both are empty."""
    common = _common(a, b)
    union = _area(a) + _area(b) - common
    return common / union if union > 0 else 0.0


def _inside(box: Box, region: Box) -> float:
    """The share of ``box`` that lies in ``region``: COCO's overlap with a crowd."""
    area = _area(box)
    return _common(box, region) / area if area > 0 else 0.0


def _common(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
