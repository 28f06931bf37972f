"""Is what was spoken excitedly ranked above what was spoken calmly?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.results import AnalyzerResult, Event

_Pairs = tuple[float, int]
"""Pairs in the right order (ties count half), and all."""


class ProsodyQuality:
    """``ordering``: the share of the pairs (an excited span, a calm one, of one clip) of which the excited one has the higher
    arousal; a tie counts half, a span that nothing was found in loses. 0.5 is chance (it is the area under the ROC curve)."""

    primary = "ordering"
    primary_name = "ordering"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, _Pairs] = {}
        for clip, truth in truths.items():
            if truth.prosody is None:
                absent[clip] = "its ground truth says nothing of prosody"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                spans = [(one.label, one.start_s, one.end_s) for one in truth.prosody]
                clips[clip] = _pairs(spans, results[clip].events)
        return _scores(clips, absent, "")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        absent = {clip: "has no result" for clip in reference if clip not in results}
        clips = {
            clip: _pairs([(e.label, e.start_s, e.end_s) for e in other.events], results[clip].events)
            for clip, other in reference.items()
            if clip in results
        }
        return _scores(clips, absent, "agreement_")


def _pairs(spans: Sequence[tuple[str, float, float]], events: Sequence[Event]) -> _Pairs:
    levels = {kind: [_arousal(events, a, b) for label, a, b in spans if label == kind] for kind in ("excited", "calm")}
    right = 0.0
    for high in levels["excited"]:
        for low in levels["calm"]:
            right += 0.0 if high is None or low is None else 1.0 if high > low else 0.5 if high == low else 0.0
    return right, len(levels["excited"]) * len(levels["calm"])


def _arousal(events: Sequence[Event], start: float, end: float) -> float | None:
    """The mean over a span, by how long each event lies in it; None where none does."""
    weighed = [
        (min(end, one.end_s) - max(start, one.start_s), float(one.attributes["arousal"]))
        for one in events
        if one.start_s < end and one.end_s > start and "arousal" in one.attributes
    ]
    total = sum(seconds for seconds, _ in weighed)
    return sum(seconds * level for seconds, level in weighed) / total if total > 0 else None


def _scores(clips: Mapping[str, _Pairs], absent: Mapping[str, str], prefix: str) -> Scores:
    right, total = sum(one[0] for one in clips.values()), sum(one[1] for one in clips.values())
    return collect(
        _outcome((right, total), prefix), {clip: _outcome(one, prefix) for clip, one in clips.items()}, absent
    )


def _outcome(pairs: _Pairs, prefix: str) -> Outcome:
    name = f"{prefix}ordering"
    return ({name: pairs[0] / pairs[1]}, {}) if pairs[1] else ({}, {name: "no excited and calm speech to compare"})
