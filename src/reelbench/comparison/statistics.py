"""Statistics of a comparison: pure functions over d_i = ln(B_i / A_i), one value for each pair (docs/statistics.md).

Nothing here knows of clips, verdicts or records. Every function takes finite values; the callers see to that.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, floor, inf, log2, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

EXACT_UP_TO = 60
"""Number of pairs up to which the signed-rank null distribution is counted out; beyond, its normal approximation is good
to 4 digits."""

_EIGHTY_PERCENT_POWER = 2.8
"""z(0.975) + z(0.80) = 1.96 + 0.84: the effect, in standard errors, that a test at 5 % finds four times out of five."""


def hodges_lehmann(d: ArrayLike) -> float:
    """The median of the Walsh averages (d_i + d_j) / 2, i <= j: Hodges & Lehmann 1963. Needs at least one value."""
    return _middle(_walsh(_flat(d)))


def wilcoxon_interval(d: ArrayLike, alpha: float) -> tuple[float, float]:
    """The Hodges-Lehmann interval: the shifts that a two-sided signed-rank test at ``alpha`` does not reject.

    Its ends are ordered Walsh averages (Hollander, Wolfe & Chicken 2014, section 3.3). Exact for up to `EXACT_UP_TO` values, so
    that its coverage is at least 1 - alpha; (-inf, inf) where so few values cannot reject anything at ``alpha``.
    """
    values = _flat(d)
    cut = signed_rank_cut(len(values), alpha)
    if cut < 0:
        return -inf, inf
    walsh = _walsh(values)
    return float(walsh[cut]), float(walsh[len(walsh) - 1 - cut])


def hodges_lehmann_interval(d: ArrayLike, alpha: float) -> tuple[float, float, float]:
    """Estimate, low and high at once, from one sorting of the Walsh averages."""
    values = _flat(d)
    walsh = _walsh(values)
    cut = signed_rank_cut(len(values), alpha)
    if cut < 0:
        return _middle(walsh), -inf, inf
    return _middle(walsh), float(walsh[cut]), float(walsh[len(walsh) - 1 - cut])


@lru_cache(maxsize=4096)
def signed_rank_cut(n: int, alpha: float) -> int:
    """The largest t with P(T <= t) <= alpha / 2 for the signed-rank statistic T of ``n`` values under its null; -1 if none."""
    if n < 1:
        return -1
    if n <= EXACT_UP_TO:
        cumulative = np.cumsum(_signed_rank_null(n))
        # Counts over 2^n are exact in a double here; the tolerance is for alpha, which may come from a division.
        return int(np.searchsorted(cumulative, alpha / 2 * (1 + 1e-12), side="right")) - 1
    from scipy.special import ndtri

    mean = n * (n + 1) / 4
    deviation = sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return max(-1, floor(mean + float(ndtri(alpha / 2)) * deviation - 0.5))


def pairs_for(alpha: float) -> int:
    """The fewest pairs whose signed-rank interval is bounded at ``alpha``: 2 / 2^n <= alpha (6 at 0.05, 7 at 0.0158)."""
    return max(1, ceil(1 + log2(1 / alpha) - 1e-12))


def wilcoxon_p(d: ArrayLike, shift: float = 0.0) -> float:
    """Two-sided p of the signed-rank test that ``d`` is symmetric about ``shift``.

    Values equal to ``shift`` are left out (Wilcoxon's own way); equal distances share their mean rank, and the null
    distribution is counted out over those very ranks, so p is exact with ties, too. Beyond `EXACT_UP_TO` values: normal,
    corrected for ties and continuity. 1 where nothing is left.
    """
    distances = _flat(d) - shift
    distances = distances[distances != 0]
    if not len(distances):
        return 1.0
    doubled = _doubled_ranks(np.abs(distances))
    statistic = int(doubled[distances > 0].sum())
    total = int(doubled.sum())
    smaller = min(statistic, total - statistic)
    if len(doubled) <= EXACT_UP_TO:
        return min(1.0, 2.0 * float(_subset_sums(tuple(sorted(doubled.tolist())))[: smaller + 1].sum()))
    from scipy.special import ndtr

    deviation = sqrt(float(np.sum(doubled.astype(float) ** 2)) / 4)
    return min(1.0, 2.0 * float(ndtr((smaller + 1 - total / 2) / deviation)))


def t_interval(values: ArrayLike, alpha: float) -> tuple[float, float]:
    """Two-sided Student t interval of the mean at confidence 1 - alpha; (-inf, inf) with fewer than two values."""
    flat = _flat(values)
    if len(flat) < 2:
        return -inf, inf
    from scipy.special import stdtrit

    # stdtrit is the t quantile; scipy.stats would say the same but takes a second to import.
    half = float(stdtrit(len(flat) - 1, 1 - alpha / 2)) * float(np.std(flat, ddof=1)) / sqrt(len(flat))
    mean = float(np.mean(flat))
    return mean - half, mean + half


def clopper_pearson(k: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Exact two-sided interval of a share of which ``k`` of ``n`` were seen (Clopper & Pearson 1934); (0, 1) with n = 0."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    from scipy.special import betaincinv

    low = float(betaincinv(k, n - k + 1, alpha / 2)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - alpha / 2)) if k < n else 1.0
    return low, high


def minimum_detectable(d: ArrayLike, added: float = 0.0) -> float | None:
    """The relative change (0.05 = 5 %) that this many pairs of this spread find with 80 % power: exp(2.8 SE) - 1, SE^2 being
    SD(d)^2 / n + ``added`` (what shared processes add to the variance of the mean). None with fewer than two values."""
    values = _flat(d)
    if len(values) < 2:
        return None
    return exp(_EIGHTY_PERCENT_POWER * sqrt(float(np.var(values, ddof=1)) / len(values) + added)) - 1


def adjust(d: ArrayLike, x: ArrayLike) -> Values:
    """``d`` without the part that the covariate explains: d_i - beta (x_i - mean(x)), beta by least squares.

    ``x`` is the difference of run-queue shares, B - A. The mean stays as it was, so only fluctuations go: a variant that by its
    nature waits more for a core keeps that cost. Unchanged where x has no spread, or with fewer than three values (a line fits
    any two).
    """
    values, covariate = _flat(d), _flat(x)
    if len(values) != len(covariate):
        raise ValueError(f"{len(values)} values but {len(covariate)} of their covariate")
    centred = covariate - covariate.mean() if len(covariate) else covariate
    spread = float(centred @ centred)
    if len(values) < 3 or spread <= 1e-24:
        return values
    return values - float(centred @ (values - values.mean())) / spread * centred


@lru_cache(maxsize=256)
def pocock_threshold(looks: int, alpha: float = 0.05) -> float:
    """The two-sided p that each of ``looks`` equally spaced looks may use so that all together reject a true null with
    ``alpha``.

    Pocock 1977, computed by the recursive integration of Armitage, McPherson & Rowe 1969; 0.0158 for five looks, as in table
    2.1 of Jennison & Turnbull 2000. Looks that begin late (10, 15, 20 …) overlap more than equally spaced ones, so this errs on
    the safe side.
    """
    if looks < 1 or not 0 < alpha < 1:
        raise ValueError(f"no threshold for {looks} looks at {alpha}")
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    if looks == 1:
        return alpha
    single, split = -float(ndtri(alpha / 2)), -float(ndtri(alpha / looks / 2))
    critical = float(brentq(lambda c: _crossing(looks, c) - alpha, single, split, xtol=1e-10))
    return 2 * float(ndtr(-critical))


def _crossing(looks: int, critical: float) -> float:
    """The probability that a standard random walk leaves +-critical sqrt(k) at one of its first ``looks`` steps."""
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(64)
    points, density = critical * nodes, np.exp(-((critical * nodes) ** 2) / 2) / sqrt(2 * np.pi) * critical * weights
    crossed = 2 * float(ndtr(-critical))
    for step in range(2, looks + 1):
        bound = critical * sqrt(step)
        crossed += float(density @ (ndtr(-bound - points) + ndtr(points - bound)))
        new = bound * nodes
        kernel = np.exp(-((new[:, None] - points[None, :]) ** 2) / 2) / sqrt(2 * np.pi)
        points, density = new, (kernel @ density) * bound * weights
    return crossed


def _flat(values: ArrayLike) -> Values:
    return np.asarray(values, dtype=np.float64).ravel()


@lru_cache(maxsize=32)
def _upper(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n)


def _walsh(values: Values) -> Values:
    """The sorted averages of all pairs with i <= j: n (n + 1) / 2 of them."""
    if not len(values):
        raise ValueError("no values")
    first, second = _upper(len(values))
    return np.sort((values[first] + values[second]) / 2)


def _middle(ordered: Values) -> float:
    # Both halves are taken by the same rule, so negating all values negates the result to the last bit.
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _signed_rank_null(n: int) -> Values:
    """P(T = t), t = 0 … n (n + 1) / 2."""
    return _subset_sums(tuple(range(1, n + 1)))


@lru_cache(maxsize=128)
def _subset_sums(ranks: tuple[int, ...]) -> Values:
    """P(sum of a random subset = s), each rank in or out by the toss of a coin. By adding one rank at a time."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1.0
    top = 0
    for rank in ranks:
        grown = chances[: top + rank + 1] / 2
        grown[rank:] += chances[: top + 1] / 2
        top += rank
        chances[: top + 1] = grown
    chances.flags.writeable = False
    return chances


def _doubled_ranks(distances: Values) -> NDArray[np.int64]:
    """Twice the mid-ranks, so that they are whole numbers."""
    _, which, counts = np.unique(distances, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    doubled: NDArray[np.int64] = (2 * last - counts + 1)[which]
    return doubled
