"""From frames to what is reported: intervals of speech, and figures for each window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.speech.parts import FRAMES_PER_S, Flags, Frames
from reelbench.results import Event

SPEECH, WINDOW = "speech", "speech_rate"
"""The labels of the events."""
WORD = "word"
"""The label of a word in a transcript."""
Interval = tuple[int, int]
"""First frame, and the one after the last."""
_LEAST_VOICED = 0.3
"""About half of speech is voiced; white noise is to pYIN in a sixth of its frames."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A whole clip: its speech as intervals, its pitch in Hz for each frame (0: not voiced), the frames of its syllables, and start and
    end of its words in seconds (None: there is no transcript)."""

    speech: list[Interval]
    hz: Frames
    nuclei: NDArray[np.int64]
    words: list[tuple[float, float]] | None = None


def runs(flags: Flags) -> list[Interval]:
    """The intervals in which ``flags`` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def intervals(spoken: Flags, hz: Frames, pause: int, least: int) -> list[Interval]:
    """Speech without gaps shorter than ``pause`` frames, in intervals of at least ``least`` frames. What has no voice around it
    (noise, breath, a click) is no speech, whatever the detector says."""
    joined: list[Interval] = []
    for first, last in runs(spoken & _voice_nearby(spoken, hz > 0)):
        if joined and first - joined[-1][1] < pause:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return [(first, last) for first, last in joined if last - first >= least]


def _voice_nearby(spoken: Flags, voiced: Flags) -> Flags:
    """Whether enough of what is taken for speech within a second of each frame is voiced."""
    frames = np.arange(len(spoken))
    first, last = np.maximum(frames - FRAMES_PER_S, 0), np.minimum(frames + FRAMES_PER_S, len(spoken))
    both, all_spoken = (np.concatenate([[0], np.cumsum(flags)]) for flags in (spoken & voiced, spoken))
    enough: Flags = both[last] - both[first] >= _LEAST_VOICED * (all_spoken[last] - all_spoken[first])
    return enough


def flags_of(found: list[Interval], frames: int) -> Flags:
    flags = np.zeros(frames, bool)
    for first, last in found:
        flags[first:last] = True
    return flags


def windows(frames: int, length: int) -> list[Interval]:
    """Windows of ``length`` frames; a remainder shorter than half of one belongs to the last. A shorter clip is one window."""
    starts = list(range(0, frames, length)) or [0]
    if len(starts) > 1 and frames - starts[-1] < length / 2:
        starts.pop()
    return list(zip(starts, [*starts[1:], frames], strict=True))


def events(heard: Heard, window: int, min_pause_s: float) -> Iterator[Event]:
    """One event for each interval of speech (score 1: the detector says yes or no), then one for each window (score: which
    share of it is speech)."""
    frames = len(heard.hz)
    spoken = flags_of(heard.speech, frames)
    gaps = [(a[1], b[0]) for a, b in zip(heard.speech, heard.speech[1:], strict=False)]
    pauses = [(first, last) for first, last in gaps if last - first >= min_pause_s * FRAMES_PER_S]
    for first, last in heard.speech:
        yield Event(start_s=_seconds(first), end_s=_seconds(last), label=SPEECH, score=1.0)
    for first, last in windows(frames, window):
        share = round(float(np.mean(spoken[first:last])), 4)
        found = _figures(heard, spoken, pauses, first, last)
        yield Event(start_s=_seconds(first), end_s=_seconds(last), label=WINDOW, score=share, attributes=found)


def _figures(heard: Heard, spoken: Flags, pauses: list[Interval], first: int, last: int) -> dict[str, Any]:
    """The figures of one window; what has no value is left out and named, with its reason, under 'absent'."""
    speech = int(np.count_nonzero(spoken[first:last]))
    hz = heard.hz[first:last][spoken[first:last]]
    voiced = hz[hz > 0]
    syllables = int(np.count_nonzero((heard.nuclei >= first) & (heard.nuclei < last)))
    silent = [max(0, min(last, end) - max(first, start)) for start, end in pauses]
    found: dict[str, Any] = {
        "syllables": syllables,
        "syllables_per_s": round(syllables / _seconds(last - first), 3),
        "speech_s": _seconds(speech),
        "pauses": sum(1 for start, _ in pauses if first <= start < last),
        "pause_s": _seconds(sum(silent)),
    }
    absent: dict[str, str] = {}
    if heard.words is None:
        absent["words_per_min"] = "there is no transcript upstream"
    else:
        # A word belongs to the window that its middle lies in, so that each counts once.
        middles = [(start + end) / 2 * FRAMES_PER_S for start, end in heard.words]
        words = sum(first <= middle < last for middle in middles)
        found["words_per_min"] = round(60 * words / _seconds(last - first), 1)
    if speech:
        found["articulation_rate"] = round(syllables / _seconds(speech), 3)
        found["voiced_share"] = round(len(voiced) / speech, 3)
    else:
        absent |= dict.fromkeys(("articulation_rate", "voiced_share"), "no speech in this window")
    if len(voiced):
        low, middle, high = (float(value) for value in np.percentile(voiced, [10, 50, 90]))
        found["pitch_median_hz"] = round(middle, 1)
        found["pitch_range_hz"] = [round(low, 1), round(high, 1)]
        found["pitch_range_semitones"] = round(12 * float(np.log2(high / low)), 2)
    else:
        names = ("pitch_median_hz", "pitch_range_hz", "pitch_range_semitones")
        absent |= dict.fromkeys(names, "no voiced speech in this window")
    return found | {"absent": absent}


def _seconds(frames: int) -> float:
    return round(frames / FRAMES_PER_S, 2)
