"""The quality of product_detection: which categories are shown, second by second and clip by clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

from pydantic import PositiveFloat

from reelbench.corpus.clip import Truth, TruthSpan
from reelbench.errors import ConfigError
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import Share

AGAINST_TRUTH = ("f1", "precision", "recall", "clip_f1")
AGREEMENT = ("agreement_f1",)


@dataclass(slots=True)
class _Tally:
    """(right, wrong, missed): of pairs of instant and category, and of categories of a clip."""

    instants: list[int] = field(default_factory=lambda: [0, 0, 0])
    clips: list[int] = field(default_factory=lambda: [0, 0, 0])

    def __iadd__(self, other: _Tally) -> _Tally:
        self.instants = [a + b for a, b in zip(self.instants, other.instants, strict=True)]
        self.clips = [a + b for a, b in zip(self.clips, other.clips, strict=True)]
        return self


class ProductQuality:
    """F1 of (instant, category), ``per_s`` instants a second, and of (clip, category). Events below ``score`` do not
    count. Raises ConfigError where one of them makes no sense."""

    primary = "f1"
    complete = True
    primary_name = "products (F1)"

    def __init__(self, per_s: PositiveFloat = 1.0, score: Share = 0.0) -> None:
        if not per_s > 0 or not 0 <= score <= 1:
            raise ConfigError("quality.per_s must be above 0, quality.score between 0 and 1")
        self.per_s, self.score = per_s, score

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds; ``overall`` pools them. Keys of ``absent``: a clip that was not
        scored at all, a metric (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        clips: dict[str, _Tally] = {}
        for name in sorted(truths):
            products = truths[name].products
            if products is None:
                absent[name] = "its ground truth says nothing about products"
            elif name not in results:
                absent[name] = "no result"
            else:
                clips[name] = self._compare(results[name], products)
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        return collect(_outcome(_pooled(clips)), {name: _outcome(tally) for name, tally in clips.items()}, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """The same with the reference's products taken for true. ``absent`` as in `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        clips = {
            name: self._compare(results[name], self._counting(reference[name]))
            for name in sorted(set(reference) & set(results))
        }
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        return collect(_agree(_pooled(clips)), {name: _agree(tally) for name, tally in clips.items()}, absent)

    def _counting(self, result: AnalyzerResult) -> list[Event]:
        return [event for event in result.events if event.score >= self.score]

    def _compare(self, result: AnalyzerResult, expected: Iterable[TruthSpan | Event]) -> _Tally:
        expected, found = list(expected), self._counting(result)
        latest = max([result.duration_s, *(span.end_s for span in expected)])
        tally = _Tally()
        for slot in range(max(1, ceil(latest * self.per_s - 1e-9))):
            middle = (slot + 0.5) / self.per_s
            _count(tally.instants, _shown(expected, middle), _shown(found, middle))
        _count(tally.clips, {span.label for span in expected}, {event.label for event in found})
        return tally


def _shown(spans: Iterable[TruthSpan | Event], t_s: float) -> set[str]:
    return {span.label for span in spans if span.start_s <= t_s < span.end_s}


def _count(counts: list[int], expected: set[str], found: set[str]) -> None:
    counts[0] += len(expected & found)
    counts[1] += len(found - expected)
    counts[2] += len(expected - found)


def _pooled(clips: Mapping[str, _Tally]) -> _Tally:
    pooled = _Tally()
    for tally in clips.values():
        pooled += tally
    return pooled


def _outcome(tally: _Tally) -> Outcome:
    metrics = rates(*tally.instants)
    absent: dict[str, str] = {}
    if "f1" not in metrics:
        absent |= dict.fromkeys(AGAINST_TRUTH, "there is no product in its ground truth, and none was found")
        return {}, absent
    if "precision" not in metrics:
        absent["precision"] = "no product was found"
    if "recall" not in metrics:
        absent["recall"] = "there is no product in its ground truth"
    clips = rates(*tally.clips)
    if "f1" in clips:
        metrics["clip_f1"] = clips["f1"]
    return metrics, absent


def _agree(tally: _Tally) -> Outcome:
    found = rates(*tally.instants)
    if "f1" in found:
        return {"agreement_f1": found["f1"]}, {}
    return {}, {"agreement_f1": "neither variant finds a product, so nothing was compared"}
