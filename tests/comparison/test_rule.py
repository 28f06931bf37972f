"""The verdict on speed: what decides, when, and what it may not depend on."""

from __future__ import annotations

from math import exp, inf, log1p, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelbench.comparison.records import Effect, Look, Pair, Speed
from reelbench.comparison.rule import Rule, judge_speed, log_ratios, pairs_needed
from reelbench.errors import ConfigError, InputError

MIRROR = {"faster": "slower", "slower": "faster", "equivalent": "equivalent", "inconclusive": "inconclusive"}


def make_pairs(ratios: list[float], clips: int = 1, queue: list[float] | None = None) -> list[Pair]:
    """B takes ``ratio`` times the time of A, which differs from pair to pair."""
    return [
        Pair(
            index=i, clip=f"clip{i % clips}", order="ABBA", repetitions=(2 * i, 2 * i + 1), a_s=1 + i / 7, b_s=(1 + i / 7) * ratio,
            a_queue=None if queue is None else 0.1, b_queue=None if queue is None else 0.1 + queue[i],
        )
        for i, ratio in enumerate(ratios)
    ]  # fmt: skip


def noisy(ratio: float, n: int = 30, spread: float = 0.01, seed: int = 0) -> list[float]:
    return [ratio * exp(x) for x in np.random.default_rng(seed).normal(0, spread, n)]


def judge(pairs: list[Pair], rule: Rule | None = None) -> Speed:
    return judge_speed(pairs, rule or Rule(), "median", "the default")


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(0.25, "faster"), (0.94, "faster"), (1.06, "slower"), (4.0, "slower"), (1.005, "equivalent")]
)
def test_the_interval_against_delta_decides(ratio: float, verdict: str) -> None:
    speed = judge(make_pairs(noisy(ratio), clips=4))
    assert speed.verdict == verdict
    assert speed.effect.low < speed.effect.ratio < speed.effect.high
    assert speed.effect.ratio == pytest.approx(ratio, rel=0.01)
    assert speed.effect.pairs == 10  # the first look decides
    assert len(speed.looks) == 1 and speed.looks[0].threshold == pytest.approx(0.0158, abs=5e-5)
    assert (speed.confidence, speed.pairs_needed) == (0.95, None)


def test_a_clear_difference_within_delta_is_no_verdict_of_slower() -> None:
    """1 % slower beyond all doubt, but 3 % is the least that counts."""
    rule = Rule(delta=0.03)
    assert judge(make_pairs(noisy(1.01, spread=0.002)), rule).verdict == "equivalent"
    assert judge(make_pairs(noisy(1.01, spread=0.002)), Rule(delta=0.005)).verdict == "slower"


def test_an_effect_at_delta_is_looked_at_to_the_end_and_stays_open() -> None:
    speed = judge(make_pairs(noisy(1.03, spread=0.05, seed=2)))
    assert speed.verdict == "inconclusive"
    assert [look.pairs for look in speed.looks] == [10, 15, 20, 25, 30]
    assert speed.effect == speed.looks[-1].effect


def test_pairs_needed_scales_the_half_width() -> None:
    d = np.log(1.06) + np.tile([-0.1, 0.1], 15)
    rule = Rule()
    needed = pairs_needed(d, rule)
    look = rule.look(d)
    assert look.verdict == "inconclusive" and needed is not None
    half = np.log(look.effect.high / look.effect.low) / 2
    gap = abs(abs(np.log(look.effect.ratio)) - log1p(0.03))
    assert needed == pytest.approx(30 * (half / gap) ** 2, abs=1)
    assert pairs_needed(np.full(10, log1p(0.03)), rule) is None  # exactly at delta: nothing would decide
    assert pairs_needed([0.2], rule) == 10
    assert pairs_needed([0.0, 0.001, 0.002], rule) == 10  # no interval yet; the first look can have one


