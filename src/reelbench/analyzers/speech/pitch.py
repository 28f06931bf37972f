"""Pitch: probabilistic YIN as librosa has it, and Praat's autocorrelation method."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import PositiveFloat

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.speech.parts import LIBROSA, PRAAT, RATE, Frames, Sound, count, nearest
from reelbench.errors import ConfigError


def _checked(floor_hz: float, ceiling_hz: float) -> None:
    if not 40 <= floor_hz < ceiling_hz <= 2000:
        raise ConfigError(f"analyzer.pitch: {floor_hz} to {ceiling_hz} Hz", "give floor_hz < ceiling_hz, in 40…2000")


class PYIN:
    """Mauch & Dixon, *pYIN: a fundamental frequency estimator using probabilistic threshold distributions*, ICASSP 2014, with
    librosa's defaults (frames of 2048 samples, every 512)."""

    packages = (LIBROSA,)
    precision = "fp32"
    weights: tuple[str, ...] = ()
    _STEP = 512

    def __init__(self, floor_hz: PositiveFloat = 75.0, ceiling_hz: PositiveFloat = 600.0) -> None:
        _checked(floor_hz, ceiling_hz)
        self._floor, self._ceiling = floor_hz, ceiling_hz
        self._librosa: Any = None

    def load(self, store: WeightsSource) -> None:
        self._librosa = LIBROSA.load()

    def hear(self, sound: Sound) -> Frames:
        hz, voiced, _ = self._librosa.pyin(
            sound, fmin=self._floor, fmax=self._ceiling, sr=RATE, hop_length=self._STEP, fill_na=0.0
        )
        return nearest(np.where(voiced, hz, 0.0), 0.0, self._STEP / RATE, count(sound), 0.0)


class Praat:
    """Boersma, *Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound*, IFA
    Proceedings 17, 1993, every ``step_s`` seconds. Praat spreads it over threads of its own."""

    packages = (PRAAT,)
    precision = "fp64"
    weights: tuple[str, ...] = ()

    def __init__(
        self, floor_hz: PositiveFloat = 75.0, ceiling_hz: PositiveFloat = 600.0, step_s: PositiveFloat = 0.02
    ) -> None:
        _checked(floor_hz, ceiling_hz)
        if not 0.001 <= step_s <= 0.1:
            raise ConfigError(f"analyzer.pitch.step_s is {step_s}", "give 0.001 to 0.1 seconds")
        self._floor, self._ceiling, self._step_s = floor_hz, ceiling_hz, step_s
        self._parselmouth: Any = None

    def load(self, store: WeightsSource) -> None:
        self._parselmouth = PRAAT.load()

    def hear(self, sound: Sound) -> Frames:
        if len(sound) <= 3.2 / self._floor * RATE:  # Praat refuses less than three periods of the lowest pitch
            return np.zeros(count(sound), np.float32)
        pitch = self._parselmouth.Sound(sound.astype(np.float64), RATE).to_pitch_ac(
            time_step=self._step_s, pitch_floor=self._floor, pitch_ceiling=self._ceiling
        )
        return nearest(pitch.selected_array["frequency"], pitch.x1, pitch.dx, count(sound), 0.0)
