"""Every analyzer's quality in both arms: non-inferiority clip by clip, with Holm's step-down over the analyzers.

Each analyzer is judged by itself as `reelbench.comparison.non_inferiority` does. But of twenty analyzers that are all the same, one is
'worse' at 5 % more often than not; so where both arms have scores of two clips or more, the verdict is by p-values that are adjusted
over all such analyzers (Holm 1979), once for 'not worse' and once for 'worse'. Holm holds whatever the analyzers depend on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import copysign, inf, sqrt
from statistics import fmean, stdev

from reelbench.bench.records import QualityRecord
from reelbench.comparison.audits import counted, counted_per_clip
from reelbench.comparison.few_clips import CONFIDENCE
from reelbench.comparison.non_inferiority import judge_quality
from reelbench.comparison.records import Quality, QualityVerdict
from reelbench.config import instantiate
from reelbench.system.ab.records import Judged
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import results_of
from reelbench.system.setup import Prepared

SEVERITY: tuple[QualityVerdict, ...] = ("not worse", "underpowered", "worse")


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values: the k-th smallest of m times (m - k + 1), never below the one before, at most 1."""
    adjusted: dict[str, float] = {}
    least = 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, p * (len(p_values) - place)))
        adjusted[name] = least
    return adjusted


def judge_all(
    ready: Prepared, runs_a: Sequence[SystemFolder], runs_b: Sequence[SystemFolder], left_out: Mapping[str, str]
) -> dict[str, Judged]:
    """A verdict for each analyzer that ran. ``ready`` is B's. Scores of a clip are means over the runs of an arm.

    Raises InputError for a score that is NaN, or that only one arm has.
    """
    judged: dict[str, Judged] = {}
    tests: dict[str, tuple[float, float]] = {}
    for name in ready.parts:
        if name in left_out:
            continue
        a, b = (_pooled(ready, runs, name) for runs in (runs_a, runs_b))
        found_a, found_b = results_of(runs_a[0], name), results_of(runs_b[0], name)
        _add_agreement(ready, name, runs_a[0], runs_b[0], b)
        settings, clips = ready.composed.base.comparison, sorted(set(found_a) & set(found_b))
        identical = [clip for clip in clips if found_a[clip].events == found_b[clip].events]
        quality = judge_quality(
            a,
            b,
            margin_share=settings.quality_margin,
            identical=identical,
            clips=clips,
            counts=counted(found_a, found_b),
            counts_per_clip=counted_per_clip(found_a, found_b),
            counts_bounds=settings.counts,
            least_agreement=settings.least_agreement,
        )
        judged[name] = Judged(
            name=name,
            variant_a=runs_a[0].record.analyzers[name].variant,
            variant_b=runs_b[0].record.analyzers[name].variant,
            quality=quality,
            verdict=quality.verdict,
            cpu_per_video_s_a=_cpu(runs_a, name),
            cpu_per_video_s_b=_cpu(runs_b, name),
            evidence_a=runs_a[0].record.analyzers[name].evidence,
            evidence_b=runs_b[0].record.analyzers[name].evidence,
        )
        # The very same on every clip needs no test, and where A scores nothing there is nothing to lose.
        if quality.low is not None and (quality.mean_a or 0.0) > 0 and len(identical) < len(clips):
            tests[name] = _p_values(quality, a, b, settings.quality_margin)
    _adjust(judged, tests)
    return judged


def worst(judged: Mapping[str, Judged]) -> QualityVerdict | None:
    return max((one.verdict for one in judged.values()), key=SEVERITY.index, default=None)


