"""Which frames of a clip have speech, music or noise, label by label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus.clip import Truth
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult

LABELS = ("speech", "music", "noise", "silence")
FRAME_S = 0.1
Span = tuple[str, float, float]
_Counts = dict[str, tuple[int, int, int]]
"""Label -> frames that are right, wrong, missed."""


class SegmentQuality:
    """``macro_f1``: the mean over labels of F1 in frames of 0.1 s; a label that is neither there nor found does not count.
    ``f1_<label>`` are its parts. Silence is where the ground truth has nothing at all."""

    primary = "macro_f1"
    primary_name = "macro F1"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        absent: dict[str, str] = {}
        clips: dict[str, _Counts] = {}
        for clip, truth in truths.items():
            if truth.speech is None or truth.sounds is None or truth.music is None:
                absent[clip] = "its ground truth says nothing of sound"
            elif clip not in results:
                absent[clip] = "has no result"
            else:
                clips[clip] = _counted(
                    _expected(truth, results[clip].duration_s), _found(results[clip]), results[clip].duration_s
                )
        return _scores(clips, absent, "")

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        absent = {clip: "has no result" for clip in reference if clip not in results}
        clips = {
            clip: _counted(_found(other), _found(results[clip]), other.duration_s)
            for clip, other in reference.items()
            if clip in results
        }
        return _scores(clips, absent, "agreement_")


def _found(result: AnalyzerResult) -> list[Span]:
    return [(event.label, event.start_s, event.end_s) for event in result.events if event.label in LABELS]


def _expected(truth: Truth, duration: float) -> list[Span]:
    spans = [("speech", one.start_s, one.end_s) for one in truth.speech or ()]
    spans += [("music", one.start_s, one.end_s) for one in truth.music or ()]
    spans += [("noise", one.start_s, one.end_s) for one in truth.sounds or () if one.label == "noise"]
    heard = _flags(
        [*((a, b) for _, a, b in spans), *((one.start_s, one.end_s) for one in truth.sounds or ())], duration
    )
    quiet = np.flatnonzero(~heard)
    return spans + [("silence", i * FRAME_S, (i + 1) * FRAME_S) for i in quiet]


def _flags(spans: Iterable[tuple[float, float]], duration: float) -> NDArray[np.bool_]:
    """A frame belongs to an interval that covers its middle."""
    middles = (np.arange(int(duration / FRAME_S)) + 0.5) * FRAME_S
    flags = np.zeros(len(middles), bool)
    for start, end in spans:
        flags |= (middles >= start) & (middles < end)
    return flags


def _counted(expected: Sequence[Span], found: Sequence[Span], duration: float) -> _Counts:
    counts = {}
    for label in LABELS:
        wanted, got = (
            _flags(((a, b) for name, a, b in spans if name == label), duration) for spans in (expected, found)
        )
        counts[label] = (int((wanted & got).sum()), int((got & ~wanted).sum()), int((wanted & ~got).sum()))
    return counts


def _scores(clips: Mapping[str, _Counts], absent: Mapping[str, str], prefix: str) -> Scores:
    pooled = {label: tuple(sum(counts[label][i] for counts in clips.values()) for i in range(3)) for label in LABELS}
    return collect(_outcome(pooled, prefix), {clip: _outcome(counts, prefix) for clip, counts in clips.items()}, absent)


def _outcome(counts: Mapping[str, Sequence[int]], prefix: str) -> Outcome:
    found = {f"{prefix}f1_{label}": rates(*of_label)["f1"] for label, of_label in counts.items() if sum(of_label)}
    if not found:
        return {}, {f"{prefix}macro_f1": "nothing sounds, and nothing was found"}
    return found | {f"{prefix}macro_f1": sum(found.values()) / len(found)}, {}
