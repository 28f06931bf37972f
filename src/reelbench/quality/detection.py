"""The quality of object detection: against ground truth, and as agreement with a reference variant (docs/quality.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PositiveFloat

from reelbench.corpus.clip import Truth
from reelbench.errors import ConfigError
from reelbench.quality.average_precision import average_precision
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.quality.instants import Instant, choose, expected_of, found_at, grid, looked_at
from reelbench.quality.matching import Counts, count
from reelbench.results import AnalyzerResult
from reelbench.settings import Share

AGAINST_TRUTH = ("map50", "map", "precision", "recall", "f1", "false_positives_per_min")
AGREEMENT = ("agreement_f1", "agreement_precision", "agreement_recall")


class DetectionQuality:
    """COCO's mAP, and precision, recall and F1 at one score and one IoU.

    ``instants_per_s``: at most so many instants a second are judged, the same ones for every variant. ``score``: boxes below it do
    not count for precision, recall, F1, false positives and agreement (mAP takes every box). ``iou``: the overlap from which a box
    is right, for the same metrics. Raises ConfigError where one of them makes no sense.
    """

    primary = "map50"
    primary_name = "mAP@0.5"
    guards: ClassVar[dict[str, str]] = {"precision": "more", "recall": "more"}
    """mAP ranks boxes by score and ignores what lies behind the last right one: it is blind to a flood of wrong boxes there, and to
    all scores being scaled."""

    def __init__(self, instants_per_s: PositiveFloat = 5.0, score: Share = 0.5, iou: Share = 0.5) -> None:
        if not instants_per_s > 0:
            raise ConfigError(f"quality.instants_per_s must be above 0, not {instants_per_s}")
        for name, value in (("score", score), ("iou", iou)):
            if not 0 < value <= 1:
                raise ConfigError(f"quality.{name} must lie above 0 and at most at 1, not {value}")
        self.instants_per_s = instants_per_s
        self.score = score
        self.iou = iou

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds; ``overall`` pools all their instants. Keys of ``absent``: a clip that was not
        scored at all, a metric (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        clips: dict[str, list[Instant]] = {}
        for name in sorted(truths):
            if truths[name].objects is None:
                absent[name] = "its ground truth says nothing about objects"
            elif name not in results:
                absent[name] = "no result"
            else:
                clips[name] = self._judged(results[name], truths[name])
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        outcomes = {name: self._score(instants) for name, instants in clips.items()}
        pooled = self._score([instant for instants in clips.values() for instant in instants])
        return collect(pooled, outcomes, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """Score the clips that ``reference`` holds, its boxes of at least ``score`` taken for truth, at the instants at which the
        reference looked (`instants.looked_at`). ``absent`` as in `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        counts = {
            name: count(self._side_by_side(results[name], reference[name]), self.iou, self.score)
            for name in sorted(reference)
            if name in results
        }
        if not counts:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        outcomes = {name: _agree(counted, self.score) for name, counted in counts.items()}
        pooled = _agree(sum(counts.values(), Counts()), self.score)
        return collect(pooled, outcomes, absent)

    def _judged(self, result: AnalyzerResult, truth: Truth) -> list[Instant]:
        assert truth.objects is not None
        if not truth.objects:  # known to hold nothing, over its whole length
            return [Instant((), found) for found in found_at(result, grid(result.duration_s, self.instants_per_s))]
        frames = choose(truth.objects, self.instants_per_s)
        found_there = found_at(result, [frame.t_s for frame in frames])
        return [Instant(expected_of(frame), found) for frame, found in zip(frames, found_there, strict=True)]

    def _side_by_side(self, result: AnalyzerResult, reference: AnalyzerResult) -> list[Instant]:
        times = looked_at(reference, self.instants_per_s)
        expected = ([one for one in seen if one.score >= self.score] for seen in found_at(reference, times))
        return [Instant(tuple(a), b) for a, b in zip(expected, found_at(result, times), strict=True)]

    def _score(self, instants: list[Instant]) -> Outcome:
        counts = count(instants, self.iou, self.score)
        metrics = average_precision(instants)
        absent: dict[str, str] = {}
        if counts.right + counts.missed == 0:
            reason = "its ground truth holds no object that is judged"
            absent = dict.fromkeys(("map50", "map", "precision", "recall", "f1"), reason)
        else:
            metrics |= rates(counts.right, counts.wrong, counts.missed)
            if "precision" not in metrics:
                absent["precision"] = f"nothing was found with a score of {self.score:g} or more"
        metrics["false_positives_per_min"] = 60.0 * counts.wrong / counts.instants
        return metrics, absent


def _agree(counts: Counts, score: float) -> Outcome:
    found = rates(counts.right, counts.wrong, counts.missed)
    metrics = {f"agreement_{name}": found[name] for name in ("f1", "precision", "recall") if name in found}
    reasons = {
        "agreement_f1": f"neither variant finds anything with a score of {score:g} or more, so nothing was compared",
        "agreement_precision": f"this variant finds nothing with a score of {score:g} or more",
        "agreement_recall": f"the reference finds nothing with a score of {score:g} or more",
    }
    return metrics, {name: why for name, why in reasons.items() if name not in metrics}
