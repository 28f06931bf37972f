"""Estimate how far processes of the same code differ (memory layout, core), and what a verdict must allow for it.

Pairs that share both processes are no independent values: they are a cluster (docs/statistics.md). Here are the
variance components of d = ln(B / A), the part of them that the interval of a verdict must carry, and how often to start afresh.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

ASSUMED = 0.02
"""The deviation between processes that is taken where this machine was never calibrated."""
MOST_LOST = 0.5
"""By how much the variance of the mean may grow because pairs share processes: from there on it pays to start afresh more often."""
_INTERVAL_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Components:
    """``between``: the standard deviation of a process's luck, as a share of its time (0.02 = 2 %), with its 95 % interval ``low`` to
    ``high``. ``pair``: that of d among pairs of the same two processes. ``processes``: how many pairs of processes, over ``pairs``."""

    between: float
    low: float
    high: float
    pair: float
    processes: int
    pairs: int


def components(d: ArrayLike, clusters: Sequence[Hashable]) -> Components | None:
    """One-way variance components of ``d`` by analysis of variance; None with fewer than two clusters, or without any repetition.

    d contains the luck of two processes, so that of one has half its variance. The interval is that of Williams 1962 and Tukey 1951
    (normal theory), at 95 % or a little more.
    """
    from scipy.special import chdtri, fdtri

    values = np.asarray(d, dtype=np.float64).ravel()
    _, which, sizes = np.unique([str(one) for one in clusters], return_inverse=True, return_counts=True)
    groups, pairs = len(sizes), len(values)
    if len(which) != pairs:
        raise ValueError(f"{pairs} values but {len(which)} clusters")
    if groups < 2 or pairs <= groups:
        return None
    means = np.bincount(which, values) / sizes
    within = float(np.sum((values - means[which]) ** 2)) / (pairs - groups)
    squares = float(np.sum(sizes * (means - values.mean()) ** 2))
    size = (pairs - float(np.sum(sizes**2)) / pairs) / (groups - 1)
    between = max(0.0, (squares / (groups - 1) - within) / size)
    low = high = between
    if squares > 0:
        share = within * (groups - 1) / squares  # 1 / F
        ends = []
        for tail in (1 - _INTERVAL_ALPHA / 2, _INTERVAL_ALPHA / 2):
            critical = float(fdtri(groups - 1, pairs - groups, tail))
            ends.append(squares * (1 - critical * share) / (size * float(chdtri(groups - 1, 1 - tail))))
        low, high = max(0.0, ends[0]), max(0.0, ends[1])
    return Components(
        sqrt(between / 2), sqrt(min(low, between) / 2), sqrt(max(high, between) / 2), sqrt(within), groups, pairs
    )


def added_variance(clusters: Sequence[Hashable], between: float) -> float:
    """What sharing processes adds to the variance of the mean of d beyond what the scatter of the pairs shows.

    With tau^2 = 2 between^2 and S the mean size of the cluster that a pair lies in, the mean of n values has the variance
    tau^2 S / n + omega^2 / n, while their sample variance over n is tau^2 (n - S) / (n (n - 1)) + omega^2 / n on average: the
    difference is tau^2 (S - 1) / (n - 1), which is 0 where every pair has processes of its own.
    """
    _, sizes = np.unique([str(one) for one in clusters], return_counts=True)
    pairs = int(sizes.sum())
    if pairs < 2:
        return 0.0
    mean_size = float(np.sum(sizes.astype(float) ** 2)) / pairs
    return 2 * between**2 * (mean_size - 1) / (pairs - 1)


def restart_every(most: int, between: float, pair: float) -> int:
    """After how many pairs both arms start afresh: as many as ``most`` while pairs that share processes cost at most `MOST_LOST` of
    variance, so 1 + (r - 1) rho <= 1 + `MOST_LOST` with rho the share of the variance of d that lies between processes."""
    tau = 2 * between**2
    if tau <= 0:
        return most
    return max(1, min(most, 1 + int(MOST_LOST * (tau + pair**2) / tau + 1e-9)))
