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


class PaletteQuality:
    """``palette_recall``: the share of the area whose colour is in the palette of that time, to within ΔE2000 of 5. ``delta_e``: the
    mean ΔE2000 (CIE 142-2001) from each expected colour to the nearest that was found, weighted by area and time."""

    primary = "palette_recall"
    primary_name = "palette recall"
    also: ClassVar[dict[str, str]] = {"delta_e": "less"}

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, _Found] = {}
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


def _scores(clips: Mapping[str, _Found], absent: Mapping[str, str], prefix: str) -> Scores:
    pooled = [pair for found in clips.values() for pair in found]
    return collect(_outcome(pooled, prefix), {clip: _outcome(found, prefix) for clip, found in clips.items()}, absent)


def _outcome(found: _Found, prefix: str) -> Outcome:
    names = (f"{prefix}palette_recall", f"{prefix}delta_e")
    weight = sum(share for share, _ in found)
    if not weight:
        return {}, dict.fromkeys(names, "no palette is known")
    near = sum(share for share, distance in found if distance <= NEAR)
    return {names[0]: near / weight, names[1]: sum(share * distance for share, distance in found) / weight}, {}


def _found(expected: Sequence[tuple[float, float, Colours]], events: Sequence[Event]) -> _Found:
    """An interval is judged by the palettes that overlap it, each for as long as it does; what none covers counts as black."""
    pairs: _Found = []
    for start_s, end_s, colours in expected:
        covered = 0.0
        for event in events:
            seconds = min(end_s, event.end_s) - max(start_s, event.start_s)
            if seconds > 0 and (got := _colours(event)):
                covered += seconds
                pairs += [
                    (share * seconds, min(delta_e(colour, other) for other, _ in got)) for colour, share in colours
                ]
        if (rest := end_s - start_s - covered) > 1e-6:
            pairs += [(share * rest, delta_e(colour, "#000000")) for colour, share in colours]
    return pairs


def _colours(event: Event) -> list[tuple[str, float]]:
    return [(str(one["hex"]), float(one["share"])) for one in event.attributes.get("colours", ())]


@lru_cache(maxsize=65536)
def delta_e(a: str, b: str) -> float:
    """ΔE2000 of two '#rrggbb'."""
    from coloraide import Color

    return float(Color(a).delta_e(Color(b), method="2000"))
