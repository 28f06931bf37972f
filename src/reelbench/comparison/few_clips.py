"""Bounds that are honest with few clips: of a mean over clips, and of the share of clips that may hide a loss.

A t bound speaks of the mean and believes the spread that it has seen. A loss that happens on one clip in ten is not in that spread
as long as no such clip was drawn, and clips that agree exactly have no spread at all. So the bound never stands alone: beside it goes
the exact binomial bound (Clopper & Pearson 1934) of the share of clips like these that lose more than the margin. With none of n
that is 1 - 0.05^(1/n): 45 % at n = 5, 26 % at 10, 14 % at 20, below 5 % from 59 on (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Collection
from math import sqrt

import numpy as np

from reelbench.comparison.records import QualityVerdict
from reelbench.comparison.statistics import clopper_pearson

CONFIDENCE = 0.95
LEAST_CLIPS = 2


def one_sided_bounds(values: Collection[float]) -> tuple[float, float]:
    """The lower and the upper one-sided 95 % bound of the mean, Student t. Needs two values."""
    from scipy.special import stdtrit

    flat = np.asarray(list(values), dtype=np.float64)
    mean = float(np.mean(flat))
    half = float(stdtrit(len(flat) - 1, CONFIDENCE)) * float(np.std(flat, ddof=1)) / sqrt(len(flat))
    return mean - half, mean + half


def without_spread(values: Collection[float]) -> bool:
    """Whether all values are the same: a t interval then has no width, and says nothing of what was not seen."""
    flat = list(values)
    return max(flat) - min(flat) <= 1e-12


def hidden_share(losing: int, clips: int) -> float:
    """The one-sided 95 % upper bound of the share of clips that lose, where ``losing`` of ``clips`` did."""
    return clopper_pearson(losing, clips, 2 * (1 - CONFIDENCE))[1]


def place(low: float, high: float, limit: float) -> tuple[QualityVerdict, str]:
    """Where the bounds lie against the least that is good enough. Identical arms with a margin of 0 are not worse, hence >=."""
    if low >= limit:
        return "not worse", ""
    if high < limit:
        return "worse", ""
    return "underpowered", "the clips differ too much, or are too few, to tell: judge more clips"
