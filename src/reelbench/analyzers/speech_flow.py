"""speech_flow: pauses, fillers and rhythm of what is said, from speech and words upstream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pydantic import NonNegativeFloat

from reelbench.analyzers.base import Material, Needs, Plain
from reelbench.analyzers.speech.dips import dips
from reelbench.engines.base import Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event

NAME = "speech_flow"
FILLERS = ("ah", "eh", "em", "er", "erm", "hm", "hmm", "mm", "uh", "uhm", "um", "ähm", "äh", "öh")
_RUN_PAUSE_S = 1.0
_RATE = 16000

Stretch = tuple[float, float]
"""Start and end in seconds."""


class SpeechFlow(Plain):
    """``least_s``: a shorter gap between two stretches of speech is no pause. ``dip_db``: a silence inside of a stretch is one, too,
    where the level falls so far below that of its loud parts; null takes the gaps alone and needs no sound. ``speech`` and
    ``words`` name the analyzers upstream. ``fillers``: words that say nothing; a transcript may leave them out (Whisper does), so
    their number is a lower bound."""

    def __init__(
        self,
        least_s: NonNegativeFloat = 0.2,
        dip_db: NonNegativeFloat | None = None,
        speech: str = "speech_rate",
        words: str = "speech_transcription",
        fillers: Sequence[str] = FILLERS,
    ) -> None:
        if least_s <= 0:
            raise ConfigError(f"analyzer.least_s is {least_s}", "give a number of seconds above 0")
        if dip_db is not None and not dip_db > 0:
            raise ConfigError(f"analyzer.dip_db is {dip_db}", "give a number of decibels above 0, or null")
        self._dip_db = dip_db
        self._least_s, self._speech, self._words, self._fillers = least_s, speech, words, frozenset(fillers)

    @property
    def needs(self) -> Needs:
        audio = AudioRequest(_RATE) if self._dip_db is not None else None
        return Needs(audio=audio, upstream=(self._speech,), upstream_if_any=(self._words,))

    def analyze(self, material: Material) -> AnalyzerResult:
        """Events 'pause' and 'filler', and one 'clip' with the figures of the whole; nobody speaks, no events."""
        spoken = sorted(
            (event for event in material.upstream[self._speech].events if event.label == "speech"),
            key=lambda event: event.start_s,
        )
        events: list[Event] = []
        if spoken:
            with material.phases("infer"):
                stretches = self._stretches(spoken, material)
                events = self._events(stretches, self._said(material), material.info.duration_s)
        return AnalyzerResult(
            analyzer=NAME, clip=material.clip, duration_s=material.info.duration_s, events=tuple(events)
        )

    def evidence(self) -> Evidence:
        return Evidence("rules", "CPU", "none", "1", details={"upstream": [self._speech, self._words]})

    def _stretches(self, spoken: Sequence[Event], material: Material) -> list[Stretch]:
        """What is spoken without a pause, in order."""
        whole = [(event.start_s, event.end_s) for event in spoken]
        if self._dip_db is None or material.audio is None:
            return whole
        parts: list[Stretch] = []
        for start, end in whole:
            silent = dips(material.audio, _RATE, start, end, self._dip_db, self._least_s)
            edges = [start, *(at for gap in silent for at in gap), end]
            parts += zip(edges[::2], edges[1::2], strict=True)
        return parts

    def _said(self, material: Material) -> list[Event] | None:
        if self._words not in material.upstream:
            return None
        return [event for event in material.upstream[self._words].events if event.label == "word" and event.text]

    def _events(self, spoken: Sequence[Stretch], words: list[Event] | None, duration: float) -> list[Event]:
        gaps = [(a[1], b[0]) for a, b in pairwise(spoken) if b[0] - a[1] >= self._least_s - 1e-9]
        pauses = [
            Event(start_s=a, end_s=b, label="pause", score=1.0, attributes={"seconds": round(b - a, 3)})
            for a, b in gaps
        ]
        fillers = [
            Event(start_s=word.start_s, end_s=word.end_s, label="filler", score=word.score, text=word.text)
            for word in words or ()
            if (word.text or "").strip(" .,!?…").casefold() in self._fillers
        ]
        speech_s = sum(end - start for start, end in spoken)
        figures: dict[str, Any] = {
            "speech_s": round(speech_s, 3),
            "speech_share": round(speech_s / duration, 4) if duration else 0.0,
            "pauses": len(pauses),
            "pause_s": round(sum(b - a for a, b in gaps), 3),
            "longest_run_s": round(_longest_run(spoken), 3),
            "run_variability": round(_variability([end - start for start, end in spoken]), 2),
        }
        if words is None:
            absent = dict.fromkeys(("words_per_min", "fillers", "word_variability"), "there is no transcript upstream")
            figures["absent"] = absent
        else:
            starts = [word.start_s for word in words]
            figures["words_per_min"] = round(60 * len(words) / speech_s, 1) if speech_s else 0.0
            figures["fillers"] = len(fillers)
            figures["word_variability"] = round(_variability([b - a for a, b in pairwise(starts)]), 2)
        whole = Event(start_s=0.0, end_s=duration, label="clip", score=1.0, attributes=figures)
        return [*sorted([*pauses, *fillers], key=lambda event: (event.start_s, event.label)), whole]


def _longest_run(spoken: Sequence[Stretch]) -> float:
    """The longest stretch without a pause of a second."""
    begun, longest = spoken[0][0], 0.0
    for before, after in pairwise([*spoken, (math.inf, math.inf)]):
        longest = max(longest, before[1] - begun)
        if after[0] - before[1] >= _RUN_PAUSE_S:
            begun = after[0]
    return longest


def _variability(lengths: Sequence[float]) -> float:
    """The normalised pairwise variability index (Grabe & Low 2002), 0 (even) … 200; 0 for fewer than two."""
    pairs = [abs(a - b) / ((a + b) / 2) for a, b in pairwise(lengths) if a + b > 0]
    return 100 * sum(pairs) / len(pairs) if pairs else 0.0
