"""Is B's quality not worse than A's? Non-inferiority on the same clips, clips as clusters (docs/statistics.md).

The unit is the clip, not the frame or the box: frames of one clip resemble each other, so counting them as independent would
invent precision (Miller, arXiv 2411.00640, on clustered errors of evaluations). With one difference a clip, the mean of the
clips and a Student t bound are all that is needed. What this assumes: the clips are independent of each other and stand for the
videos that matter, and the mean of their differences is about normal. With few clips the latter cannot be checked, hence
``few``. More of the primary metric is better; a metric may name others that must not get worse (``also``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite, sqrt

import numpy as np

from reelbench.bench.records import QualityRecord
from reelbench.comparison.records import AlsoJudged, ClipQuality, Quality, QualityVerdict
from reelbench.comparison.silence import filled
from reelbench.errors import InputError

FEW_CLIPS = 20
CONFIDENCE = 0.95
_LEAST_CLIPS = 2
_SEVERITY: tuple[QualityVerdict, ...] = ("not worse", "underpowered", "worse")


def judge_quality(
    a: QualityRecord,
    b: QualityRecord,
    *,
    margin_share: float = 0.01,
    identical: Collection[str] = (),
    clips: Collection[str],
    counts: Mapping[str, tuple[float, float]] = {},
    counts_bounds: tuple[float, float] = (0.5, 2.0),
    least_agreement: float | None = None,
) -> Quality:
    """The verdict on quality over ``clips``, those that both arms measured.

    ``margin_share``: how much of A's mean score may be lost. ``identical``: clips on which both arms found the same.
    ``counts``: by kind of event, seconds found by A and by B over all clips; where B / A leaves ``counts_bounds`` the verdict
    is 'worse' whatever the metric says (time won by finding nothing is not won), unless every clip has ground truth and a metric
    that is ``complete``: that has seen what is missed and what is invented. ``b.agreement…`` are taken as the agreement of
    B with A; it decides only where no clip has ground truth and ``least_agreement`` is given. An arm that rightly found nothing
    where the other found something has 1 there (`silence`). Raises InputError for a score that is NaN or infinite, naming arm, clip
    and metric, and for any other clip that only one arm has a score for.
    """
    a, b, silent = filled(a, b, clips)
    quality = _without_truth(b, identical, clips, least_agreement)
    scores = _paired(a, b, clips, a.primary)
    if scores:
        judged = _against_truth(scores, margin_share)
        if judged["verdict"] == "underpowered" and quality.identical_clips == len(clips) >= _LEAST_CLIPS:
            judged |= {"verdict": "not worse", "reason": quality.reason}
        quality = quality.model_copy(update=judged)
        quality.metric = a.primary
        quality.overall_a, quality.overall_b = a.overall.get(a.primary), b.overall.get(b.primary)
        _judge_others(quality, a, b, clips, margin_share)
    quality.few, quality.remarks = quality.clips < FEW_CLIPS, silent
    if problems := _out_of_bounds(counts, counts_bounds):
        if a.complete and b.complete and {*scores} == {*clips}:
            quality.remarks += [f"{problem}; but all clips have ground truth, which decides" for problem in problems]
        else:
            quality.verdict, quality.reason = "worse", "; ".join(problems)
    return quality


def agreement_metric(scores: Collection[str]) -> str:
    """Which agreement metric stands for all: F1 where there is one; '' without any."""
    return next((name for name in scores if "f1" in name.lower()), next(iter(scores), ""))


def one_sided_bounds(values: Collection[float]) -> tuple[float, float]:
    """The lower and the upper one-sided 95 % bound of the mean, Student t. Needs two values."""
    from scipy.special import stdtrit

    flat = np.asarray(list(values), dtype=np.float64)
    mean = float(np.mean(flat))
    half = float(stdtrit(len(flat) - 1, CONFIDENCE)) * float(np.std(flat, ddof=1)) / sqrt(len(flat))
    return mean - half, mean + half


def _judge_others(
    quality: Quality, a: QualityRecord, b: QualityRecord, clips: Collection[str], margin_share: float
) -> None:
    """The metrics beside the primary one. All must hold, so that none needs a correction for their number (an intersection-union
    test: Berger & Hsu 1996); the verdict on quality is the worst of them."""
    for name, better in a.also.items():
        scores = _paired(a, b, clips, name)
        if len(scores) < _LEAST_CLIPS:
            continue
        sign = 1.0 if better == "more" else -1.0
        mean_a, mean_b = (float(np.mean([getattr(score, arm) for score in scores.values()])) for arm in ("a", "b"))
        differences = [score.b - score.a for score in scores.values()]
        low, high = sorted(sign * bound for bound in one_sided_bounds(differences))
        margin = margin_share * abs(mean_a)
        quality.also[name] = AlsoJudged(
            verdict=_place(low, high, -margin)[0], better="more" if better == "more" else "less", clips=len(scores),
            mean_a=mean_a, mean_b=mean_b, difference=mean_b - mean_a, margin=margin,
            low=min(sign * low, sign * high), high=max(sign * low, sign * high),
        )  # fmt: skip
    if quality.also:
        quality.of_metric = quality.verdict
        quality.verdict = max([quality.verdict, *(one.verdict for one in quality.also.values())], key=_SEVERITY.index)


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
    if len(scores) < _LEAST_CLIPS:
        return found | {
            "verdict": "underpowered",
            "reason": "one clip only: nothing is known of the spread between clips",
        }
    low, high = one_sided_bounds(differences)
    if mean_a <= 0:
        verdict, reason = "underpowered", "a scores 0 on every clip: there is nothing that b could lose"
    else:
        verdict, reason = _place(low, high, -margin)
    return found | {"low": low, "high": high, "verdict": verdict, "reason": reason}


def _place(low: float, high: float, limit: float) -> tuple[QualityVerdict, str]:
    """Where the bounds lie against the least that is good enough. Identical arms with a margin of 0 are not worse, hence >=."""
    if low >= limit:
        return "not worse", ""
    if high < limit:
        return "worse", ""
    return "underpowered", "the clips differ too much, or are too few, to tell: judge more clips"


def _without_truth(
    b: QualityRecord, identical: Collection[str], clips: Collection[str], least: float | None
) -> Quality:
    """What can be said without any ground truth; filled with the agreement in every case."""
    name = agreement_metric(b.agreement)
    agreed = {
        clip: scores[name] for clip, scores in sorted(b.agreement_per_clip.items()) if clip in clips and name in scores
    }
    for clip, value in agreed.items():
        if not isfinite(value):
            raise InputError(
                f"arm b: {name} on {clip} is {value}", "the metric failed on this clip: its results must be looked at"
            )
    same = sorted(set(identical) & set(clips))
    quality = Quality(
        verdict="underpowered",
        agreement_metric=name,
        agreement=b.agreement.get(name),
        agreement_per_clip=agreed,
        identical_clips=len(same),
    )
    if len(same) == len(clips) >= _LEAST_CLIPS:
        quality.verdict, quality.clips = "not worse", len(same)
        quality.reason = f"the results are identical on all {len(same)} clips"
    elif least is None:
        quality.reason = (
            "no clip has ground truth: add it to the corpus, or say which agreement is enough (least_agreement)"
        )
    elif len(agreed) < _LEAST_CLIPS:
        quality.clips = len(agreed)
        quality.reason = (
            f"{'one clip only' if agreed else 'no clip'} to compare the results of both arms on: judge more clips"
        )
    else:
        low, high = one_sided_bounds(agreed.values())
        quality.clips = len(agreed)
        quality.verdict, _ = _place(low, high, least)
        comparison = {"not worse": "is at least", "worse": "is below", "underpowered": "may lie on either side of"}[
            quality.verdict
        ]
        quality.reason = (
            f"no ground truth; agreement with a {comparison} {least:g} (95 % bounds {low:.3f} and {high:.3f})"
        )
    return quality


def _out_of_bounds(counts: Mapping[str, tuple[float, float]], bounds: tuple[float, float]) -> list[str]:
    """A sentence for each kind of event of which B finds too little or too much."""
    problems = []
    for kind, (of_a, of_b) in sorted(counts.items()):
        if not (isfinite(of_a) and isfinite(of_b) and of_a >= 0 and of_b >= 0):
            raise InputError(
                f"seconds of '{kind}' found: {of_a} by a, {of_b} by b", "the results are damaged: measure again"
            )
        if of_a == 0 and of_b > 0:
            problems.append(f"finds {of_b:.3g} s of '{kind}' where a finds none: out of bounds")
        elif of_a > 0 and not bounds[0] <= of_b / of_a <= bounds[1]:
            problems.append(f"finds {100 * of_b / of_a:.0f} % of what a finds of '{kind}': out of bounds")
    return problems