def test_fewer_pairs_than_the_first_look_decide_nothing() -> None:
    speed = judge(make_pairs(noisy(0.25, n=7)))
    assert (speed.verdict, speed.looks, speed.effect.pairs) == ("inconclusive", [], 7)
    few = judge(make_pairs([0.25, 0.26]))
    assert not few.effect.bounded and few.effect.low == 0 and few.pairs_needed == 10
    one = judge(make_pairs([0.25]))
    assert one.minimum_detectable is None and one.effect.ratio == pytest.approx(0.25)


def test_looks_made_while_measuring_are_kept_and_the_last_decides() -> None:
    pairs = make_pairs(noisy(0.5, n=17))
    made = [Rule().look(log_ratios(pairs[:10])), Rule().look(log_ratios(pairs[:15]))]
    speed = judge_speed(pairs, Rule(), "min", "calibrated", looks=made)
    assert speed.looks == made and speed.effect == made[1].effect
    assert sum(effect.pairs for effect in speed.per_clip.values()) == 15
    too_many = [Look(pairs=40, threshold=0.01, effect=Effect(ratio=1, low=0.9, high=1.1, pairs=40), verdict="faster")]
    with pytest.raises(InputError, match="40 pairs, but only 17"):
        judge_speed(pairs, Rule(), "min", "calibrated", looks=too_many)


def test_effects_per_clip_and_across_clips() -> None:
    ratios = [0.5 if i % 3 else 0.25 for i in range(30)]
    speed = judge(make_pairs(noisy(1.0, spread=0.001, n=30)), Rule(looks=(30,)))
    assert speed.across_clips is None  # one clip
    speed = judge(
        make_pairs([r * x for r, x in zip(ratios, noisy(1.0, spread=0.001), strict=True)], clips=3), Rule(looks=(30,))
    )
    assert {clip: round(effect.ratio, 2) for clip, effect in speed.per_clip.items()} == {
        "clip0": 0.25,
        "clip1": 0.5,
        "clip2": 0.5,
    }
    assert speed.across_clips is not None
    assert speed.across_clips.pairs == 3
    assert speed.across_clips.ratio == pytest.approx((0.25 * 0.5 * 0.5) ** (1 / 3), rel=0.01)
    assert speed.across_clips.low < speed.effect.low  # other clips are less certain than these
    few = judge(make_pairs(noisy(0.5, n=10), clips=2))
    assert [effect.bounded for effect in few.per_clip.values()] == [False, False]  # five pairs each


def test_queue_delay_is_taken_out_beside_the_verdict_and_never_in_it() -> None:
    rng = np.random.default_rng(3)
    queue = rng.normal(0, 0.1, 30).tolist()
    ratios = [1.1 * exp(q + x) for q, x in zip(queue, rng.normal(0, 0.002, 30), strict=True)]
    rule = Rule(looks=(30,))
    with_queue, without = judge(make_pairs(ratios, queue=queue), rule), judge(make_pairs(ratios), rule)
    assert with_queue.adjusted is not None and without.adjusted is None
    assert with_queue.adjusted.high - with_queue.adjusted.low < 0.2 * (with_queue.effect.high - with_queue.effect.low)
    assert (with_queue.effect, with_queue.verdict) == (without.effect, without.verdict)
    gap = make_pairs(ratios, queue=queue)
    gap[4].a_queue = None
    assert judge(gap, rule).adjusted is None


ratio_lists = st.lists(st.floats(0.2, 5.0), min_size=1, max_size=30)
rules = st.builds(Rule, delta=st.sampled_from([0.0, 0.03, 0.2]), comparisons=st.integers(1, 4))


