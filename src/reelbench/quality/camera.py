"""The quality of camera_analysis: which moves hold in each second of a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores
from reelbench.quality.tallies import Tally, tallied
from reelbench.results import AnalyzerResult

LABELS = ("still", "pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out", "shake")
HOLDS = 0.5
"""A move holds in a second of which it covers at least this share."""

Span = tuple[float, float, str]


class CameraQuality:
    """Second by second: a label that holds and was found is right. ``camera_macro_f1`` is the mean of the labels' F1,
    each label with the same weight however often it occurs; over labels that are expected or found somewhere."""

    primary = "camera_macro_f1"
    primary_name = "camera macro F1"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        expected = {
            name: None if not truth.camera else [(span.start_s, span.end_s, span.label) for span in truth.camera]
            for name, truth in truths.items()
        }
        return tallied(results, expected, _judge, _against_truth, "its ground truth says nothing about the camera")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        expected = {name: _spans(result) for name, result in reference.items()}
        return tallied(results, expected, _judge, _agree, "")


def _judge(result: AnalyzerResult, expected: Sequence[Span]) -> Tally:
    latest = max([result.duration_s, *(end for _, end, _ in expected)])
    tally = Tally()
    found = _spans(result)
    for second in range(ceil(latest - 1e-6)):
        end = min(latest, second + 1.0)
        right, said = (_holding(spans, float(second), end) for spans in (expected, found))
        for kind, labels in ((tally.right, right & said), (tally.wrong, said - right), (tally.missed, right - said)):
            kind.update(labels)
    return tally


def _holding(spans: Sequence[Span], start: float, end: float) -> set[str]:
    """Labels that cover enough of the second, all their spans together."""
    covered = dict.fromkeys(LABELS, 0.0)
    for first, last, label in spans:
        if label in covered:
            covered[label] += max(0.0, min(last, end) - max(first, start))
    return {label for label, seconds in covered.items() if seconds >= HOLDS * (end - start) - 1e-6}


def _spans(result: AnalyzerResult) -> list[Span]:
    return [(event.start_s, event.end_s, event.label) for event in result.events if event.label in LABELS]


def _against_truth(tally: Tally) -> Outcome:
    f1 = tally.f1()
    if not f1:
        return {}, {"camera_macro_f1": "no label holds for half a second"}
    return {"camera_macro_f1": sum(f1.values()) / len(f1)} | {f"f1_{label}": value for label, value in f1.items()}, {}


def _agree(tally: Tally) -> Outcome:
    f1 = tally.f1()
    if not f1:
        return {}, {"agreement_f1": "neither variant finds anything"}
    return {"agreement_f1": sum(f1.values()) / len(f1)}, {}
