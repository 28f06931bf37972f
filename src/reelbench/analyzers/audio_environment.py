"""audio_environment: when a clip has speech, music, noise or silence; several may sound at once.

Speech is what speech_rate heard upstream. Music is where notes are held (`reelbench.analyzers.acoustics.music`). Noise is a floor
that is never left between words and notes: the quiet moments of every few seconds are still loud, and flat in their spectrum.
With ``weights`` all of it is what YAMNet hears instead (`reelbench.analyzers.acoustics.yamnet_environment`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.acoustics import music, yamnet_environment
from reelbench.analyzers.acoustics.listening import NETWORK, MayListen
from reelbench.analyzers.acoustics.spectrum import QUIET_DB, Numbers, Sound, Spectrum, measured, runs, smoothed
from reelbench.analyzers.acoustics.yamnet import Hearing, listen
from reelbench.analyzers.base import Material, Needs
from reelbench.engines.base import Evidence
from reelbench.engines.openvino_small import evidence_of
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "audio_environment"
RATE = 16000
_FLOOR_S, _VOTE_S, _LEAST_S = 3.0, 1.0, 0.5
_FLOOR_SHARE = 0.1
_RUMBLE_HZ, _HISS_HZ = 250.0, 3000.0
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Heard:
    """Of each frame: its level, how flat it is where noise is, and its power, in all and where rooms hum."""

    level_db: Numbers
    flatness: Numbers
    power: Numbers
    rumble: Numbers


class AudioEnvironment(MayListen):
    """``size`` and ``hop``: samples at 16 kHz. ``steady``: the share of held notes from which it is music. ``floor_db``: how loud
    the quiet moments of noise are at least; ``flat``: how flat (0…1) their spectrum. ``silence_db``: below it nothing sounds.
    ``speech``: the analyzer upstream whose events of that name are speech. ``weights``, ``architecture``, ``hearing``, ``sounds`` and
    ``threads`` are those of `acoustics.listening.MayListen`; where it listens, nothing is taken from upstream."""

    def __init__(
        self,
        size: PositiveInt = 2048,
        hop: PositiveInt = 512,
        steady: NonNegativeFloat = 0.08,
        floor_db: float = -62.0,
        flat: float = 0.05,
        silence_db: float = -60.0,
        speech: str = "speech_rate",
        weights: Mapping[str, str | None] | None = None,
        architecture: Mapping[str, str] | None = None,
        hearing: Annotated[Mapping[str, Any], FieldsOf(Hearing)] | None = None,
        sounds: str | None = None,
        threads: NonNegativeInt = 1,
    ) -> None:
        super().__init__(weights, architecture, hearing, sounds, threads)
        if (
            size < 512
            or not 0 < hop <= size
            or not 0 < steady < 1
            or not 0 < flat < 1
            or floor_db >= 0
            or silence_db >= 0
        ):
            raise ConfigError(
                "analyzer.size, hop, steady, flat, floor_db or silence_db makes no sense",
                "size of 512 or more, hop up to size, steady and flat between 0 and 1, levels below 0 dB",
            )
        self._size, self._hop, self._steady = size, hop, steady
        self._floor_db, self._flat, self._silence_db, self._speech = floor_db, flat, silence_db, speech

    @property
    def needs(self) -> Needs:
        return Needs(audio=AudioRequest(RATE), upstream=() if self.listens else (self._speech,))

    def analyze(self, material: Material) -> AnalyzerResult:
        """No sound, no events: not even silence is known of a clip without a track."""
        duration = material.info.duration_s
        events: list[Event] = []
        if material.audio is not None and len(material.audio) >= self._hop:
            with material.phases("infer"):
                events = self._events(material, material.audio)
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(events))

    def evidence(self) -> Evidence:
        if self.listens:
            return evidence_of(self.networks, every_s=self.hearing.every_s)
        return Evidence("numpy", "CPU", "fp32", np.__version__, details={"size": self._size, "hop": self._hop})

    def _events(self, material: Material, sound: Sound) -> list[Event]:
        duration = material.info.duration_s
        if self.sounds is not None:
            heard = listen(self.networks[NETWORK], sound, self.hearing)
            return yamnet_environment.events(heard, self.sounds, self.names, self.hearing, duration)
        said = [(e.start_s, e.end_s) for e in material.upstream[self._speech].events if e.label == "speech"]
        return self._measured(sound, said, duration)

    def _measured(self, sound: Sound, said: list[tuple[float, float]], duration: float) -> list[Event]:
        low, *rest = measured(
            sound, RATE, self._size, self._hop, music.low_power, music.level, _flatness, _power, _rumble
        )
        heard, per_s = Heard(*rest), RATE / self._hop
        level = heard.level_db
        speech = np.zeros(len(level), bool)
        for start, end in said:
            speech[round(start * per_s) : round(end * per_s)] = True
        tuneful = music.where(music.Tones(low, level, per_s), self._steady, self._silence_db, said)
        noise = self._noise(heard, tuneful, per_s)
        silence = smoothed(level < self._silence_db, round(_VOTE_S / 2 * per_s)) & ~speech & ~tuneful & ~noise
        found = {"speech": speech, "music": tuneful, "noise": noise, "silence": silence}
        events = []
        for label, flags in found.items():
            for first, last in runs(flags):
                start, end = first / per_s, min(last / per_s, duration)
                if end - start < (_LEAST_S if label != "speech" else 0.0) or end <= start:
                    continue
                attributes: dict[str, Any] = {"level_db": round(float(np.median(level[first:last])), 1)}
                if label == "noise":
                    attributes |= _place(heard, first, last)
                events.append(Event(start_s=start, end_s=end, label=label, score=1.0, attributes=attributes))
        return sorted(events, key=lambda one: (one.start_s, one.label))

    def _noise(self, heard: Heard, tuneful: Flags, per_s: float) -> Flags:
        """The floor of each moment is the level that a tenth of the frames around it stay below; it is noise where it is loud, and
        where the frames that make it are flat."""
        from scipy.ndimage import percentile_filter, uniform_filter1d

        level, frames = heard.level_db, max(3, round(_FLOOR_S * per_s))
        floor = percentile_filter(level, 100 * _FLOOR_SHARE, frames, mode="nearest")
        quiet = (level <= floor + 1.0).astype(np.float32)
        flatness = uniform_filter1d(quiet * heard.flatness, frames, mode="nearest")
        flatness /= np.maximum(uniform_filter1d(quiet, frames, mode="nearest"), 1e-6)
        loud = (floor > self._floor_db) & (floor > QUIET_DB)
        # Between held notes nothing is flat: a floor under music is told by its flatness, too, but more of it is asked for.
        wanted = np.where(tuneful, 3 * self._flat, self._flat)
        return smoothed(loud & (flatness > wanted), round(_VOTE_S * per_s))


def _flatness(block: Spectrum) -> Numbers:
    return block.flatness(_RUMBLE_HZ, _HISS_HZ)


def _power(block: Spectrum) -> Numbers:
    total: Numbers = block.power.sum(axis=1)
    return total


def _rumble(block: Spectrum) -> Numbers:
    return block.sum(30.0, _RUMBLE_HZ)


def _place(heard: Heard, first: int, last: int) -> dict[str, Any]:
    """A guess at where it was recorded, and what the guess rests on: rooms hum, streets rumble and swell."""
    level = heard.level_db[first:last]
    quiet = level <= np.percentile(level, 30)
    rumble, power = (float(part[first:last][quiet].mean()) for part in (heard.rumble, heard.power))
    low = rumble / max(power, 1e-14)
    swell = float(np.percentile(level, 60) - np.percentile(level, 10))
    return {
        "place": "outdoor" if low > 0.6 and swell > 1.5 else "indoor",
        "low_share": round(low, 3),
        "swell_db": round(swell, 2),
    }
