"""The statistics against scipy, published tables and a textbook example; and their rates on simulated noise of a fixed seed."""

from __future__ import annotations

from math import inf, isinf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reelbench.comparison import statistics as s

LOOKS = (10, 15, 20, 25, 30)

# Hollander & Wolfe, Nonparametric Statistical Methods, table 3.1: Hamilton depression factor before and after a tranquilizer.
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])

logs = st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=1, max_size=35)


def heavy_tailed(seed: int, decisions: int, pairs: int = 30) -> np.ndarray:
    """Shape (decisions, pairs): noise with the wild tails of a shared machine (Student t, 2 degrees of freedom), symmetric about 0."""
    return 0.05 * np.random.default_rng(seed).standard_t(2, size=(decisions, pairs))


def test_textbook_example_of_hodges_and_lehmann() -> None:
    d = AFTER - BEFORE
    assert s.hodges_lehmann(d) == pytest.approx(-0.46)
    assert s.wilcoxon_interval(d, 0.04) == pytest.approx((-0.786, -0.010))  # 96.1 % in the book
    assert s.wilcoxon_p(d) == pytest.approx(2 * 0.01953125)
    assert s.hodges_lehmann_interval(d, 0.04) == (s.hodges_lehmann(d), *s.wilcoxon_interval(d, 0.04))


@pytest.mark.parametrize(
    ("n", "critical"), [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (15, 25), (20, 52), (25, 89), (30, 137), (50, 434)]
)
def test_critical_values_are_those_of_the_published_table(n: int, critical: int) -> None:
    """Two-sided 5 %, Wilcoxon & Wilcox 1964, as printed in most textbooks."""
    assert s.signed_rank_cut(n, 0.05) == critical


def test_too_few_values_bound_nothing() -> None:
    assert s.signed_rank_cut(5, 0.05) == -1
    assert s.wilcoxon_interval([0.1] * 5, 0.05) == (-inf, inf)
    assert s.wilcoxon_interval([0.1] * 6, 0.05) == (0.1, 0.1)
    for alpha in (0.05, 0.0158, 0.0158 / 6, 0.25):
        fewest = s.pairs_for(alpha)
        assert s.signed_rank_cut(fewest, alpha) >= 0 > s.signed_rank_cut(fewest - 1, alpha)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 50), shift=st.floats(-0.5, 0.5))
def test_exact_p_agrees_with_scipy(seed: int, n: int, shift: float) -> None:
    d = np.random.default_rng(seed).normal(0.1, 1, n)
    assert s.wilcoxon_p(d, shift) == pytest.approx(stats.wilcoxon(d - shift, method="exact").pvalue, rel=1e-9)


def test_p_with_ties_is_the_exact_permutation_p() -> None:
    d = np.array([1.0, 1.0, 2.0, -1.0, 3.0, 3.0, -2.0, 4.0, 0.0])
    kept = d[d != 0]
    ranks = stats.rankdata(np.abs(kept))
    sums = np.array(
        [ranks[[bool(number >> bit & 1) for bit in range(len(kept))]].sum() for number in range(2 ** len(kept))]
    )
    seen = min(ranks[kept > 0].sum(), ranks[kept < 0].sum())
    assert s.wilcoxon_p(d) == pytest.approx(2 * np.mean(sums <= seen + 1e-9))
    assert s.wilcoxon_p([0.0, 0.0]) == 1.0


def test_beyond_the_exact_range_the_approximation_meets_the_exact() -> None:
    d = np.random.default_rng(4).normal(0.2, 1, s.EXACT_UP_TO + 1)
    assert s.wilcoxon_p(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue, rel=0.02)
    assert s.signed_rank_cut(100, 0.05) == pytest.approx(1955, abs=1)
    low, high = s.wilcoxon_interval(d, 0.05)
    assert low < s.hodges_lehmann(d) < high


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), n=st.integers(7, 30))
def test_the_interval_holds_the_shifts_that_the_test_does_not_reject(seed: int, n: int) -> None:
    d = np.random.default_rng(seed).normal(0, 1, n)
    low, high = s.wilcoxon_interval(d, 0.05)
    assert s.wilcoxon_p(d, low - 1e-9) <= 0.05 < s.wilcoxon_p(d, low + 1e-9)
    assert s.wilcoxon_p(d, high + 1e-9) <= 0.05 < s.wilcoxon_p(d, high - 1e-9)


@settings(max_examples=60)
@given(d=logs, alpha=st.sampled_from([0.05, 0.0158, 0.2]))
def test_negated_values_mirror_everything_to_the_last_bit(d: list[float], alpha: float) -> None:
    negated = [-value for value in d]
    low, high = s.wilcoxon_interval(d, alpha)
    assert s.hodges_lehmann(negated) == -s.hodges_lehmann(d)
    assert s.wilcoxon_interval(negated, alpha) == (-high, -low)
    assert s.wilcoxon_p(negated) == s.wilcoxon_p(d)


