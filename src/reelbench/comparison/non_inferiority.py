"""Test whether B's quality is not worse than A's: non-inferiority on the same clips (docs/statistics.md).

The unit is the clip, not the frame or the box: frames of one clip resemble each other, so counting them as independent would
invent precision (Miller, arXiv 2411.00640, on clustered errors of evaluations). With one difference a clip, the mean of the
clips and a Student t bound are all that is needed. What this assumes: the clips are independent of each other and stand for the
videos that matter, and the mean of their differences is about normal. With few clips the latter cannot be checked, hence
``few``, and hence the share of clips that may hide a loss (`few_clips`). More of the primary metric is better; a metric may name
others that must not get worse (``also``), and guardrails (``guards``): figures that a change which fools the primary one would spoil.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite

import numpy as np

from reelbench.bench.records import QualityRecord
from reelbench.comparison.few_clips import LEAST_CLIPS, hidden_share, one_sided_bounds, place, without_spread
from reelbench.comparison.records import AlsoJudged, ClipQuality, Quality, QualityVerdict
from reelbench.comparison.silence import filled
from reelbench.comparison.without_truth import Counts, clips_out_of_bounds, judge_without_truth, out_of_bounds
from reelbench.errors import InputError

FEW_CLIPS = 20
GUARD_SHARE, LEAST_GUARD = 0.05, 0.02
"""How much of A's mean a guardrail may lose, and the least that it may. Wider than the margin: a guardrail is there for what fools
the primary metric. All guardrails are shares of 1, so that 0.02 is two points even where A's mean is next to nothing."""
_SEVERITY: tuple[QualityVerdict, ...] = ("not worse", "underpowered", "worse")


def judge_quality(
    a: QualityRecord,
    b: QualityRecord,
    *,
    margin_share: float = 0.01,
    identical: Collection[str] = (),
    clips: Collection[str],
    counts: Mapping[str, tuple[float, float]] = {},
    counts_per_clip: Mapping[str, Counts] = {},
    counts_bounds: tuple[float, float] = (0.5, 2.0),
    least_agreement: float | None = None,
) -> Quality:
    """The verdict on quality over ``clips``, those that both arms measured.

    ``margin_share``: how much of A's mean score may be lost. ``identical``: clips on which both arms found the same.
    ``counts``: by kind of event, seconds found by A and by B over all clips; where B / A leaves ``counts_bounds`` the verdict
    is 'worse' whatever the metric says (time won by finding nothing is not won), unless every clip has ground truth and a metric
    that is ``complete``: that has seen what is missed and what is invented. ``counts_per_clip``: the same of each clip; those without
    ground truth are judged one by one. ``b.agreement…`` are taken as the agreement of B with A; it decides only for clips without
    ground truth, and where ``least_agreement`` is given. An arm that rightly found nothing
    where the other found something has 1 there (`silence`). Raises InputError for a score that is NaN or infinite, naming arm, clip
    and metric, and for any other clip that only one arm has a score for.
    """
    a, b, silent = filled(a, b, clips)
    quality = judge_without_truth(b, identical, clips, least_agreement)
    scores = _paired(a, b, clips, a.primary)
    bare = [clip for clip in clips if clip not in a.per_clip and clip not in b.per_clip]
    if scores:
        judged = _against_truth(scores, margin_share)
        if judged["verdict"] == "underpowered" and quality.identical_clips == len(clips) >= LEAST_CLIPS:
            judged |= {"verdict": "not worse", "reason": quality.reason}
        quality = quality.model_copy(update=judged)
        quality.metric = a.primary
        quality.overall_a, quality.overall_b = a.overall.get(a.primary), b.overall.get(b.primary)
        _judge_others(quality, a, b, clips, margin_share)
        if bare and least_agreement is not None:
            _join_agreement(quality, judge_without_truth(b, identical, bare, least_agreement), len(bare))
    quality.few, quality.remarks = quality.clips < FEW_CLIPS, silent
    alone = clips_out_of_bounds(
        {clip: counts_per_clip[clip] for clip in bare if clip in counts_per_clip}, counts_bounds
    )
    if alone:
        quality.verdict, quality.reason = "worse", "; ".join(alone)
    if problems := out_of_bounds(counts, counts_bounds):
        if a.complete and b.complete and {*scores} == {*clips}:
            quality.remarks += [f"{problem}; but all clips have ground truth, which decides" for problem in problems]
        else:
            quality.verdict, quality.reason = "worse", "; ".join([*problems, *alone])
    return quality


def _join_agreement(quality: Quality, of_bare: Quality, clips: int) -> None:
    """Agreement on the clips without ground truth, beside the metric on the others: the verdict is the worse of both."""
    if _SEVERITY.index(of_bare.verdict) > _SEVERITY.index(quality.verdict):
        quality.of_metric = quality.of_metric or quality.verdict
        quality.verdict = of_bare.verdict
        quality.reason = f"on the {clips} clips without ground truth: {of_bare.reason}"


