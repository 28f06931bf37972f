"""Labelled intervals against labelled intervals: which were found, which were invented, which were missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from reelbench.corpus.clip import Truth, TruthSpan
from reelbench.errors import ConfigError
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult, Event

Span = tuple[str, float, float]
"""(label, start_s, end_s)."""
Counted = tuple[int, int, int]
"""Right, wrong and missed."""
By = Literal["iou", "shorter", "boundary", "start"]


class SpanQuality:
    """``event_f1`` over all clips and for each, of the part of the ground truth that ``part`` names ('calls', 'effects',
    'structure' …).

    Two intervals may match when their labels are the same and they agree: ``by='iou'`` by intersection over union of at least
    ``least``, ``by='shorter'`` by an overlap of at least that share of the shorter one, ``by='boundary'`` by starts that lie at most
    ``least`` seconds apart (an interval that starts with the clip is then no boundary, and is left out), ``by='start'`` likewise, with
    those that start with the clip. Each is matched at most once, so that as many as possible are. ``labels``: events with another
    label are not judged; null judges all. ``gaps``: what the gaps between the intervals of the ground truth are called; they are then
    what is to be found. ``event_overlap``, with ``by='shorter'`` only: intersection over union of all seconds that are expected
    and found, label by label.
    """

    primary = "event_f1"
    primary_name = "event F1"
    guards: ClassVar[dict[str, str]] = {"event_overlap": "more"}
    """One event over the whole clip overlaps the shorter one as far as can be."""

    def __init__(
        self, part: str, by: By = "iou", least: float = 0.5, labels: Sequence[str] | None = None, gaps: str = ""
    ) -> None:
        if part not in Truth.model_fields:
            raise ConfigError(f"quality.part: ground truth has no '{part}'", f"it has {', '.join(Truth.model_fields)}")
        if by not in ("iou", "shorter", "boundary", "start") or least <= 0:
            raise ConfigError(
                f"quality.by is '{by}' with least={least}", "iou, shorter, boundary or start; least above 0"
            )
        self._part, self._by, self._least, self._gaps = part, by, least, gaps
        self._labels = set(labels) if labels is not None else None
        self.complete = labels is None and by != "boundary"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, Counted] = {}
        seconds: dict[str, tuple[float, float]] = {}
        for clip, truth in truths.items():
            expected = getattr(truth, self._part)
            if expected is None:
                absent[clip] = f"its ground truth says nothing of {self._part}"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                wanted = _gaps(expected, self._gaps) if self._gaps else expected
                clips[clip] = self._count(wanted, results[clip].events)
                seconds[clip] = self._seconds(wanted, results[clip].events)
        scores = _scores(clips, absent, "event_")
        return _with_overlap(scores, seconds) if self._by == "shorter" else scores

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        absent = {clip: "has no result" for clip in reference if clip not in results}
        clips = {
            clip: self._count(other.events, results[clip].events)
            for clip, other in reference.items()
            if clip in results
        }
        return _scores(clips, absent, "agreement_")

    def _count(self, expected: Sequence[Event | TruthSpan], events: Sequence[Event]) -> Counted:
        wanted, found = self._judged(expected), self._judged(events)
        right = matched(wanted, found, self._by, self._least)
        return right, len(found) - right, len(wanted) - right

    def _seconds(self, expected: Sequence[Event | TruthSpan], events: Sequence[Event]) -> tuple[float, float]:
        """Seconds that are expected and found, and that are either, summed over labels."""
        wanted, found = self._judged(expected), self._judged(events)
        both = either = 0.0
        for label in {one[0] for one in (*wanted, *found)}:
            a, b = (_length([one for one in side if one[0] == label]) for side in (wanted, found))
            whole = _length([one for one in (*wanted, *found) if one[0] == label])
            both, either = both + a + b - whole, either + whole
        return both, either

    def _judged(self, spans: Sequence[Event | TruthSpan]) -> list[Span]:
        judged = [(one.label, one.start_s, one.end_s) for one in spans]
        if self._labels is not None:
            judged = [one for one in judged if one[0] in self._labels]
        return [one for one in judged if one[1] > 0] if self._by == "boundary" else judged


def matched(expected: Sequence[Span], found: Sequence[Span], by: By, least: float) -> int:
    """How many pairs there are at most."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not expected or not found:
        return 0
    may = np.array([[_agree(one, other, by, least) for other in found] for one in expected], dtype=np.uint8)
    return int((maximum_bipartite_matching(csr_array(may), perm_type="column") >= 0).sum())


def _agree(a: Span, b: Span, by: By, least: float) -> bool:
    if a[0] != b[0]:
        return False
    if by in ("boundary", "start"):
        return abs(a[1] - b[1]) <= least
    common = min(a[2], b[2]) - max(a[1], b[1])
    lengths = a[2] - a[1], b[2] - b[1]
    whole = min(lengths) if by == "shorter" else sum(lengths) - max(common, 0.0)
    return common >= least * whole if whole > 0 else common >= 0


def _gaps(spans: Sequence[TruthSpan], label: str) -> list[TruthSpan]:
    ordered = sorted(spans, key=lambda one: one.start_s)
    return [
        TruthSpan(start_s=a.end_s, end_s=b.start_s, label=label) for a, b in pairwise(ordered) if b.start_s > a.end_s
    ]


def _length(spans: Sequence[Span]) -> float:
    """Seconds that at least one of the intervals covers."""
    total, until = 0.0, 0.0
    for _, start, end in sorted(spans, key=lambda one: one[1:]):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _with_overlap(scores: Scores, seconds: Mapping[str, tuple[float, float]]) -> Scores:
    """The same with ``event_overlap``, where anything lasts."""
    lasting = {clip: both / either for clip, (both, either) in seconds.items() if either > 0}
    per_clip = {
        clip: {**metrics, **({"event_overlap": lasting[clip]} if clip in lasting else {})}
        for clip, metrics in scores.per_clip.items()
    }
    whole = sum(either for _, either in seconds.values())
    pooled = {"event_overlap": sum(both for both, _ in seconds.values()) / whole} if whole > 0 else {}
    return Scores({**scores.overall, **pooled}, per_clip, scores.absent)


def _scores(clips: Mapping[str, Counted], absent: Mapping[str, str], prefix: str) -> Scores:
    pooled = tuple(sum(counts[i] for counts in clips.values()) for i in range(3))
    return collect(_outcome(pooled, prefix), {clip: _outcome(counts, prefix) for clip, counts in clips.items()}, absent)


def _outcome(counts: Sequence[int], prefix: str) -> Outcome:
    metrics = {f"{prefix}{name}": value for name, value in rates(*counts).items()}
    reasons = {
        "precision": "nothing was found",
        "recall": "there is nothing to find",
        "f1": "there is nothing to find, and nothing was found",
    }
    return metrics, {f"{prefix}{name}": why for name, why in reasons.items() if f"{prefix}{name}" not in metrics}