@pytest.mark.parametrize(
    "noise", [heavy_tailed(1, 2000, 15), np.random.default_rng(2).normal(0, 1, (2000, 15))], ids=["t2", "normal"]
)
def test_the_interval_covers_as_often_as_it_says(noise: np.ndarray) -> None:
    bounds = [s.wilcoxon_interval(d, 0.05) for d in noise]
    covered = sum(low <= 0 <= high for low, high in bounds) / len(bounds)
    assert 0.94 <= covered <= 0.965  # exact level at n = 15: 95.2 %


def test_t_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).normal(0.2, 1, 12)
    expected = stats.t.interval(0.9, 11, loc=values.mean(), scale=stats.sem(values))
    assert s.t_interval(values, 0.1) == pytest.approx(expected)
    assert all(isinf(bound) for bound in s.t_interval([1.0], 0.1))


@pytest.mark.parametrize(("k", "n"), [(0, 200), (1, 200), (7, 50), (50, 50), (0, 1)])
def test_clopper_pearson_agrees_with_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert s.clopper_pearson(k, n) == pytest.approx((expected.low, expected.high))


def test_clopper_pearson_without_a_single_trial_knows_nothing() -> None:
    assert s.clopper_pearson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        s.clopper_pearson(3, 2)


def test_minimum_detectable_is_found_four_times_out_of_five() -> None:
    rng = np.random.default_rng(5)
    spread, pairs = 0.06, 30
    effect = np.log1p(2.8 * spread / np.sqrt(pairs))
    found = np.mean([stats.ttest_1samp(rng.normal(effect, spread, pairs), 0).pvalue < 0.05 for _ in range(1000)])
    assert 0.74 <= found <= 0.84
    exactly = np.tile([-spread, spread], 15)
    assert s.minimum_detectable(exactly) == pytest.approx(np.exp(2.8 * exactly.std(ddof=1) / np.sqrt(30)) - 1)
    assert s.minimum_detectable([0.1]) is None


def test_adjust_takes_out_the_fluctuation_and_keeps_the_mean() -> None:
    rng = np.random.default_rng(6)
    queue = rng.normal(0.3, 0.2, 20)  # B waits more for a core in every pair: that is B's cost and stays
    d = 0.05 + 0.8 * queue + rng.normal(0, 0.001, 20)
    adjusted = s.adjust(d, queue)
    assert adjusted.mean() == pytest.approx(d.mean())
    assert adjusted.std() < 0.05 * d.std()
    line = stats.linregress(queue, d)
    assert adjusted == pytest.approx(d - line.slope * (queue - queue.mean()))


@pytest.mark.parametrize(("d", "x"), [([0.1, 0.2, 0.4], [0.3, 0.3, 0.3]), ([0.1, 0.2], [0.1, 0.5]), ([], [])])
def test_adjust_leaves_alone_what_the_covariate_cannot_explain(d: list[float], x: list[float]) -> None:
    assert s.adjust(d, x).tolist() == d


def test_adjust_wants_one_covariate_a_value() -> None:
    with pytest.raises(ValueError, match="2 values but 1"):
        s.adjust([0.1, 0.2], [0.1])


def test_pocock_constants_are_the_published_ones() -> None:
    """Jennison & Turnbull 2000, table 2.1, alpha = 0.05."""
    published = [1.960, 2.178, 2.289, 2.361, 2.413, 2.453, 2.485, 2.512, 2.535, 2.555]
    constants = [stats.norm.isf(s.pocock_threshold(looks) / 2) for looks in range(1, 11)]
    assert constants == pytest.approx(published, abs=6e-4)
    assert s.pocock_threshold(5) == pytest.approx(0.0158, abs=5e-5)
    assert stats.norm.isf(s.pocock_threshold(5, 0.01) / 2) == pytest.approx(2.986, abs=6e-4)
    for looks, alpha in ((0, 0.05), (5, 0.0), (5, 1.0)):
        with pytest.raises(ValueError, match="no threshold"):
            s.pocock_threshold(looks, alpha)


def test_five_looks_at_noise_alarm_as_often_as_promised_and_naive_looks_do_not() -> None:
    def alarms(p: float) -> float:
        def excludes_zero(d: np.ndarray) -> bool:
            low, high = s.wilcoxon_interval(d, p)
            return low > 0 or high < 0

        return float(np.mean([any(excludes_zero(d[:n]) for n in LOOKS) for d in noise]))

    noise = heavy_tailed(7, 2000)
    corrected, naive = alarms(s.pocock_threshold(len(LOOKS))), alarms(0.05)
    assert 0.02 <= corrected <= 0.055
    assert 0.10 <= naive <= 0.16


def test_without_values_there_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="no values"):
        s.hodges_lehmann([])
