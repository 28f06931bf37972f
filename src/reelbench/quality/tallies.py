"""Right, wrong and missed, label by label, for metrics that count: pooled over clips and for each clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult

Known = TypeVar("Known")


@dataclass(slots=True)
class Tally:
    """How often each label was found rightly, found wrongly, and missed."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Tally) -> Tally:
        self.right += other.right
        self.wrong += other.wrong
        self.missed += other.missed
        return self

    @property
    def labels(self) -> list[str]:
        return sorted({*self.right, *self.wrong, *self.missed})

    def rates(self) -> dict[str, float]:
        """Precision, recall and F1 over all labels together; without the ones whose denominator is 0."""
        return rates(self.right.total(), self.wrong.total(), self.missed.total())

    def f1(self) -> dict[str, float]:
        """F1 of each label that is expected or found somewhere."""
        return {name: rates(self.right[name], self.wrong[name], self.missed[name])["f1"] for name in self.labels}


def tallied(
    results: Mapping[str, AnalyzerResult],
    expected: Mapping[str, Known | None],
    judge: Callable[[AnalyzerResult, Known], Tally],
    score: Callable[[Tally], Outcome],
    unknown: str,
) -> Scores:
    """Judge each clip of ``expected`` and score them one by one and together. ``unknown``: why a clip whose
    expectation is None is not scored."""
    absent: dict[str, str] = {}
    clips: dict[str, Tally] = {}
    for name in sorted(expected):
        known = expected[name]
        if known is None:
            absent[name] = unknown
        elif name not in results:
            absent[name] = "no result"
        else:
            clips[name] = judge(results[name], known)
    pooled = Tally()
    for tally in clips.values():
        pooled += tally
    outcome = (
        score(pooled) if clips else ({}, dict.fromkeys(score(pooled)[1], "no clip has a result and what it should be"))
    )
    return collect(outcome, {name: score(tally) for name, tally in clips.items()}, absent)
