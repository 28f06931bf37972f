"""The quality of visual_effects: which effects were found, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores
from reelbench.quality.tallies import Tally, tallied
from reelbench.results import AnalyzerResult

LABELS = ("fade", "dissolve", "flash", "freeze", "blur", "slow_motion", "grayscale", "sepia")
OVERLAP = 0.5
"""Intersection over union in time from which on a found effect is the expected one."""

Span = tuple[float, float, str]


class EffectQuality:
    """Events one to one by label, where their intersection over union in time is at least a half; the best overlaps
    first."""

    primary = "effect_f1"
    primary_name = "effect F1"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        expected = {
            name: None if truth.effects is None else [(span.start_s, span.end_s, span.label) for span in truth.effects]
            for name, truth in truths.items()
        }
        return tallied(results, expected, _judge, _against_truth, "its ground truth says nothing about effects")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        expected = {name: _spans(result) for name, result in reference.items()}
        return tallied(results, expected, _judge, _agree, "")


def _judge(result: AnalyzerResult, expected: Sequence[Span]) -> Tally:
    found = _spans(result)
    pairs = sorted(
        ((_overlap(a, b), i, j) for i, a in enumerate(expected) for j, b in enumerate(found) if a[2] == b[2]),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    matched: dict[int, int] = {}
    for overlap, i, j in pairs:
        if overlap >= OVERLAP and i not in matched and j not in matched.values():
            matched[i] = j
    tally = Tally()
    for i, (_, _, label) in enumerate(expected):
        (tally.right if i in matched else tally.missed)[label] += 1
    tally.wrong.update(label for j, (_, _, label) in enumerate(found) if j not in matched.values())
    return tally


def _overlap(a: Span, b: Span) -> float:
    both = min(a[1], b[1]) - max(a[0], b[0])
    either = max(a[1], b[1]) - min(a[0], b[0])
    return max(0.0, both) / either if either > 0 else 1.0


def _spans(result: AnalyzerResult) -> list[Span]:
    return [(event.start_s, event.end_s, event.label) for event in result.events if event.label in LABELS]


def _against_truth(tally: Tally) -> Outcome:
    found = tally.rates()
    reasons = {
        "precision": "no effect was found",
        "recall": "its ground truth holds no effect",
        "f1": "its ground truth holds no effect, and none was found",
    }
    metrics = {f"effect_{name}": value for name, value in found.items()}
    metrics |= {f"f1_{label}": value for label, value in tally.f1().items()}
    return metrics, {f"effect_{name}": reason for name, reason in reasons.items() if name not in found}


def _agree(tally: Tally) -> Outcome:
    found = tally.rates()
    if "f1" not in found:
        return {}, {"agreement_f1": "neither variant finds an effect"}
    return {"agreement_f1": found["f1"]}, {}
