"""The quality of what divides a clip in time: cuts between shots, and boundaries between scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import NonNegativeFloat

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores
from reelbench.quality.tallies import Tally, tallied
from reelbench.results import AnalyzerResult

CUTS = ("cut", "fade", "dissolve", "gradual")
"""The labels of a result that are changes of shot."""
SCENE = "scene"
CUT_WITHIN_S = 0.07
"""Two frames at 30 frames a second."""
SCENE_WITHIN_S = 0.3


@dataclass(frozen=True, slots=True)
class Boundary:
    """``at_s`` is the middle; anything from ``first_s`` to ``last_s`` is as good."""

    at_s: float
    first_s: float
    last_s: float


class CutQuality:
    """F1 of the changes of shot. A hard cut counts as found within ``within_s`` (two frames); a fade or dissolve where the middle of
    what was found lies within it, or as near to it. Each counts once."""

    primary = "cut_f1"
    primary_name = "cut F1"

    def __init__(self, within_s: NonNegativeFloat = CUT_WITHIN_S) -> None:
        self._within_s = within_s

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        expected = {
            name: None if truth.cuts is None else [_span(cut.start_s, cut.end_s) for cut in truth.cuts]
            for name, truth in truths.items()
        }
        return tallied(results, expected, self._judge, _Scorer("cut_"), "its ground truth says nothing about cuts")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        expected = {name: _cuts(result) for name, result in reference.items()}
        return tallied(results, expected, self._judge, _Scorer("agreement_"), "")

    def _judge(self, result: AnalyzerResult, expected: Sequence[Boundary]) -> Tally:
        return match(expected, [one.at_s for one in _cuts(result)], self._within_s)


class SceneQuality:
    """F1 of the boundaries between scenes, each found within ``within_s``. The beginning of the first scene is no boundary."""

    primary = "scene_f1"
    primary_name = "scene boundary F1"

    def __init__(self, within_s: NonNegativeFloat = SCENE_WITHIN_S) -> None:
        self._within_s = within_s

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        expected = {
            name: _starts([span.start_s for span in truth.scenes]) if truth.scenes else None
            for name, truth in truths.items()
        }
        return tallied(results, expected, self._judge, _Scorer("scene_"), "its ground truth names no scenes")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        expected = {name: _scenes(result) for name, result in reference.items()}
        return tallied(results, expected, self._judge, _Scorer("agreement_"), "")

    def _judge(self, result: AnalyzerResult, expected: Sequence[Boundary]) -> Tally:
        return match(expected, [one.at_s for one in _scenes(result)], self._within_s)


def match(expected: Sequence[Boundary], found: Sequence[float], within_s: float) -> Tally:
    """One to one, in time order, the earliest that fits first: with intervals on a line no other assignment finds more."""
    tally = Tally()
    free = sorted(found)
    for boundary in sorted(expected, key=lambda one: one.last_s):
        fits = [at for at in free if boundary.first_s - within_s <= at <= boundary.last_s + within_s]
        if fits:
            free.remove(fits[0])
            tally.right["boundary"] += 1
        else:
            tally.missed["boundary"] += 1
    tally.wrong["boundary"] += len(free)
    return tally


@dataclass(frozen=True, slots=True)
class _Scorer:
    prefix: str

    def __call__(self, tally: Tally) -> Outcome:
        found = tally.rates()
        reasons = {
            "precision": "nothing was found",
            "recall": "there is nothing to find",
            "f1": "there is nothing to find, and nothing was found",
        }
        metrics = {f"{self.prefix}{name}": value for name, value in found.items()}
        return metrics, {f"{self.prefix}{name}": reason for name, reason in reasons.items() if name not in found}


def _span(start_s: float, end_s: float) -> Boundary:
    return Boundary((start_s + end_s) / 2, start_s, end_s)


def _cuts(result: AnalyzerResult) -> list[Boundary]:
    return [_span(event.start_s, event.end_s) for event in result.events if event.label in CUTS]


def _starts(starts: Sequence[float]) -> list[Boundary]:
    return [_span(start, start) for start in sorted(starts)[1:]]


def _scenes(result: AnalyzerResult) -> list[Boundary]:
    return _starts([event.start_s for event in result.events if event.label == SCENE])
