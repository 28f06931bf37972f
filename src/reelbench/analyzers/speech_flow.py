"""speech_flow: pauses, fillers and rhythm of what is said, from speech and words upstream."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from reelbench.analyzers.base import Material, Needs, Plain
from reelbench.engines.base import Evidence
from reelbench.errors import ConfigError
from reelbench.results import AnalyzerResult, Event

NAME = "speech_flow"
FILLERS = ("ah", "eh", "em", "er", "erm", "hm", "hmm", "mm", "uh", "uhm", "um", "ähm", "äh", "öh")
_RUN_PAUSE_S = 1.0


class SpeechFlow(Plain):
    """``least_s``: a shorter gap between two stretches of speech is no pause. ``speech`` and ``words`` name the analyzers upstream.
    ``fillers``: words that say nothing; a transcript may leave them out (Whisper does), so their number is a lower bound."""

    def __init__(
        self,
        least_s: float = 0.2,
        speech: str = "speech_rate",
        words: str = "speech_transcription",
        fillers: Sequence[str] = FILLERS,
    ) -> None:
        if least_s <= 0:
            raise ConfigError(f"analyzer.least_s is {least_s}", "give a number of seconds above 0")
        self._least_s, self._speech, self._words, self._fillers = least_s, speech, words, frozenset(fillers)

    @property
    def needs(self) -> Needs:
        return Needs(upstream=(self._speech,), upstream_if_any=(self._words,))

    def analyze(self, material: Material) -> AnalyzerResult:
        """Events 'pause' and 'filler', and one 'clip' with the figures of the whole; nobody speaks, no events."""
        spoken = sorted(
            (event for event in material.upstream[self._speech].events if event.label == "speech"),
            key=lambda event: event.start_s,
        )
        events: list[Event] = []
        if spoken:
            with material.phases("infer"):
                events = self._events(spoken, self._said(material), material.info.duration_s)
        return AnalyzerResult(
            analyzer=NAME, clip=material.clip, duration_s=material.info.duration_s, events=tuple(events)
        )

    def evidence(self) -> Evidence:
        return Evidence("rules", "CPU", "none", "1", details={"upstream": [self._speech, self._words]})

    def _said(self, material: Material) -> list[Event] | None:
        if self._words not in material.upstream:
            return None
        return [event for event in material.upstream[self._words].events if event.label == "word" and event.text]

    def _events(self, spoken: Sequence[Event], words: list[Event] | None, duration: float) -> list[Event]:
        gaps = [(a.end_s, b.start_s) for a, b in pairwise(spoken) if b.start_s - a.end_s >= self._least_s - 1e-9]
        pauses = [
            Event(start_s=a, end_s=b, label="pause", score=1.0, attributes={"seconds": round(b - a, 3)})
            for a, b in gaps
        ]
        fillers = [
            Event(start_s=word.start_s, end_s=word.end_s, label="filler", score=word.score, text=word.text)
            for word in words or ()
            if (word.text or "").strip(" .,!?…").casefold() in self._fillers
        ]
        speech_s = sum(event.end_s - event.start_s for event in spoken)
        figures: dict[str, Any] = {
            "speech_s": round(speech_s, 3),
            "speech_share": round(speech_s / duration, 4) if duration else 0.0,
            "pauses": len(pauses),
            "pause_s": round(sum(b - a for a, b in gaps), 3),
            "longest_run_s": round(_longest_run(spoken), 3),
            "run_variability": round(_variability([e.end_s - e.start_s for e in spoken]), 2),
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


def _longest_run(spoken: Sequence[Event]) -> float:
    """The longest stretch without a pause of a second."""
    start, longest = spoken[0].start_s, 0.0
    for a, b in pairwise([*spoken, None]):
        assert a is not None
        longest = max(longest, a.end_s - start)
        if b is not None and b.start_s - a.end_s >= _RUN_PAUSE_S:
            start = b.start_s
    return longest


def _variability(lengths: Sequence[float]) -> float:
    """The normalised pairwise variability index (Grabe & Low 2002), 0 (even) … 200; 0 for fewer than two."""
    pairs = [abs(a - b) / ((a + b) / 2) for a, b in pairwise(lengths) if a + b > 0]
    return 100 * sum(pairs) / len(pairs) if pairs else 0.0
