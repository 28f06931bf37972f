"""What is said and what is written on the picture, as cues: a text with an interval, ready for subtitles."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reelbench.results import Event

SPEECH, OVERLAYS = "speech_transcription", "text_overlay"
WORD, SEGMENT = "word", "segment"

# A line of words ends at a silence, when it is as long as two lines of subtitles, or as a cue should at most be shown (the usual
# rules of broadcasters: 2 lines of 42 characters, 7 seconds), and after a sentence.
_SILENCE_S = 0.8
_LONGEST_S = 7.0
_LONGEST_CHARACTERS = 84
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


@dataclass(frozen=True, slots=True)
class Cue:
    """``text`` has one line or several, none of them blank, and no control characters. ``end_ms`` lies after ``start_ms``."""

    start_ms: int
    end_ms: int
    text: str


def speech_cues(events: Sequence[Event]) -> list[Cue]:
    """The transcript: its segments, or its words in groups where it has no segments."""
    segments = [event for event in events if event.label == SEGMENT and event.text]
    if segments:
        return _cues((event.start_s, event.end_s, event.text or "") for event in segments)
    return _cues(
        (group[0].start_s, max(word.end_s for word in group), " ".join(word.text or "" for word in group))
        for group in word_groups(events)
    )


def overlay_cues(events: Sequence[Event]) -> list[Cue]:
    """The texts on the picture, their lines as they stand; what could not be read has no text, and no cue."""
    return _cues((event.start_s, event.end_s, event.text) for event in events if event.text)


def word_groups(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The words in the order in which they are said, cut into lines that can be read."""
    words = sorted((e for e in events if e.label == WORD and e.text), key=lambda e: (e.start_s, e.end_s))
    group: list[Event] = []
    for word in words:
        if group and _ends(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _ends(group: Sequence[Event], word: Event) -> bool:
    length = sum(len(one.text or "") + 1 for one in group) + len(word.text or "")
    return (
        word.start_s - group[-1].end_s > _SILENCE_S
        or word.end_s - group[0].start_s > _LONGEST_S
        or length > _LONGEST_CHARACTERS
        or (group[-1].text or "").rstrip().endswith(_SENTENCE_ENDS)
    )


def _cues(parts: Iterable[tuple[float, float, str]]) -> list[Cue]:
    found = []
    for start_s, end_s, text in parts:
        if shown := shown_lines(text):
            start = round(start_s * 1000)
            # Both formats want an end after the start; an instant is given the shortest time that they can say.
            found.append(Cue(start, max(start + 1, round(end_s * 1000)), shown))
    # The same text at the same time is one cue: some readers drop the second, others show it twice.
    return sorted(dict.fromkeys(found), key=lambda cue: (cue.start_ms, cue.end_ms))


def shown_lines(text: str) -> str:
    """What of ``text`` can be shown: no control characters, lone surrogates or byte order marks, no blank lines (one would end a cue).

    Direction marks and joiners stay: Arabic, Hebrew and emoji need them.
    """
    lines = ("".join(_visible(char) for char in line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _visible(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Cs":
        return "\ufffd"
    if char == "\t":
        return " "
    return "" if kind == "Cc" or char == "\ufeff" else char
