"""Judge quality on clips without ground truth: identical results, agreement, and how much was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite

from reelbench.bench.records import QualityRecord
from reelbench.comparison.few_clips import LEAST_CLIPS, hidden_share, one_sided_bounds, place
from reelbench.comparison.records import Quality
from reelbench.errors import InputError

Counts = Mapping[str, tuple[float, float]]
"""What was found ('seconds of events', 'words' …) -> how much of it by A and by B."""

ENOUGH_ON_ONE_CLIP = {"seconds of events": 1.0, "events": 3.0, "words": 5.0}
"""Where A finds less than this on a clip, one event more or less would decide: such clips are judged together."""


def judge_without_truth(
    b: QualityRecord, identical: Collection[str], clips: Collection[str], least: float | None
) -> Quality:
    """What can be said of ``clips`` without any ground truth; filled with the agreement in every case."""
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
    if len(same) == len(clips) >= LEAST_CLIPS:
        quality.verdict, quality.clips = "not worse", len(same)
        quality.reason = f"the results are identical on all {len(same)} clips"
        quality.losing_clips, quality.hidden_share = 0, hidden_share(0, len(same))
    elif least is None:
        quality.reason = (
            "no clip has ground truth: add it to the corpus, or say which agreement is enough (least_agreement)"
        )
    elif len(agreed) < LEAST_CLIPS:
        quality.clips = len(agreed)
        quality.reason = (
            f"{'one clip only' if agreed else 'no clip'} to compare the results of both arms on: judge more clips"
        )
    else:
        _judge_agreement(quality, agreed, least)
    return quality


def _judge_agreement(quality: Quality, agreed: Mapping[str, float], least: float) -> None:
    low, high = one_sided_bounds(agreed.values())
    below = sum(value < least for value in agreed.values())
    quality.clips = len(agreed)
    quality.verdict, _ = place(low, high, least)
    quality.losing_clips, quality.hidden_share = below, hidden_share(below, len(agreed))
    comparison = {"not worse": "is at least", "worse": "is below", "underpowered": "may lie on either side of"}[
        quality.verdict
    ]
    quality.reason = f"no ground truth; agreement with a {comparison} {least:g} (95 % bounds {low:.3f} and {high:.3f})"


def agreement_metric(scores: Collection[str]) -> str:
    """Which agreement metric stands for all: F1 where there is one; '' without any."""
    return next((name for name in scores if "f1" in name.lower()), next(iter(scores), ""))


def out_of_bounds(counts: Counts, bounds: tuple[float, float], where: str = "") -> list[str]:
    """A sentence for each kind of event of which B finds too little or too much. ``where`` follows it (' on clip x')."""
    problems = []
    for kind, (of_a, of_b) in sorted(counts.items()):
        if not (isfinite(of_a) and isfinite(of_b) and of_a >= 0 and of_b >= 0):
            raise InputError(
                f"seconds of '{kind}' found: {of_a} by a, {of_b} by b", "the results are damaged: measure again"
            )
        if of_a == 0 and of_b > 0:
            problems.append(f"finds {of_b:.3g} s of '{kind}' where a finds none{where}: out of bounds")
        elif of_a > 0 and not bounds[0] <= of_b / of_a <= bounds[1]:
            problems.append(f"finds {100 * of_b / of_a:.0f} % of what a finds of '{kind}'{where}: out of bounds")
    return problems


def clips_out_of_bounds(per_clip: Mapping[str, Counts], bounds: tuple[float, float]) -> list[str]:
    """The same for each clip of ``per_clip``, all without ground truth: what B leaves out on one clip must not vanish in the sum
    over all. Clips on which A finds little (`ENOUGH_ON_ONE_CLIP`) are judged together."""
    problems: list[str] = []
    little: dict[str, tuple[float, float]] = {}
    few: set[str] = set()
    for clip, counts in sorted(per_clip.items()):
        for kind, (of_a, of_b) in counts.items():
            if of_a >= ENOUGH_ON_ONE_CLIP.get(kind, 0.0):
                problems += out_of_bounds({kind: (of_a, of_b)}, bounds, f" on {clip}, which has no ground truth")
            else:
                before = little.get(kind, (0.0, 0.0))
                little[kind] = (before[0] + of_a, before[1] + of_b)
                few.add(clip)
    enough = {kind: both for kind, both in little.items() if max(both) >= ENOUGH_ON_ONE_CLIP.get(kind, 0.0)}
    where = f" on the {len(few)} clips without ground truth where a finds little" if len(few) > 1 else ""
    where = where or f" on {', '.join(few)}, which has no ground truth"
    return problems + out_of_bounds(enough, bounds, where)
