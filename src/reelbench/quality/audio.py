"""Loudness, tempo and key against what was mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.results import AnalyzerResult, Event

TOLERANCE = 0.04
"""How far a tempo may be off: MIREX's 4 %."""


@dataclass(frozen=True, slots=True)
class _Tally:
    loudness: tuple[float, ...] = ()
    beat_s: float = 0.0
    right_s: float = 0.0
    octave_s: float = 0.0
    keyed_s: float = 0.0
    key_s: float = 0.0

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(
            self.loudness + other.loudness,
            *(
                getattr(self, name) + getattr(other, name)
                for name in ("beat_s", "right_s", "octave_s", "keyed_s", "key_s")
            ),
        )


class AudioQuality:
    """``loudness_score`` is 1 / (1 + absolute error in LU). ``tempo_accuracy`` is the share of the seconds with a beat whose tempo
    is right to 4 % (MIREX accuracy 1), ``tempo_accuracy2`` allows half, double, a third and three times it; ``key_accuracy`` the
    share of the seconds of known key whose key is right."""

    primary = "loudness_score"
    primary_name = "loudness score"
    also: ClassVar[dict[str, str]] = {"tempo_accuracy": "more"}
    guards: ClassVar[dict[str, str]] = {"key_accuracy": "more"}
    """Neither loudness nor tempo falls with a wrong key."""

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, _Tally] = {}
        for clip, truth in truths.items():
            if truth.loudness_lufs is None and truth.music is None:
                absent[clip] = "its ground truth says nothing of loudness or music"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                expected = [(one.start_s, one.end_s, one.tempo_bpm, one.key) for one in truth.music or ()]
                clips[clip] = _tally(truth.loudness_lufs, expected, results[clip])
        return _scores(clips, absent, "")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        absent = {clip: "has no result" for clip in reference if clip not in results}
        clips = {}
        for clip, other in reference.items():
            if clip in results:
                found = [
                    (e.start_s, e.end_s, float(e.attributes.get("tempo_bpm", 0)), e.attributes.get("key"))
                    for e in _music(other)
                ]
                clips[clip] = _tally(_loudness(other), [one for one in found if one[2]], results[clip])
        return _scores(clips, absent, "agreement_")


def _tally(
    loudness: float | None, expected: list[tuple[float, float, float, str | None]], result: AnalyzerResult
) -> _Tally:
    measured = _loudness(result)
    tally = (
        _Tally() if loudness is None else _Tally((1 / (1 + abs(measured - loudness)) if measured is not None else 0.0,))
    )
    for start, end, bpm, key in expected:
        tally += _Tally(beat_s=end - start, keyed_s=end - start if key else 0.0)
        for event in _music(result):
            seconds = max(0.0, min(end, event.end_s) - max(start, event.start_s))
            found = float(event.attributes.get("tempo_bpm", 0.0))
            octaves = any(_near(found, bpm * ratio) for ratio in (1, 2, 3, 1 / 2, 1 / 3))
            tally += _Tally(
                right_s=seconds * _near(found, bpm),
                octave_s=seconds * octaves,
                key_s=seconds * bool(key and event.attributes.get("key") == key),
            )
    return tally


def _near(found: float, expected: float) -> bool:
    return abs(found - expected) <= TOLERANCE * expected


def _loudness(result: AnalyzerResult) -> float | None:
    found = [event.attributes.get("loudness_lufs") for event in result.events if event.label == "clip"]
    return float(found[0]) if found and found[0] is not None else None


def _music(result: AnalyzerResult) -> list[Event]:
    return [event for event in result.events if event.label == "music"]


def _scores(clips: Mapping[str, _Tally], absent: Mapping[str, str], prefix: str) -> Scores:
    pooled = sum(clips.values(), _Tally())
    return collect(_outcome(pooled, prefix), {clip: _outcome(tally, prefix) for clip, tally in clips.items()}, absent)


def _outcome(tally: _Tally, prefix: str) -> Outcome:
    metrics: dict[str, float] = {}
    absent: dict[str, str] = {}
    if tally.loudness:
        metrics["loudness_score"] = sum(tally.loudness) / len(tally.loudness)
    else:
        absent["loudness_score"] = "silence, or its loudness is not known"
    shares = {
        "tempo_accuracy": (tally.right_s, tally.beat_s),
        "tempo_accuracy2": (tally.octave_s, tally.beat_s),
        "key_accuracy": (tally.key_s, tally.keyed_s),
    }
    for name, (part, whole) in shares.items():
        if whole:
            metrics[name] = min(1.0, part / whole)
        else:
            absent[name] = "no music whose beat or key is known"
    return {prefix + name: value for name, value in metrics.items()}, {
        prefix + name: why for name, why in absent.items()
    }
