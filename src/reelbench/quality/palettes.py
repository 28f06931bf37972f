"""Palettes against the colours that are known to cover a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.results import AnalyzerResult, Event

NEAR = 5.0
"""ΔE2000 up to which a colour counts as found: a difference that is seen at a look, about twice what is just noticed."""
Colours = Sequence[tuple[str, float]]
_Found = list[tuple[float, float]]
"""(weight, ΔE2000 of the nearest colour) for each expected colour; the weight is its share times the seconds."""
_Both = tuple[_Found, _Found]
"""The expected colours, each with the nearest found one; the found colours, each with the nearest expected one."""


class PaletteQuality:
    """``palette_recall``: the share of the area whose colour is in the palette of that time, to within ΔE2000 of 5. ``delta_e``: the
    mean ΔE2000 (CIE 142-2001) from each expected colour to the nearest that was found, weighted by area and time.
    ``palette_precision``: the share of the colours of a palette, each with the same weight, that are in the picture."""

    primary = "palette_recall"
    primary_name = "palette recall"
    also: ClassVar[dict[str, str]] = {"delta_e": "less"}
    guards: ClassVar[dict[str, str]] = {"palette_precision": "more"}
    """A palette of a thousand colours holds every colour."""

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, _Both] = {}
        for clip, truth in truths.items():
            if truth.palettes is None:
                absent[clip] = "its ground truth says nothing of colours"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                expected = [(one.start_s, one.end_s, one.colours) for one in truth.palettes]
                clips[clip] = _found(expected, results[clip].events)
        return _scores(clips, absent, "")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        clips = {
            clip: _found(
                [(event.start_s, event.end_s, _colours(event)) for event in result.events], results[clip].events
            )
            for clip, result in reference.items()
            if clip in results
        }
        absent = {clip: "has no result" for clip in reference if clip not in results}
        return _scores(clips, absent, "agreement_")


def _scores(clips: Mapping[str, _Both], absent: Mapping[str, str], prefix: str) -> Scores:
    pooled = tuple([pair for both in clips.values() for pair in both[side]] for side in (0, 1))
    return collect(
        _outcome((pooled[0], pooled[1]), prefix),
        {clip: _outcome(found, prefix) for clip, found in clips.items()},
        absent,
    )


def _outcome(both: _Both, prefix: str) -> Outcome:
    names = (f"{prefix}palette_recall", f"{prefix}delta_e", f"{prefix}palette_precision")
    found, claimed = both
    weight = sum(share for share, _ in found)
    if not weight:
        return {}, dict.fromkeys(names, "no palette is known")
    metrics = {names[0]: _near(found), names[1]: sum(share * distance for share, distance in found) / weight}
    if not claimed:
        return metrics, {names[2]: "no palette was found"}
    return metrics | {names[2]: _near(claimed)}, {}


def _near(pairs: _Found) -> float:
    """The share, by weight, of colours that have a partner within `NEAR`."""
    return sum(weight for weight, distance in pairs if distance <= NEAR) / sum(weight for weight, _ in pairs)


def _found(expected: Sequence[tuple[float, float, Colours]], events: Sequence[Event]) -> _Both:
    """An interval is judged by the palettes that overlap it, each for as long as it does; what none covers counts as black."""
    pairs: _Found = []
    claimed: _Found = []
    for start_s, end_s, colours in expected:
        covered = 0.0
        for event in events:
            seconds = min(end_s, event.end_s) - max(start_s, event.start_s)
            if seconds > 0 and (got := _colours(event)):
                covered += seconds
                pairs += [
                    (share * seconds, min(delta_e(colour, other) for other, _ in got)) for colour, share in colours
                ]
                if colours:
                    nearest = [min(delta_e(colour, other) for other, _ in colours) for colour, _ in got]
                    claimed += [(seconds / len(got), distance) for distance in nearest]
        if (rest := end_s - start_s - covered) > 1e-6:
            pairs += [(share * rest, delta_e(colour, "#000000")) for colour, share in colours]
    return pairs, claimed


def _colours(event: Event) -> list[tuple[str, float]]:
    return [(str(one["hex"]), float(one["share"])) for one in event.attributes.get("colours", ())]


@lru_cache(maxsize=65536)
def delta_e(a: str, b: str) -> float:
    """ΔE2000 of two '#rrggbb'."""
    from coloraide import Color

    return float(Color(a).delta_e(Color(b), method="2000"))
