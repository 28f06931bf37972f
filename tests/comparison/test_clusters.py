"""Processes of the same code differ: how far is measured, the interval carries it, and restarts follow from it."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from reelbench.comparison.calibrated import proof, restarts
from reelbench.comparison.clusters import ASSUMED, added_variance, components, restart_every
from reelbench.comparison.records import Calibrated, Pair
from reelbench.comparison.rule import Rule, judge_speed, shared_processes

LOOKS = (10, 15, 20, 25, 30)


def drawn(
    draw: np.random.Generator, luck: float, every: int, pairs: int = 30, noise: float = 0.05
) -> tuple[np.ndarray, list[int]]:
    processes = [index // every for index in range(pairs)]
    both = luck * draw.standard_normal((2, processes[-1] + 1))
    return (both[1] - both[0])[processes] + noise * draw.standard_normal(pairs), processes


def decided(d: np.ndarray, processes: list[int], rule: Rule) -> str:
    for pairs in LOOKS:
        verdict = rule.look(d[:pairs], processes[:pairs]).verdict
        if verdict != "inconclusive":
            break
    return verdict


def calibration(high: float | None, alarms: tuple[float, float] = (0.0, 0.168)) -> Calibrated:
    return Calibrated(
        created="2026-11-29T10:00", fingerprint="f", decisions=20, false_alarms=0, false_alarm_rate=0.0,
        false_alarm_low=alarms[0], false_alarm_high=alarms[1], floor=0.01,
        process_deviation=high, process_low=high, process_high=high, pair_deviation=0.05 if high is not None else None,
    )  # fmt: skip


def test_components_as_computed_by_hand() -> None:
    """Two clusters of two: means 1 and 5, deviations of 1 within: MSW 2, MSB 16, so tau^2 = (16 - 2) / 2 = 7."""
    found = components([0.0, 2.0, 4.0, 6.0], ["x", "x", "y", "y"])
    assert found is not None
    assert (found.between, found.pair) == (pytest.approx(sqrt(7 / 2)), pytest.approx(sqrt(2)))
    assert (found.processes, found.pairs) == (2, 4)
    assert found.low <= found.between <= found.high
    assert components([1.0, 2.0], [0, 1]) is None, "nothing is repeated"
    assert components([1.0, 2.0], [0, 0]) is None, "one process only"


def test_the_interval_of_the_deviation_covers_the_truth() -> None:
    draw = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        d, processes = drawn(draw, 0.03, 5, pairs=300)
        found = components(d, processes)
        assert found is not None
        covered += found.low <= 0.03 <= found.high
    assert covered >= 182  # 95 % of 200 less three standard errors


def test_the_added_variance_makes_the_mean_as_uncertain_as_it_is() -> None:
    """The variance of the mean over many draws, against the sample variance over n plus what is added."""
    draw = np.random.default_rng(5)
    made = [drawn(draw, 0.05, 5)[0] for _ in range(4000)]
    processes = [index // 5 for index in range(30)]
    shown = float(np.mean([np.var(d, ddof=1) / 30 for d in made]))
    assert shown + added_variance(processes, 0.05) == pytest.approx(float(np.var([d.mean() for d in made])), rel=0.1)
    assert added_variance(range(30), 0.05) == 0.0, "every pair has processes of its own"


@pytest.mark.parametrize("luck", [0.02, 0.05])
def test_false_alarms_stay_rare_where_processes_differ(luck: float) -> None:
    """With the deviation known, and restarts chosen from it, whatever counts as a change. Pairs taken for independent: far more."""
    draw = np.random.default_rng(7)
    every = restart_every(5, luck, 0.05)
    rule = Rule(looks=LOOKS, delta=0.0, process_deviation=luck)
    alarms = sum(decided(*drawn(draw, luck, every), rule) in ("faster", "slower") for _ in range(400))
    assert alarms <= 33  # 5 % of 400 and three standard errors
    naive = 0
    for _ in range(400):
        d, processes = drawn(draw, luck, 5)
        naive += decided(d, list(range(len(processes))), rule) in ("faster", "slower")
    assert naive > 40
    found = 0
    for _ in range(100):
        d, processes = drawn(draw, luck, every)
        found += decided(d + np.log(1.1), processes, Rule(looks=LOOKS, process_deviation=luck)) == "slower"
    assert found >= 85


def test_luck_that_the_pairs_show_themselves_widens_the_interval() -> None:
    d = np.repeat([0.1, -0.1, 0.12, -0.09], 5) + np.tile([0.001, -0.001, 0.0, 0.002, -0.002], 4)
    rule = Rule(process_deviation=0.001)
    own, apart = rule.look(d, np.repeat(range(4), 5).tolist()), rule.look(d, list(range(20)))
    assert own.effect.ratio == apart.effect.ratio
    assert own.effect.high - own.effect.low > apart.effect.high - apart.effect.low


def test_restarts_come_more_often_where_processes_differ_more() -> None:
    assert [restart_every(5, luck, 0.05) for luck in (0.0, 0.005, 0.02, 0.05)] == [5, 5, 3, 1]
    assert restarts(5, None) == (5, "") == restarts(5, calibration(None))
    every, why = restarts(5, calibration(0.05))
    assert every == 1 and "every 1 pairs instead of 5" in why and "up to 5.0 %" in why


def test_pairs_that_say_nothing_of_their_processes_are_judged_as_before() -> None:
    pairs = [
        Pair(index=i, clip="c", order="AB", repetitions=(i, i + 1), a_s=1.0, b_s=exp(0.05 + 0.01 * (-1) ** i))
        for i in range(10)
    ]
    assert shared_processes(pairs) is None
    before = judge_speed(pairs, Rule(), "median", "")
    shared = [pair.model_copy(update={"processes": pair.index // 5}) for pair in pairs]
    after = judge_speed(shared, Rule(), "median", "")
    assert (before.process_deviation, after.process_deviation) == (None, ASSUMED)
    assert after.effect.low < before.effect.low and after.effect.ratio == before.effect.ratio
    assert after.minimum_detectable > before.minimum_detectable  # type: ignore[operator]


@pytest.mark.parametrize(
    ("alarms", "said"), [((0.0, 0.168), "unproven"), ((0.0, 0.0499), "proven"), ((0.06, 0.3), "too noisy")]
)
def test_a_calibration_proves_by_its_upper_bound(alarms: tuple[float, float], said: str) -> None:
    assert proof(calibration(None, alarms)) == said
