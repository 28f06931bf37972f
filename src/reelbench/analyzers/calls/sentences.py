"""The sentences of a clip: what is said, cut at full stops and pauses, and what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reelbench.results import AnalyzerResult, Box, Event

_PAUSE_S = 0.6
_END = re.compile(r"[.!?…]$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """``source`` is 'speech' or 'overlay'."""

    text: str
    start_s: float
    end_s: float
    source: str
    box: Box | None = None


def sentences(upstream: Mapping[str, AnalyzerResult], speech: str, overlay: str) -> list[Sentence]:
    """From the results of the analyzers called ``speech`` (events 'word') and ``overlay`` (events with a text), in order of time."""
    said = upstream[speech].events if speech in upstream else ()
    shown = upstream[overlay].events if overlay in upstream else ()
    found = list(_said([event for event in said if event.label == "word" and event.text]))
    found += [
        Sentence(" ".join(event.text.split()), event.start_s, event.end_s, "overlay", event.box)
        for event in shown
        if event.text
    ]
    return sorted(found, key=lambda one: (one.start_s, one.source, one.text))


def _said(words: list[Event]) -> Iterator[Sentence]:
    sentence: list[Event] = []
    for word in sorted(words, key=lambda one: one.start_s):
        if sentence and (_END.search(sentence[-1].text or "") or word.start_s - sentence[-1].end_s > _PAUSE_S):
            yield _joined(sentence)
            sentence = []
        sentence.append(word)
    if sentence:
        yield _joined(sentence)


def _joined(words: list[Event]) -> Sentence:
    return Sentence(" ".join((word.text or "").strip() for word in words), words[0].start_s, words[-1].end_s, "speech")
