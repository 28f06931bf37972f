"""What a picture's colours are called. The words follow plain thresholds on CIELAB: a heuristic, not a finding about viewers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reelbench.analyzers.colour.palette import Lab

_WARM, _COOL = 6.0, -6.0
_BRIGHT, _DARK = 65.0, 30.0
_VIVID, _MUTED = 35.0, 12.0
_STARK, _SOFT = 28.0, 12.0


@dataclass(frozen=True, slots=True)
class Look:
    """Means over pixels. ``contrast`` is the standard deviation of L*; ``chroma`` the mean distance from grey; ``warmth`` the mean of
    b* with a third of a*: positive towards yellow and red."""

    lightness: float
    contrast: float
    chroma: float
    warmth: float

    @classmethod
    def of(cls, lab: Lab) -> Look:
        mean = lab.mean(axis=0)
        chroma = np.hypot(lab[:, 1], lab[:, 2]).mean()
        return cls(float(mean[0]), float(lab[:, 0].std()), float(chroma), float(mean[2] + mean[1] / 3))

    @classmethod
    def mean(cls, looks: list[Look]) -> Look:
        return cls(*(float(np.mean([getattr(look, name) for look in looks])) for name in cls.__slots__))

    @property
    def temperature(self) -> str:
        return "warm" if self.warmth > _WARM else "cool" if self.warmth < _COOL else "neutral"

    @property
    def mood(self) -> list[str]:
        """Words from dark or bright, muted or vivid, soft or stark, warm or cool; what is in between has no word."""
        words = [
            "bright" if self.lightness > _BRIGHT else "dark" if self.lightness < _DARK else "",
            "vivid" if self.chroma > _VIVID else "muted" if self.chroma < _MUTED else "",
            "stark" if self.contrast > _STARK else "soft" if self.contrast < _SOFT else "",
            self.temperature if self.temperature != "neutral" else "",
        ]
        return [word for word in words if word]
