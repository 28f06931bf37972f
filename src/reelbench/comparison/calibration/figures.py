"""Compute false-alarm rate, power and floors of a machine from the decisions of a calibration (docs/calibration.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, exp, log
from statistics import median

from reelbench.comparison.calibration.stretch import Decision
from reelbench.comparison.clusters import Components, components
from reelbench.comparison.records import Calibrated, Pair, Share
from reelbench.comparison.statistics import clopper_pearson, hodges_lehmann
from reelbench.errors import InputError

FLOOR = 0.95
"""Identical code stays within the floor in this share of decisions."""
LONGEST_GAP_S = 120.0
"""Stretches further apart were not measured one after the other."""


def calibrated(
    decisions: Sequence[Decision], *, created: str, fingerprint: str, smallest_change: float, what: str
) -> Calibrated:
    """All that a verdict prints of its machine. Raises InputError without a decision on identical code."""
    identical = [decision for decision in decisions if not decision.slow_down]
    if not identical:
        raise InputError("no decision on identical code was made")
    alarms = share(sum(decision.verdict in ("faster", "slower") for decision in identical), len(identical))
    slowed: dict[float, list[Decision]] = defaultdict(list)
    for decision in decisions:
        if decision.slow_down:
            slowed[decision.slow_down].append(decision)
    found = {f"{size:g}": share(sum(d.verdict == "slower" for d in made), len(made)) for size, made in slowed.items()}
    off = [abs(decision.last.effect.ratio - 1) for decision in identical]
    low, high = quantile_bounds(off, FLOOR)
    apart = between_stretches(decisions)
    luck = between_processes(identical)
    return Calibrated(
        created=created,
        fingerprint=fingerprint,
        decisions=alarms.decisions,
        false_alarms=alarms.count,
        false_alarm_rate=alarms.rate,
        false_alarm_low=alarms.low,
        false_alarm_high=alarms.high,
        power={size: one.rate for size, one in found.items()},
        power_bounds=found,
        measured_slow_down={
            f"{size:g}": median(decision.last.effect.ratio for decision in made) - 1 for size, made in slowed.items()
        },
        floor=quantile(off, FLOOR),
        floor_low=low,
        floor_high=high,
        floor_between_runs=quantile(apart, FLOOR) if apart else None,
        process_deviation=luck.between if luck else None,
        process_low=luck.low if luck else None,
        process_high=luck.high if luck else None,
        pair_deviation=luck.pair if luck else None,
        processes=luck.processes if luck else 0,
        smallest_change=smallest_change,
        median_pairs=median(decision.last.pairs for decision in identical),
        what=what,
        seconds=sum(decision.seconds for decision in decisions),
    )


def share(count: int, decisions: int) -> Share:
    low, high = clopper_pearson(count, decisions)
    return Share(count=count, decisions=decisions, rate=count / decisions if decisions else 0.0, low=low, high=high)


def quantile(values: Sequence[float], level: float) -> float:
    """The smallest value that at least ``level`` of all values do not exceed; never interpolated to below what was seen."""
    ordered = sorted(values)
    return ordered[max(0, ceil(level * len(ordered) - 1e-9) - 1)]


def quantile_bounds(values: Sequence[float], level: float, alpha: float = 0.05) -> tuple[float, float | None]:
    """Ordered values that bound the quantile without any assumption on its distribution (David & Nagaraja 2003, section 7.1): how many
    of n values lie below it is binomial. The upper one is None where n is too small for any (under 72 for 0.95)."""
    from scipy.special import bdtr

    ordered, n = sorted(values), len(values)
    below = [float(bdtr(k, n, level)) for k in range(n + 1)]  # P(at most k of n lie below the quantile)
    first = next((k for k in range(n) if below[k] > alpha / 2), 0)
    last = next((k for k in range(n) if below[k] >= 1 - alpha / 2), None)
    return ordered[first - 1] if first > 0 else 0.0, None if last is None else ordered[last]


def between_stretches(decisions: Sequence[Decision]) -> list[float]:
    """|ratio - 1| of A in one stretch of time against A, the same code undelayed, in the next: what separate runs differ by."""
    found = []
    for earlier, later in pairwise(sorted(decisions, key=lambda decision: decision.started)):
        if later.started - (earlier.started + earlier.seconds) > LONGEST_GAP_S:
            continue
        before, after = _by_clip(earlier.pairs), _by_clip(later.pairs)
        d = [
            log(second.a_s) - log(first.a_s)
            for clip in before
            for first, second in zip(before[clip], after.get(clip, []), strict=False)
        ]
        if d:
            found.append(abs(exp(hodges_lehmann(d)) - 1))
    return found


def between_processes(identical: Sequence[Decision]) -> Components | None:
    """How far processes of the same code differ, over all decisions on identical code; every decision has processes of its own. None
    where no two pairs shared processes. A and B of a pair are measured at the same time, so the machine's drift is not in it."""
    pairs = [(index, pair) for index, decision in enumerate(identical) for pair in decision.pairs]
    if any(pair.processes is None for _, pair in pairs):
        return None
    return components([pair.log_ratio for _, pair in pairs], [(index, pair.processes) for index, pair in pairs])


def _by_clip(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    grouped: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        grouped[pair.clip].append(pair)
    return grouped
