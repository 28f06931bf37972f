"""The contract of a quality metric: results against truth, or against a reference variant's results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reelbench.corpus.clip import Truth
from reelbench.results import AnalyzerResult


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics over all clips and for each. What could not be computed is absent, with its reason; never 0 or NaN."""

    overall: Mapping[str, float] = field(default_factory=dict)
    per_clip: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


SILENCES = (", and none was found", ", and nothing was found")


def rightly_silent(reason: str) -> bool:
    """Whether a metric is absent because there was nothing to find and nothing was found: its reason then ends in one of `SILENCES`.

    No rate can be computed of that. Against other results, which found something there and are wrong, it is as good as can be.
    """
    return reason.endswith(SILENCES)


Outcome = tuple[dict[str, float], dict[str, str]]
"""Metrics, and for each one that is absent its reason."""


def collect(pooled: Outcome, clips: Mapping[str, Outcome], absent: Mapping[str, str]) -> Scores:
    """The outcome over all clips, and that of each, as `Scores`; ``absent`` are the clips that were not scored at all."""
    of_clips = {f"{clip}/{name}": why for clip, (_, missing) in clips.items() for name, why in missing.items()}
    return Scores(
        overall=pooled[0],
        per_clip={clip: metrics for clip, (metrics, _) in clips.items()},
        absent={**absent, **pooled[1], **of_clips},
    )


def rates(right: float, wrong: float, missed: float) -> dict[str, float]:
    """Precision, recall and F1; without the ones whose denominator is 0."""
    parts = {
        "precision": (right, right + wrong),
        "recall": (right, right + missed),
        "f1": (2 * right, 2 * right + wrong + missed),
    }
    return {name: part / whole for name, (part, whole) in parts.items() if whole}


class Metric(Protocol):
    """Named by ``quality._target_`` in ``conf/analyzer/<name>.yaml``."""

    primary: str
    """The metric that gates and tables show, e.g. 'map50'; more of it is better.

    A metric may have ``also: Mapping[str, 'more' | 'less']``: others that must not get worse, and of which more or less is better;
    ``guards``, written likewise: guardrails, which a change that fools the primary metric would spoil, and may lose up to 5 %; and
    ``complete: bool``: whether the primary one falls with whatever is missed or invented in a clip that has ground truth, of all that
    the analyzer reports; left out, it does not."""

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds. A clip in ``truths`` without a result is not scored and is named in ``absent``."""
        ...

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """Score the clips that ``reference`` holds, taking its results for right."""
        ...
