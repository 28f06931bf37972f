"""The rule that turns pairs into a verdict on speed: paired logs, sequential looks, an interval against ±delta (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, isfinite, log, log1p, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from reelbench.comparison.clusters import ASSUMED, added_variance, components
from reelbench.comparison.records import Effect, Look, Pair, Speed, Verdict
from reelbench.comparison.statistics import (
    Values,
    adjust,
    hodges_lehmann,
    hodges_lehmann_interval,
    minimum_detectable,
    pairs_for,
    pocock_threshold,
    t_interval,
)
from reelbench.errors import ConfigError, InputError

MOST_PAIRS_NEEDED = 500
"""More than that is no advice."""
FEWEST_CLIPS_ACROSS = 3
_PER_CLIP_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Rule:
    """When interim looks are made, and which change counts.

    ``looks``: numbers of pairs at which the data are looked at; ``delta``: the smallest relative change that counts (0.03 is
    3 %); ``alpha``: the chance of a wrong 'faster' or 'slower' over all looks together; ``comparisons``: how many verdicts are
    judged together (several variants against one baseline). ``limit``: a gate's question, the largest slow-down that is
    allowed; measuring then goes on until that is answered. ``process_deviation``: how far processes of the same code may differ
    (0.02 is 2 %): where pairs share processes, the interval carries it. Raises ConfigError where one of them makes no sense.

    ``comparisons`` divides the threshold (Bonferroni) rather than stepping down (Holm): every verdict rests on an interval, and
    each is taken at its own look, when the others' p-values do not exist yet. Holm orders p-values that must all be known, and
    gives no intervals that hold together.
    """

    looks: tuple[int, ...] = (10, 15, 20, 25, 30)
    delta: float = 0.03
    alpha: float = 0.05
    comparisons: int = 1
    limit: float | None = None
    process_deviation: float = ASSUMED

    def __post_init__(self) -> None:
        if not self.looks or self.looks[0] < 1 or any(b <= a for a, b in zip(self.looks, self.looks[1:], strict=False)):
            raise ConfigError(f"looks must be rising numbers of pairs, not {list(self.looks)}")
        if not (isfinite(self.delta) and self.delta >= 0):
            raise ConfigError(f"delta must be 0 or more (0.03 = 3 %), not {self.delta}")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"alpha must lie above 0 and below 0.5, not {self.alpha}")
        if self.comparisons < 1:
            raise ConfigError(f"comparisons must be 1 or more, not {self.comparisons}")

    @property
    def threshold(self) -> float:
        """The two-sided p that one look of one comparison may use."""
        return pocock_threshold(len(self.looks), self.alpha) / self.comparisons

    def look(self, d: ArrayLike, clusters: Sequence[Hashable] | None = None) -> Look:
        """Judge all of ``d``, the values ln(B / A) so far (at least one). ``clusters`` says of each which processes it shares with
        others (`shared_processes`)."""
        effect, low, high = _effect(d, self.threshold, self.added(d, clusters))
        verdict = self.verdict(low, high)
        return Look(pairs=effect.pairs, threshold=self.threshold, effect=effect, verdict=verdict)

    def added(self, d: ArrayLike, clusters: Sequence[Hashable] | None) -> float:
        """What sharing processes adds to the variance of the effect; 0 where none are shared."""
        between = self.between(d, clusters)
        return 0.0 if between is None or clusters is None else added_variance(clusters, between)

    def between(self, d: ArrayLike, clusters: Sequence[Hashable] | None) -> float | None:
        """How far processes differ: as was calibrated or assumed, or by more where these very pairs show it; None where no two pairs
        share processes."""
        if clusters is None or len(set(clusters)) == len(clusters):
            return None
        own = components(d, clusters)
        return max(self.process_deviation, own.between if own else 0.0)

    def decides(self, look: Look) -> bool:
        """Whether measuring may end here. A gate asks on which side of its limit the interval lies, not for a verdict."""
        if self.limit is None:
            return look.verdict != "inconclusive"
        return look.effect.high < 1 + self.limit or look.effect.low > 1 + self.limit

    def next_look(self, n: int) -> int | None:
        """How many more pairs until the next look is due, after ``n``; None after the last."""
        return next((look - n for look in self.looks if look > n), None)

    def verdict(self, low: float, high: float) -> Verdict:
        """Where an interval of logarithms lies against +-delta."""
        limit = log1p(self.delta)
        if low > limit:
            return "slower"
        if high < -limit:
            return "faster"
        return "equivalent" if -limit < low and high < limit else "inconclusive"


def log_ratios(pairs: Sequence[Pair]) -> Values:
    """d_i = ln B_i - ln A_i, shape (pairs,). A difference of logarithms changes only its sign when A and B are swapped, to the
    last bit. Raises InputError for a time that is not finite or not above 0, naming pair and arm, and without any pair."""
    if not pairs:
        raise InputError("there is no pair to judge", "measure both arms on at least one clip")
    for pair in pairs:
        for arm, seconds in (("a", pair.a_s), ("b", pair.b_s)):
            if not (isfinite(seconds) and seconds > 0):
                raise InputError(
                    f"pair {pair.index} on {pair.clip}: the time of arm {arm} is {seconds:g} s, which no clock measured",
                    "the samples are damaged: measure again",
                )
    return np.array([log(pair.b_s) - log(pair.a_s) for pair in pairs])


def shared_processes(pairs: Sequence[Pair]) -> list[int] | None:
    """Which processes each pair was measured by; None where that was not recorded: every pair then counts as independent."""
    found = [pair.processes for pair in pairs if pair.processes is not None]
    return found if len(found) == len(pairs) else None


def judge_speed(
    pairs: Sequence[Pair],
    rule: Rule,
    statistic: Literal["median", "min"],
    delta_source: str,
    looks: Sequence[Look] = (),
) -> Speed:
    """The verdict on speed with all that a reader may ask of it.

    ``looks`` are those made while measuring; the verdict rests on the last. Without any, all looks that ``pairs`` allow are
    made here in order up to the first that decides. Everything is computed from the pairs up to the last look, so that no
    figure beside the verdict contradicts it; with fewer pairs than the first look asks for there is no verdict but
    'inconclusive'. Raises InputError as `log_ratios`, and where a look rests on more pairs than there are.
    """
    d, clusters = log_ratios(pairs), shared_processes(pairs)
    made = list(looks) or _all_looks(d, rule, clusters)
    if made and made[-1].pairs > len(pairs):
        raise InputError(
            f"a look rests on {made[-1].pairs} pairs, but only {len(pairs)} are here", "the record is damaged"
        )
    if made:
        pairs = pairs[: made[-1].pairs]
        d, clusters = d[: len(pairs)], clusters and clusters[: len(pairs)]
    effect = made[-1].effect if made else rule.look(d, clusters).effect
    verdict: Verdict = made[-1].verdict if made else "inconclusive"
    of_clips = _by_clip(pairs, d)
    return Speed(
        verdict=verdict,
        effect=effect,
        confidence=1 - rule.alpha,
        statistic=statistic,
        delta=rule.delta,
        delta_source=delta_source,
        looks=made,
        adjusted=_adjusted(pairs, d, rule, rule.added(d, clusters)),
        across_clips=_across(of_clips, rule.alpha),
        per_clip={clip: _effect(values, _PER_CLIP_ALPHA)[0] for clip, values in of_clips.items()},
        minimum_detectable=minimum_detectable(d, rule.added(d, clusters)),
        process_deviation=rule.between(d, clusters),
        pairs_needed=pairs_needed(d, rule, clusters) if verdict == "inconclusive" else None,
    )


def pairs_needed(d: ArrayLike, rule: Rule, clusters: Sequence[Hashable] | None = None) -> int | None:
    """About how many pairs would decide if the estimate and the spread stayed as they are: the interval's half-width shrinks
    with 1 / sqrt(n) until it fits between the estimate and the nearer of +-delta. None beyond `MOST_PAIRS_NEEDED`; with one
    pair, the fewest that can decide at all."""
    values = np.asarray(d, dtype=np.float64)
    estimate, low, high = _interval(values, rule.threshold, rule.added(values, clusters))
    fewest = max(rule.looks[0], pairs_for(rule.threshold), len(values) + 1)
    gap = abs(abs(estimate) - log1p(rule.delta))
    half = (high - low) / 2
    if not isfinite(half):  # too few pairs for an interval: a normal one of the same spread stands in
        if len(values) < 2:
            return fewest
        from scipy.special import ndtri

        half = -float(ndtri(rule.threshold / 2)) * float(np.std(values, ddof=1)) / sqrt(len(values))
    if gap == 0 or len(values) * (half / gap) ** 2 > MOST_PAIRS_NEEDED:
        return None
    return max(fewest, ceil(len(values) * (half / gap) ** 2))


def _all_looks(d: Values, rule: Rule, clusters: Sequence[Hashable] | None) -> list[Look]:
    made: list[Look] = []
    for pairs in rule.looks:
        if pairs > len(d) or (made and made[-1].verdict != "inconclusive"):
            break
        made.append(rule.look(d[:pairs], clusters and clusters[:pairs]))
    return made


def _interval(values: Values, alpha: float, added: float) -> tuple[float, float, float]:
    """The Hodges-Lehmann estimate and interval; ``added`` variance widens each side in quadrature, by its normal quantile."""
    middle, low, high = hodges_lehmann_interval(values, alpha)
    if added <= 0 or not isfinite(high - low):
        return middle, low, high
    from scipy.special import ndtri

    more = float(ndtri(alpha / 2)) ** 2 * added
    return middle, middle - sqrt((middle - low) ** 2 + more), middle + sqrt((high - middle) ** 2 + more)


def _effect(d: ArrayLike, alpha: float, added: float = 0.0) -> tuple[Effect, float, float]:
    """The effect as ratios, and its bounds in logs."""
    values = np.asarray(d, dtype=np.float64)
    middle, low, high = _interval(values, alpha, added)
    return _ratios(middle, low, high, len(values)), low, high


def _ratios(middle: float, low: float, high: float, pairs: int) -> Effect:
    return Effect(
        ratio=exp(middle), low=exp(low) if low > -inf else 0.0, high=exp(high) if high < inf else inf, pairs=pairs
    )


def _by_clip(pairs: Sequence[Pair], d: Values) -> dict[str, Values]:
    clips = sorted({pair.clip for pair in pairs})
    return {clip: d[[pair.clip == clip for pair in pairs]] for clip in clips}


def _across(of_clips: dict[str, Values], alpha: float) -> Effect | None:
    """One value a clip, so that a clip with many pairs weighs no more than another."""
    if len(of_clips) < FEWEST_CLIPS_ACROSS:
        return None
    centres = [hodges_lehmann(values) for values in of_clips.values()]
    low, high = t_interval(centres, alpha)
    return _ratios(float(np.mean(centres)), low, high, len(centres))


def _adjusted(pairs: Sequence[Pair], d: Values, rule: Rule, added: float) -> Effect | None:
    """None where the kernel did not report the run-queue delay of every pair."""
    shares = [(pair.a_queue, pair.b_queue) for pair in pairs]
    differences = [b - a for a, b in shares if a is not None and b is not None]
    if len(differences) < len(shares):
        return None
    return _effect(adjust(d, differences), rule.threshold, added)[0]