def _adjust(judged: Mapping[str, Judged], tests: Mapping[str, tuple[float, float]]) -> None:
    """The verdicts of the analyzers that were tested, together. What is worse for its counts stays so."""
    not_worse, worse = (holm({name: p[side] for name, p in tests.items()}) for side in (0, 1))
    alpha = 1 - CONFIDENCE + 1e-12
    for name in tests:
        one = judged[name]
        one.p_not_worse, one.p_worse = not_worse[name], worse[name]
        if one.verdict == "worse" and one.quality.reason:
            continue
        guarded = [guard.verdict for guard in one.quality.guards.values()]
        if worse[name] <= alpha:
            one.verdict = "worse"
        else:
            one.verdict = "not worse" if not_worse[name] <= alpha else "underpowered"
        one.verdict = max([one.verdict, *guarded], key=SEVERITY.index)


def _p_values(quality: Quality, a: QualityRecord, b: QualityRecord, margin_share: float) -> tuple[float, float]:
    """One-sided p of 'B is worse by more than the margin' and of its contrary; with further metrics all must hold, any may break it."""
    not_worse, worse = _one_sided([score.b - score.a for score in quality.per_clip.values()], quality.margin or 0.0)
    for name, also in quality.also.items():
        sign = 1.0 if also.better == "more" else -1.0
        both = [clip for clip in a.per_clip if name in a.per_clip[clip] and name in b.per_clip.get(clip, {})]
        differences = [sign * (b.per_clip[clip][name] - a.per_clip[clip][name]) for clip in both]
        p = _one_sided(differences, margin_share * abs(also.mean_a))
        not_worse, worse = max(not_worse, p[0]), min(worse, p[1])
    return not_worse, min(1.0, worse * (1 + len(quality.also)))


def _one_sided(differences: Sequence[float], margin: float) -> tuple[float, float]:
    """Student t of mean + margin against 0, from both sides. Needs two values. Without any spread it is certain either way; exactly at
    the margin is not worse."""
    from scipy.special import stdtr

    distance, spread = fmean(differences) + margin, stdev(differences)
    if spread > 0:
        t = distance * sqrt(len(differences)) / spread
    else:
        t = inf if distance >= 0 else copysign(inf, distance)
    return float(stdtr(len(differences) - 1, -t)), float(stdtr(len(differences) - 1, t))


def _pooled(ready: Prepared, runs: Sequence[SystemFolder], name: str) -> QualityRecord:
    """The analyzer's scores over all runs of an arm: the mean of each, where every run has it."""
    found = [run.record.analyzers[name].quality for run in runs]
    pooled = found[0].model_copy(deep=True)
    metric = instantiate(ready.parts[name].config.quality)
    pooled.also, pooled.complete = dict(getattr(metric, "also", {})), bool(getattr(metric, "complete", False))
    pooled.guards = dict(getattr(metric, "guards", {}))
    pooled.overall = _mean([one.overall for one in found])
    pooled.per_clip = {clip: _mean([one.per_clip.get(clip, {}) for one in found]) for clip in found[0].per_clip}
    return pooled


def _mean(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: fmean(one[key] for one in scores) for key in scores[0] if all(key in one for one in scores)}


def _add_agreement(ready: Prepared, name: str, a: SystemFolder, b: SystemFolder, into: QualityRecord) -> None:
    """How far B agrees with A on the clips without ground truth, in the first pair."""
    without = [clip.name for clip in ready.clips.clips if clip.truth is None]
    found_a, found_b = results_of(a, name), results_of(b, name)
    clips = [clip for clip in without if clip in found_a and clip in found_b]
    if not clips:
        return
    metric = instantiate(ready.parts[name].config.quality)
    scores = metric.agreement({clip: found_b[clip] for clip in clips}, {clip: found_a[clip] for clip in clips})
    into.agreement = dict(scores.overall)
    into.agreement_per_clip = {clip: dict(one) for clip, one in scores.per_clip.items()}
    into.absent |= dict(scores.absent)


def _cpu(runs: Sequence[SystemFolder], name: str) -> float | None:
    found = [cpu for run in runs if (cpu := run.record.analyzers[name].cpu_per_video_s) is not None]
    return fmean(found) if found else None
