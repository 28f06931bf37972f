"""Does what is measured of a picture follow how much was done to it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reelbench.corpus.clip import Truth, TruthDegradation
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.results import AnalyzerResult, Event

MEASURES = {"blur": "blur", "noise": "noise", "blocks": "blockiness", "dark": "-exposure", "bright": "exposure"}
"""The kind of degradation, and the attribute that should grow with it; a minus says that it should fall."""
_LEAST_LEVELS = 3
_Points = dict[str, list[tuple[float, float]]]
"""Kind -> (level done, level measured), one for each event that lies within one level."""


class DegradationQuality:
    """``spearman``: the rank correlation between the level of a degradation and the measure that is about it, over the moments of a
    clip, averaged over kinds; the moments without any are level 0 of every kind. ``spearman_<kind>`` are its parts."""

    primary = "spearman"
    primary_name = "Spearman"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, Outcome] = {}
        for clip, truth in truths.items():
            if not truth.degradations:
                absent[clip] = "its ground truth says nothing of degradations"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                clips[clip] = _correlated(_points(truth.degradations, results[clip].events))
        return collect(_mean(clips, absent), clips, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """How alike two variants rank the moments of a clip: the mean rank correlation over measures."""
        absent = {clip: "has no result" for clip in reference if clip not in results}
        clips = {
            clip: _alike(results[clip].events, other.events) for clip, other in reference.items() if clip in results
        }
        found = [metrics["agreement_spearman"] for metrics, _ in clips.values() if metrics]
        pooled: Outcome = ({"agreement_spearman": sum(found) / len(found)}, {}) if found else ({}, {})
        return collect(pooled, clips, absent)


def _points(done: Sequence[TruthDegradation], events: Sequence[Event]) -> _Points:
    points: _Points = {kind: [] for kind in {one.kind for one in done} if kind in MEASURES}
    for event in events:
        over = [one for one in done if one.start_s < event.end_s and one.end_s > event.start_s]
        within = [one for one in over if one.start_s <= event.start_s + 1e-6 and one.end_s >= event.end_s - 1e-6]
        if len(over) != len(within) or len({one.kind for one in within}) > 1:
            continue  # half of it is something else
        for kind, found in points.items():
            if not within or within[0].kind == kind:
                found.append((within[0].level if within else 0.0, _measured(kind, event)))
    return points


def _measured(kind: str, event: Event) -> float:
    name = MEASURES[kind]
    return -float(event.attributes[name[1:]]) if name.startswith("-") else float(event.attributes[name])


def _correlated(points: _Points) -> Outcome:
    metrics: dict[str, float] = {}
    absent: dict[str, str] = {}
    for kind, found in sorted(points.items()):
        if len({level for level, _ in found}) < _LEAST_LEVELS:
            absent[f"spearman_{kind}"] = f"fewer than {_LEAST_LEVELS} levels of it were seen"
        else:
            metrics[f"spearman_{kind}"] = _spearman(*zip(*found, strict=True))
    if metrics:
        metrics["spearman"] = sum(metrics.values()) / len(metrics)
    else:
        absent["spearman"] = "no degradation was seen at enough levels"
    return metrics, absent


def _mean(clips: Mapping[str, Outcome], absent: Mapping[str, str]) -> Outcome:
    metrics: dict[str, list[float]] = {}
    for found, _ in clips.values():
        for name, value in found.items():
            metrics.setdefault(name, []).append(value)
    if "spearman" not in metrics:
        return {}, {"spearman": "no clip could be scored"}
    return {name: sum(values) / len(values) for name, values in metrics.items()}, {}


def _alike(found: Sequence[Event], reference: Sequence[Event]) -> Outcome:
    pairs = [(a, b) for b in reference for a in found if a.start_s < b.end_s and a.end_s > b.start_s]
    if len(pairs) < _LEAST_LEVELS:
        return {}, {"agreement_spearman": f"fewer than {_LEAST_LEVELS} moments to compare"}
    names = [name for name in ("blur", "noise", "blockiness", "exposure") if name in pairs[0][0].attributes]
    rho = [
        _spearman([float(a.attributes[n]) for a, _ in pairs], [float(b.attributes[n]) for _, b in pairs]) for n in names
    ]
    return {"agreement_spearman": sum(rho) / len(rho)}, {}


def _spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """0 where one of them never changes: it then tells nothing."""
    from scipy.stats import spearmanr

    if len(set(a)) < 2 or len(set(b)) < 2:
        return 0.0
    return float(spearmanr(a, b).statistic)
