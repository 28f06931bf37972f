"""sound_effects: single sounds (click, whoosh, bell, applause) with their times.

Each kind has a detector of its own (`reelbench.analyzers.acoustics.effects`); with ``weights`` YAMNet hears them instead, and
more kinds (`reelbench.analyzers.acoustics.yamnet_effects`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.acoustics import yamnet, yamnet_effects
from reelbench.analyzers.acoustics.effects import (
    Found,
    Highs,
    Partials,
    applause,
    bells,
    clicks,
    spoken_frames,
    whooshes,
)
from reelbench.analyzers.acoustics.listening import NETWORK, MayListen
from reelbench.analyzers.acoustics.spectrum import Sound
from reelbench.analyzers.acoustics.yamnet import Hearing
from reelbench.analyzers.base import Material, Needs
from reelbench.engines.base import Evidence
from reelbench.engines.openvino_small import evidence_of
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "sound_effects"


class SoundEffects(MayListen):
    """``rate`` in Hz. ``finest_s``, ``fine_s`` and ``coarse_s``: how often a spectrum is taken for clicks, for noise and for what
    rings. ``click_db``, ``whoosh_db``, ``applause_db`` and ``bell_db``: by how much each kind must stand out. ``speech``: the analyzer
    upstream whose events 'speech' say when more is asked of noise. ``weights``, ``architecture``, ``hearing``, ``sounds`` and
    ``threads`` are those of `acoustics.listening.MayListen`; where it listens, none of the others matters."""

    def __init__(
        self,
        rate: PositiveInt = 44100,
        finest_s: NonNegativeFloat = 0.0015,
        fine_s: NonNegativeFloat = 0.004,
        coarse_s: NonNegativeFloat = 0.012,
        click_db: NonNegativeFloat = 15.0,
        whoosh_db: NonNegativeFloat = 8.0,
        applause_db: NonNegativeFloat = 6.0,
        bell_db: NonNegativeFloat = 15.0,
        speech: str = "speech_rate",
        weights: Mapping[str, str | None] | None = None,
        architecture: Mapping[str, str] | None = None,
        hearing: Annotated[Mapping[str, Any], FieldsOf(Hearing)] | None = None,
        sounds: str | None = None,
        threads: NonNegativeInt = 1,
    ) -> None:
        super().__init__(weights, architecture, hearing, sounds, threads)
        if not 16000 <= rate <= 96000 or not 0.0005 <= finest_s <= fine_s <= coarse_s <= 0.05:
            raise ConfigError(
                "analyzer.rate, finest_s, fine_s or coarse_s makes no sense",
                "rate 16000…96000, 0.0005 <= finest_s <= fine_s <= coarse_s <= 0.05",
            )
        if min(click_db, whoosh_db, applause_db, bell_db) <= 0:
            raise ConfigError("analyzer.click_db, whoosh_db, applause_db or bell_db is not above 0", "give decibels")
        self._rate, self._finest_s, self._fine_s, self._coarse_s = rate, finest_s, fine_s, coarse_s
        self._click_db, self._whoosh_db, self._applause_db, self._bell_db = click_db, whoosh_db, applause_db, bell_db
        self._speech = speech

    @property
    def needs(self) -> Needs:
        if self.listens:
            return Needs(audio=AudioRequest(yamnet.RATE))
        return Needs(audio=AudioRequest(self._rate), upstream=(self._speech,))

    def analyze(self, material: Material) -> AnalyzerResult:
        duration = material.info.duration_s
        events: list[Event] = []
        if self.sounds is not None and material.audio is not None and len(material.audio):
            with material.phases("infer"):
                heard = yamnet.listen(self.networks[NETWORK], material.audio, self.hearing)
                events = yamnet_effects.events(heard, material.audio, self.sounds, self.names, self.hearing, duration)
        elif material.audio is not None and len(material.audio) >= self._rate // 10:
            with material.phases("infer"):
                found = list(self._found(material.audio, self._spoken(material)))
            events = [_event(one, duration) for one in found if one.start_s < duration and not _inside(one, found)]
        events.sort(key=lambda event: (event.start_s, event.label))
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(events))

    def evidence(self) -> Evidence:
        if self.listens:
            return evidence_of(self.networks, every_s=self.hearing.every_s)
        import numpy as np

        return Evidence("numpy", "CPU", "fp32", np.__version__, details={"rate": self._rate})

    def _spoken(self, material: Material) -> list[tuple[float, float]]:
        heard = material.upstream[self._speech].events
        return [(event.start_s, event.end_s) for event in heard if event.label == "speech"]

    def _found(self, sound: Sound, spoken: Sequence[tuple[float, float]]) -> Iterable[Found]:
        # Windows of about 3, 12 and 46 ms: a power of two is quickest.
        finest, fine, coarse = (1 << round(seconds * self._rate).bit_length() - 1 for seconds in (0.003, 0.012, 0.047))
        yield from clicks(Highs.of(sound, self._rate, finest, round(self._finest_s * self._rate)), self._click_db)
        noise = Highs.of(sound, self._rate, fine, round(self._fine_s * self._rate))
        talked = spoken_frames(noise, spoken)
        yield from whooshes(noise, talked, self._whoosh_db)
        yield from applause(noise, talked, self._applause_db)
        yield from bells(Partials.of(sound, self._rate, coarse, round(self._coarse_s * self._rate)), self._bell_db)


def _inside(one: Found, found: Iterable[Found]) -> bool:
    """The stroke of a bell and the claps of applause are no clicks, the ring of a bell is no whoosh."""
    if one.label == "click":
        return any(
            (other.label == "bell" and abs(other.start_s - one.start_s) < 0.1)
            or (other.label == "applause" and other.start_s - 0.1 <= one.start_s <= other.end_s)
            for other in found
        )
    return one.label == "whoosh" and any(
        other.label == "bell" and one.start_s - 0.1 <= other.start_s < one.end_s for other in found
    )


def _event(found: Found, duration: float) -> Event:
    attributes = {"stands_out_db": round(found.stands_out, 1), **found.attributes}
    return Event(
        start_s=found.start_s,
        end_s=max(found.start_s, min(found.end_s, duration)),
        label=found.label,
        score=min(1.0, found.stands_out / 40),
        attributes=attributes,
    )
