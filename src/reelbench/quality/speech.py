"""The quality of speech_rate: against known words and intervals of speech, and as agreement between variants (docs/speech_rate.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus.clip import Truth, TruthWord
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult, Event

SPEECH, WINDOW = "speech", "speech_rate"
"""The labels of the events that are judged."""
AGAINST_TRUTH = ("rate_score", "syllables_mae", "vad_f1", "vad_precision", "vad_recall", "false_speech")
AGREEMENT = ("agreement_f1", "agreement_rate_score")
FRAME_S = 0.01

Interval = tuple[float, float]


@dataclass(slots=True)
class _Tally:
    """What was counted: frames that are speech for both sides, for one of them, for none, and the error of each window."""

    both: int = 0
    wrong: int = 0
    missed: int = 0
    neither: int = 0
    errors: list[float] = field(default_factory=list)

    def __iadd__(self, other: _Tally) -> _Tally:
        self.both += other.both
        self.wrong += other.wrong
        self.missed += other.missed
        self.neither += other.neither
        self.errors += other.errors
        return self


class SpeechQuality:
    """Syllables a second of each window, and which frames of 10 ms are speech.

    ``rate_score`` is 1 / (1 + mean absolute error of syllables/s): 1 is perfect, 0.5 an error of one syllable a second.
    """

    primary = "rate_score"
    primary_name = "syllable rate score"
    also: ClassVar[dict[str, str]] = {"vad_f1": "more"}
    guards: ClassVar[dict[str, str]] = {"false_speech": "less"}
    """Speech that is invented on clips without any has no F1 to lower."""

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds; ``overall`` pools all their windows and frames. Keys of ``absent``: a clip that was
        not scored at all, a metric (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        clips: dict[str, _Tally] = {}
        for name in sorted(truths):
            if truths[name].words is None and truths[name].speech is None:
                absent[name] = "its ground truth says nothing about speech"
            elif name not in results:
                absent[name] = "no result"
            else:
                clips[name] = _judge(results[name], truths[name])
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        return _collect(clips, absent, _against_truth)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """Score the clips that ``reference`` holds, taking its speech and its windows for right. ``absent`` as in `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        clips = {name: _side_by_side(results[name], reference[name]) for name in sorted(reference) if name in results}
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        return _collect(clips, absent, _agree)


def _judge(result: AnalyzerResult, truth: Truth) -> _Tally:
    tally = _Tally()
    if truth.speech is not None:
        tally = _frames([(span.start_s, span.end_s) for span in truth.speech], _spoken(result), result.duration_s)
    if truth.words is not None:
        judged: Sequence[tuple[Interval, float]] = [((e.start_s, e.end_s), _rate(e)) for e in _windows(result)]
        if not judged and truth.words and result.duration_s:
            judged = [((0.0, result.duration_s), 0.0)]  # no window at all says that nobody speaks
        tally.errors = [abs(rate - true_rate(truth.words, *window)) for window, rate in judged]
    return tally


def _side_by_side(result: AnalyzerResult, reference: AnalyzerResult) -> _Tally:
    tally = _frames(_spoken(reference), _spoken(result), max(result.duration_s, reference.duration_s))
    there = {(event.start_s, event.end_s): _rate(event) for event in _windows(result)}
    expected = {(event.start_s, event.end_s): _rate(event) for event in _windows(reference)}
    shared = [window for window in expected if window in there and (expected[window] or there[window])]
    tally.errors = [abs(there[window] - expected[window]) for window in shared]
    return tally


def true_rate(words: Iterable[TruthWord], start_s: float, end_s: float) -> float:
    """Syllables a second from ``start_s`` to ``end_s``; those of a word are spread evenly over it."""
    total = 0.0
    for word in words:
        length = word.end_s - word.start_s
        inside = min(end_s, word.end_s) - max(start_s, word.start_s)
        if length > 0 and inside > 0:
            total += word.syllables * inside / length
        elif length == 0 and start_s <= word.start_s < end_s:
            total += word.syllables
    return total / (end_s - start_s)


def _windows(result: AnalyzerResult) -> list[Event]:
    return [event for event in result.events if event.label == WINDOW and event.end_s > event.start_s]


def _rate(event: Event) -> float:
    return float(event.attributes["syllables_per_s"])


def _spoken(result: AnalyzerResult) -> list[Interval]:
    return [(event.start_s, event.end_s) for event in result.events if event.label == SPEECH]


def _frames(expected: Sequence[Interval], found: Sequence[Interval], duration_s: float) -> _Tally:
    """Frame by frame: a frame is speech where its middle lies in an interval."""
    latest = max((end for _, end in (*expected, *found)), default=0.0)
    count = ceil(max(duration_s, latest) / FRAME_S)
    right, said = _flags(expected, count), _flags(found, count)
    return _Tally(
        both=int(np.count_nonzero(right & said)),
        wrong=int(np.count_nonzero(~right & said)),
        missed=int(np.count_nonzero(right & ~said)),
        neither=int(np.count_nonzero(~right & ~said)),
    )


def _flags(spans: Sequence[Interval], count: int) -> NDArray[np.bool_]:
    flags = np.zeros(count, bool)
    for start, end in spans:
        # rounded, so that 0.29 / 0.01 = 28.999… does not move a boundary
        flags[ceil(round(start / FRAME_S - 0.5, 6)) : ceil(round(end / FRAME_S - 0.5, 6))] = True
    return flags


def _against_truth(tally: _Tally) -> Outcome:
    metrics, absent = _errors(tally, "rate_score", "syllables_mae", "there is no window whose words are known")
    spoken, silent = tally.both + tally.missed, tally.wrong + tally.neither
    if spoken:
        metrics |= {f"vad_{name}": value for name, value in rates(tally.both, tally.wrong, tally.missed).items()}
        if "vad_precision" not in metrics:
            absent["vad_precision"] = "no speech was found"
    else:
        reason = "its ground truth holds no speech"
        absent |= dict.fromkeys(("vad_f1", "vad_recall", "vad_precision"), reason)
    if silent:
        metrics["false_speech"] = tally.wrong / silent
    else:
        absent["false_speech"] = "its ground truth holds nothing but speech, or does not say where speech is"
    return metrics, absent


def _agree(tally: _Tally) -> Outcome:
    reason = "neither variant finds a syllable, so nothing was compared"
    metrics, absent = _errors(tally, "agreement_rate_score", "", reason)
    found = rates(tally.both, tally.wrong, tally.missed)
    if "f1" in found:
        metrics["agreement_f1"] = found["f1"]
    else:
        absent["agreement_f1"] = "neither variant finds any speech, so nothing was compared"
    return metrics, absent


def _errors(tally: _Tally, score: str, mae: str, reason: str) -> Outcome:
    if not tally.errors:
        return {}, {name: reason for name in (score, mae) if name}
    mean = float(np.mean(tally.errors))
    return {score: 1 / (1 + mean)} | ({mae: mean} if mae else {}), {}


def _collect(clips: Mapping[str, _Tally], absent: Mapping[str, str], score: Callable[[_Tally], Outcome]) -> Scores:
    pooled = _Tally()
    for tally in clips.values():
        pooled += tally
    return collect(score(pooled), {name: score(tally) for name, tally in clips.items()}, absent)