@settings(max_examples=60)
@given(ratios=ratio_lists, rule=rules, clips=st.integers(1, 4))
def test_swapping_the_arms_mirrors_the_verdict(ratios: list[float], rule: Rule, clips: int) -> None:
    pairs = make_pairs(ratios, clips)
    swapped = [pair.model_copy(update={"a_s": pair.b_s, "b_s": pair.a_s}) for pair in pairs]
    assert (log_ratios(swapped) == -log_ratios(pairs)).all()
    one, other = judge(pairs, rule), judge(swapped, rule)
    assert other.verdict == MIRROR[one.verdict]
    assert other.effect.ratio == pytest.approx(1 / one.effect.ratio, rel=1e-12)
    if one.effect.bounded:
        assert (other.effect.low, other.effect.high) == pytest.approx(
            (1 / one.effect.high, 1 / one.effect.low), rel=1e-12
        )
    assert [look.pairs for look in other.looks] == [look.pairs for look in one.looks]
    assert (other.minimum_detectable, other.pairs_needed) == (pytest.approx(one.minimum_detectable), one.pairs_needed)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), ratio=st.floats(0.5, 2), rule=rules, scale=st.floats(1e-4, 1e4))
def test_the_unit_of_time_changes_nothing(seed: int, ratio: float, rule: Rule, scale: float) -> None:
    pairs = make_pairs(noisy(ratio, spread=0.03, seed=seed), clips=3)
    scaled = [pair.model_copy(update={"a_s": pair.a_s * scale, "b_s": pair.b_s * scale}) for pair in pairs]
    one, other = judge(pairs, rule), judge(scaled, rule)
    assert other.verdict == one.verdict
    for mine, theirs in zip(
        (one.effect, *one.per_clip.values()), (other.effect, *other.per_clip.values()), strict=True
    ):
        assert (theirs.ratio, theirs.low, theirs.high) == pytest.approx((mine.ratio, mine.low, mine.high), rel=1e-9)


def sequential(d: np.ndarray, rule: Rule) -> str:
    for pairs in rule.looks:
        look = rule.look(d[:pairs])
        if look.verdict != "inconclusive":
            break
    return look.verdict


def test_identical_arms_are_seldom_called_different() -> None:
    """Heavy-tailed, exchangeable noise: 1 decision in 20 may be wrong with delta = 0, and next to none with 3 %."""
    noise = 0.05 * np.random.default_rng(11).standard_t(2, size=(2000, 30))
    for delta, most in ((0.0, 0.055), (0.03, 0.005)):
        verdicts = [sequential(d, Rule(delta=delta)) for d in noise]
        wrong = sum(verdict in ("faster", "slower") for verdict in verdicts) / len(verdicts)
        assert wrong <= most, (delta, wrong)
        assert delta > 0 or wrong >= 0.02  # not so careful that it finds nothing


def test_a_ten_percent_slow_down_is_found_within_thirty_pairs() -> None:
    noise = 0.05 * np.random.default_rng(12).normal(size=(300, 30))
    found = sum(sequential(d + np.log(1.1), Rule()) == "slower" for d in noise)
    assert found / len(noise) >= 0.9


def test_several_comparisons_share_the_threshold() -> None:
    assert Rule(comparisons=4).threshold == pytest.approx(Rule().threshold / 4)
    d = np.log(noisy(1.06, n=10, spread=0.02))
    alone, shared = Rule().look(d), Rule(comparisons=4).look(d)
    assert shared.effect.low < alone.effect.low and shared.effect.high > alone.effect.high


def test_the_next_look() -> None:
    assert [Rule().next_look(n) for n in (0, 9, 10, 12, 29, 30, 31)] == [10, 1, 5, 3, 1, None, None]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"looks": ()}, "looks"),
        ({"looks": (10, 10)}, "looks"),
        ({"looks": (0, 5)}, "looks"),
        ({"delta": -0.01}, "delta"),
        ({"delta": nan}, "delta"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": nan}, "alpha"),
        ({"comparisons": 0}, "comparisons"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Rule(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0.0, -1.0, nan, inf])
@pytest.mark.parametrize("arm", ["a", "b"])
def test_an_impossible_time_is_named(seconds: float, arm: str) -> None:
    pairs = make_pairs([1.0] * 10, clips=3)
    pairs[4] = pairs[4].model_copy(update={f"{arm}_s": seconds})
    with pytest.raises(InputError, match=f"pair 4 on clip1: the time of arm {arm} is"):
        judge(pairs)


def test_without_pairs_there_is_nothing_to_judge() -> None:
    with pytest.raises(InputError, match="no pair"):
        judge([])