def _judge_others(
    quality: Quality, a: QualityRecord, b: QualityRecord, clips: Collection[str], margin_share: float
) -> None:
    """The metrics beside the primary one, and the guardrails. All must hold, so that none needs a correction for their number (an
    intersection-union test: Berger & Hsu 1996); the verdict on quality is the worst of them."""
    for name, better in a.also.items():
        if judged := _other(_paired(a, b, clips, name), better, margin_share):
            quality.also[name] = judged
    for name, better in a.guards.items():
        if judged := _other(_paired(a, b, clips, name), better, GUARD_SHARE, LEAST_GUARD):
            judged.verdict = _guard(judged)
            quality.guards[name] = judged
    if others := [*quality.also.values(), *quality.guards.values()]:
        quality.of_metric = quality.verdict
        quality.verdict = max([quality.verdict, *(one.verdict for one in others)], key=_SEVERITY.index)


def _other(
    scores: Mapping[str, ClipQuality], better: str, margin_share: float, least: float = 0.0
) -> AlsoJudged | None:
    """A metric other than the primary one; None with fewer than two clips."""
    if len(scores) < LEAST_CLIPS:
        return None
    sign = 1.0 if better == "more" else -1.0
    mean_a, mean_b = (float(np.mean([getattr(score, arm) for score in scores.values()])) for arm in ("a", "b"))
    gains = [sign * (score.b - score.a) for score in scores.values()]
    low, high = one_sided_bounds(gains)
    margin = max(margin_share * abs(mean_a), least)
    losing = _losing(gains, margin)
    return AlsoJudged(
        verdict=place(low, high, -margin)[0],
        better="more" if better == "more" else "less",
        clips=len(scores),
        mean_a=mean_a,
        mean_b=mean_b,
        difference=mean_b - mean_a,
        margin=margin,
        low=min(sign * low, sign * high),
        high=max(sign * low, sign * high),
        losing_clips=losing,
        hidden_share=hidden_share(losing, len(scores)),
    )


def _guard(judged: AlsoJudged) -> QualityVerdict:
    """A guardrail is broken where the mean fell by more than its margin and the clips agree that it fell; it is open where they do
    not agree. It needs no proof that nothing was lost: that is asked of the primary metric."""
    gain = judged.difference if judged.better == "more" else -judged.difference
    if gain >= -judged.margin - 1e-12:
        return "not worse"
    assert judged.low is not None and judged.high is not None, "a guardrail has two clips"
    best = judged.high if judged.better == "more" else -judged.low
    return "worse" if best < 0 else "underpowered"


def _losing(gains: Collection[float], margin: float) -> int:
    """How many clips lose more than the margin."""
    return sum(gain < -margin - 1e-12 for gain in gains)


def _paired(a: QualityRecord, b: QualityRecord, clips: Collection[str], metric: str) -> dict[str, ClipQuality]:
    """Clip -> the metric of both arms, for the clips that have one."""
    if a.primary != b.primary:
        raise InputError(
            f"arm a is judged by '{a.primary}' but arm b by '{b.primary}'", "measure both with the same quality metric"
        )
    paired = {}
    for clip in sorted(clips):
        score_a, score_b = _score(a, "a", clip, metric), _score(b, "b", clip, metric)
        if score_a is not None and score_b is not None:
            paired[clip] = ClipQuality(a=score_a, b=score_b)
        elif (score_a is not None or score_b is not None) and metric == a.primary:
            arm, record = ("a", a) if score_a is None else ("b", b)
            why = record.absent.get(f"{clip}/{metric}") or record.absent.get(clip) or record.absent.get(metric)
            reason = f": {why}" if why else ""
            raise InputError(
                f"arm {arm} has no {metric} on {clip}, the other arm has{reason}",
                "both arms must be scored on the same clips: measure the clip again or leave it out",
            )
    return paired


def _score(record: QualityRecord, arm: str, clip: str, metric: str) -> float | None:
    score = record.per_clip.get(clip, {}).get(metric)
    if score is not None and not isfinite(score):
        raise InputError(
            f"arm {arm}: {metric} on {clip} is {score}",
            "the metric failed on this clip: its results must be looked at",
        )
    return score


def _against_truth(scores: Mapping[str, ClipQuality], margin_share: float) -> dict[str, object]:
    mean_a = float(np.mean([score.a for score in scores.values()]))
    mean_b = float(np.mean([score.b for score in scores.values()]))
    differences = [score.b - score.a for score in scores.values()]
    margin = margin_share * mean_a
    found: dict[str, object] = {
        "per_clip": dict(scores), "clips": len(scores), "mean_a": mean_a, "mean_b": mean_b,
        "difference": float(np.mean(differences)), "margin": margin,
    }  # fmt: skip
    if len(scores) < LEAST_CLIPS:
        return found | {
            "verdict": "underpowered",
            "reason": "one clip only: nothing is known of the spread between clips",
        }
    low, high = one_sided_bounds(differences)
    losing = _losing(differences, margin)
    found |= {"losing_clips": losing, "hidden_share": hidden_share(losing, len(scores))}
    if not without_spread(differences):
        found |= {"low": low, "high": high}
    if mean_a <= 0:
        verdict, reason = "underpowered", "a scores 0 on every clip: there is nothing that b could lose"
    else:
        verdict, reason = place(low, high, -margin)
    return found | {"verdict": verdict, "reason": reason}
