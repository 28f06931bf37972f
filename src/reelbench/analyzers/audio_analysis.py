"""audio_analysis: how loud a clip is (LUFS), its music with tempo and key, and the shape of its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from reelbench.analyzers.acoustics import music
from reelbench.analyzers.acoustics.loudness import BLOCK_S, integrated_lufs
from reelbench.analyzers.acoustics.spectrum import Numbers, Sound, Spectrum, decibels, flux, measured, runs
from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.engines.base import Availability, Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest
from reelbench.results import AnalyzerResult, Event

NAME = "audio_analysis"
_ONSET_SIZE, _ONSET_HOP_S = 1024, 0.01
_ALIKE = 0.04
_LOW_HZ, _LOW_WEIGHT = 200.0, 1.0
_STRONG = 0.25
_LEAST_MUSIC_S = 2.0


class AudioAnalysis(Plain):
    """``rate``: Hz at which sound is asked for. ``window_s`` every ``hop_s``: the stretches whose tempo is taken; neighbours within
    4 % are one event. ``size``: samples of a spectrum for held notes. ``steady``: the share of held notes from which it is music.
    ``speech``: the analyzer upstream whose events 'speech' say where music is hidden; without it music under a voice is missed."""

    def __init__(
        self,
        rate: PositiveInt = 44100,
        window_s: PositiveFloat = 6.0,
        hop_s: PositiveFloat = 1.0,
        size: PositiveInt = 4096,
        steady: NonNegativeFloat = 0.08,
        speech: str = "speech_rate",
    ) -> None:
        if not 16000 <= rate <= 96000 or window_s < 3 or not 0 < hop_s <= window_s or size < 512 or not 0 < steady < 1:
            raise ConfigError(
                "analyzer.rate, window_s, hop_s, size or steady makes no sense",
                "rate 16000…96000, window_s of 3 or more, hop_s up to window_s, size of 512 or more, steady between 0 and 1",
            )
        self._rate, self._size, self._steady = rate, size, steady
        self._window_s, self._hop_s, self._speech = window_s, hop_s, speech

    @property
    def needs(self) -> Needs:
        return Needs(audio=AudioRequest(self._rate), upstream_if_any=(self._speech,))

    def available(self) -> Availability:
        from importlib.util import find_spec

        if find_spec("pyloudnorm") is None:
            return Availability(False, "pyloudnorm is not installed", "pip install pyloudnorm")
        return Availability(True)

    def load(self, store: WeightsSource) -> None:
        self._clip(np.zeros(self._rate, np.float32))

    def analyze(self, material: Material) -> AnalyzerResult:
        """One event 'music' for each stretch of one tempo, and one event 'clip' for the whole; no sound, no events."""
        duration, sound = material.info.duration_s, material.audio
        events: list[Event] = []
        if sound is not None and len(sound):
            heard = material.upstream[self._speech].events if self._speech in material.upstream else ()
            speech = [(event.start_s, event.end_s) for event in heard if event.label == "speech"]
            with material.phases("infer"):
                hop = self._size // 4
                low, *shape = measured(
                    sound, self._rate, self._size, hop, music.low_power, music.level,
                    Spectrum.centroid_hz, Spectrum.rolloff_hz, Spectrum.flatness,
                )  # fmt: skip
                tones = music.Tones(low, shape[0], self._rate / hop)
                events = [event for event in self._music(sound, tones, speech, duration) if event.end_s > event.start_s]
                whole = (
                    self._clip(sound) | _shape(*shape) | {"music_s": round(sum(e.end_s - e.start_s for e in events), 2)}
                )
                events.append(Event(start_s=0, end_s=duration, label="clip", score=1.0, attributes=whole))
        return AnalyzerResult(analyzer=NAME, clip=material.clip, duration_s=duration, events=tuple(events))

    def evidence(self) -> Evidence:
        from importlib.metadata import version

        details = {"rate": self._rate, "size": self._size}
        return Evidence("numpy + pyloudnorm", "CPU", "fp32", f"pyloudnorm {version('pyloudnorm')}", details=details)

    def _clip(self, sound: Sound) -> dict[str, Any]:
        """Integrated loudness (ITU-R BS.1770-4, the mono sound on both channels) and the highest sample."""
        peak = max(np.max(sound, initial=0.0), -np.min(sound, initial=0.0))
        found: dict[str, Any] = {"peak_dbfs": round(float(decibels(np.float32(peak) ** 2)), 2)}
        if len(sound) < BLOCK_S * self._rate:
            return found | {"absent": {"loudness_lufs": f"shorter than {BLOCK_S} s"}}
        loudness = integrated_lufs(sound, self._rate)
        if not np.isfinite(loudness) or loudness < -70:
            return found | {"absent": {"loudness_lufs": "silence"}}
        return found | {"loudness_lufs": round(loudness, 2)}

    def _music(
        self, sound: Sound, tones: music.Tones, speech: Sequence[tuple[float, float]], duration: float
    ) -> list[Event]:
        hop = round(_ONSET_HOP_S * self._rate)
        bands, low = measured(sound, self._rate, _ONSET_SIZE, hop, Spectrum.bands_db, _low_bands)
        # Kick and bass carry the beat: they tell it from its half, which hats fill.
        onsets, per_s = flux(bands) + _LOW_WEIGHT * flux(low), self._rate / hop
        events: list[Event] = []
        for first, last in runs(music.where(tones, self._steady, speech=speech)):
            start, end = first / tones.per_s, min(last / tones.per_s, duration)
            if end - start < _LEAST_MUSIC_S:
                continue
            within = sound[round(start * self._rate) : round(end * self._rate)]
            named, fit = music.key(within, self._rate, [(a - start, b - start) for a, b in speech])
            for part_start, part_end, bpm, strength in self._tempi(onsets, per_s, start, end):
                attributes: dict[str, Any] = {"key": named, "key_fit": round(fit, 3)} if named else {}
                if bpm:
                    attributes |= {"tempo_bpm": round(bpm, 1), "beat_strength": round(strength, 3)}
                events.append(
                    Event(
                        start_s=part_start,
                        end_s=part_end,
                        label="music",
                        score=max(0.1, strength),
                        attributes=attributes,
                    )
                )
        return events

    def _tempi(
        self, onsets: Numbers, per_s: float, start: float, end: float
    ) -> list[tuple[float, float, float, float]]:
        """(start, end, beats a minute, strength) of the parts of a stretch; a part begins half way between two windows that differ."""
        starts = np.arange(start, max(start, end - self._window_s) + 1e-6, self._hop_s)
        found = []
        for at in starts:
            part = onsets[round(at * per_s) : round(min(at + self._window_s, end) * per_s)]
            found.append((at, *music.tempo(part, per_s)))
        found = [one for one in found if one[2] >= _STRONG] or found  # a weak beat is what a voice left of it
        parts: list[tuple[float, float, float, float]] = []
        group = [found[0]]
        for one in [*found[1:], None]:
            bpm = float(np.median([each[1] for each in group]))
            if one is not None and abs(one[1] - bpm) <= _ALIKE * max(bpm, 1.0):
                group.append(one)
                continue
            if len(group) > 1 or not parts or one is None:  # a single window between two tempi hears both
                begins = parts[-1][1] if parts else start
                ends = end if one is None else (group[-1][0] + one[0]) / 2 + self._window_s / 2
                parts.append((begins, min(end, ends), bpm, float(np.mean([each[2] for each in group]))))
            if one is not None:
                group = [one]
        return parts


def _low_bands(block: Spectrum) -> Numbers:
    return block.bands_db(bands=6, high_hz=_LOW_HZ)


def _shape(level_db: Numbers, centroid_hz: Numbers, rolloff_hz: Numbers, flatness: Numbers) -> dict[str, float]:
    """Means over the frames that are not silent; left out where all are."""
    heard = level_db > -60
    if not heard.any():
        return {}
    return {
        "centroid_hz": round(float(centroid_hz[heard].mean()), 1),
        "rolloff_hz": round(float(rolloff_hz[heard].mean()), 1),
        "flatness": round(float(flatness[heard].mean()), 4),
        "silent_share": round(float(1 - heard.mean()), 4),
    }
