"""The ``sound`` part of a script: what is spoken, played and heard when (docs/corpus.md is its tutorial).

Levels are decibels below full scale (dBFS): of the root mean square for what lasts, of the peak for events.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from reelbench.corpus.edit_script import CallKind
from reelbench.corpus.materials import Length, Strict, Time
from reelbench.corpus.speech import Manner

Level = Annotated[float, Field(ge=-90, le=0, allow_inf_nan=False)]
NoiseKind = Literal["white", "street", "room"]
EventKind = Literal["click", "whoosh", "bell", "applause"]
Prosody = Literal["calm", "excited"]
MANNERS: dict[Prosody, Manner] = {"calm": Manner(pitch=35, range=20), "excited": Manner(pitch=80, range=90)}
USUAL: dict[Prosody, dict[str, float]] = {
    "calm": {"words_per_minute": 135, "level": -25.0},
    "excited": {"words_per_minute": 205, "level": -18.0},
}
"""What a line of this prosody is spoken with where it does not say otherwise."""


class Pause(Strict):
    """Exactly ``seconds`` of silence after word number ``after``; words count from 1."""

    after: int = Field(ge=1)
    seconds: float = Field(ge=0.05, le=60)


class Line(Strict):
    """Something that is said. It starts at ``start``, or ``gap`` seconds after the line before it ended.

    ``prosody`` sets pitch and range of the voice, and the pace and level that the line does not give itself.
    """

    text: str = Field(min_length=1, max_length=4000)
    voice: str = Field(default="en-us", pattern=r"^[A-Za-z0-9-]+(\+[A-Za-z0-9]+)?$")
    words_per_minute: int = Field(default=160, ge=110, le=260)
    start: Time | None = None
    gap: Time = 0.6
    pauses: tuple[Pause, ...] = ()
    level: Level = -22.0
    call: CallKind | None = None
    prosody: Prosody | None = None

    @model_validator(mode="before")
    @classmethod
    def _spoken_as_usual(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("prosody") in USUAL:
            return {**USUAL[given["prosody"]], **given}
        return given

    @field_validator("text")
    @classmethod
    def _words(cls, text: str) -> str:
        for word in text.split():
            if not any(letter.isalpha() for letter in word) or any(letter.isdigit() for letter in word):
                raise ValueError(f"'{word}' is not a word; write numbers and signs as words")
        if not text.strip():
            raise ValueError("nothing is said")
        return text

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        places = [pause.after for pause in self.pauses]
        if any(a >= b for a, b in pairwise(places)):
            raise ValueError("pauses must ascend in the text")
        words = len(self.text.split())
        if places and places[-1] >= words:
            raise ValueError(f"a pause after word {places[-1]} does not lie between the {words} words")
        return self

    @property
    def manner(self) -> Manner | None:
        return MANNERS[self.prosody] if self.prosody else None

    @property
    def phrases(self) -> list[tuple[tuple[str, ...], float]]:
        """The words up to each pause, with the seconds that follow them; 0 after the last."""
        words = tuple(self.text.split())
        ends = [0, *(pause.after for pause in self.pauses), len(words)]
        seconds = [*(pause.seconds for pause in self.pauses), 0.0]
        return [(words[a:b], pause) for (a, b), pause in zip(pairwise(ends), seconds, strict=True)]


class _Bed(Strict):
    """From ``start`` up to ``end``, or to the end of the clip."""

    start: Time = 0.0
    end: Time | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} does not lie after start {self.start}")
        return self


class Noise(_Bed):
    kind: NoiseKind
    level: Level = -50.0


class Music(_Bed):
    """A beat of ``tempo_bpm`` with bass and chords; the first beat falls on ``start``. Without ``key`` it is some major key that the
    truth does not tell."""

    tempo_bpm: float = Field(ge=40, le=240)
    level: Level = -24.0
    key: str | None = Field(default=None, pattern=r"^[A-G]#? (major|minor)$")


class Event(Strict):
    """``seconds`` is how long it lasts; left out, what is usual for its kind. ``level`` is its peak."""

    kind: EventKind
    at: Time
    seconds: Length | None = None
    level: Level = -6.0

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if self.kind == "click" and self.seconds is not None:
            raise ValueError("a click takes no seconds")
        return self


class SoundScript(Strict):
    """All that is heard. An empty one is silence that the truth knows of."""

    speech: tuple[Line, ...] = ()
    noise: tuple[Noise, ...] = ()
    music: tuple[Music, ...] = ()
    events: tuple[Event, ...] = ()

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if self.speech and self.speech[0].start is None:
            raise ValueError("speech[0] wants a start: no line lies before it")
        return self

    def outside(self, seconds: float) -> str:
        """The first part that does not lie within a clip of ``seconds``, as ``key: message``; empty if all do.

        How long speech lasts is known only when it was spoken: sound.py sees to that.
        """
        for kind, beds in (("noise", self.noise), ("music", self.music)):
            for index, bed in enumerate(beds):
                if bed.start >= seconds:
                    return f"{kind}[{index}].start: {bed.start} lies beyond the clip's {seconds:g} s"
                if bed.end is not None and bed.end > seconds + 1e-9:
                    return f"{kind}[{index}].end: {bed.end} lies beyond the clip's {seconds:g} s"
        for index, event in enumerate(self.events):
            if event.at >= seconds:
                return f"events[{index}].at: {event.at} lies beyond the clip's {seconds:g} s"
        return ""
