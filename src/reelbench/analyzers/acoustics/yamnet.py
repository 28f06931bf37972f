"""Sound as YAMNet hears it: scores of the 521 classes of AudioSet for patches of 0.975 s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.acoustics.sounds import CLASSES
from reelbench.analyzers.acoustics.spectrum import Numbers, Sound, decibels, runs
from reelbench.engines.openvino_small import SmallNetwork

RATE = 16000
PATCH = 15600
PATCH_S = PATCH / RATE
_PIECE = 600
"""Samples whose level is taken at a time: a click must not drown in the silence of its patch."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """How it listens. ``every_s``: from one patch to the next; by default they overlap by half, 0.975 is the sparsest.
    ``silence_db``: a patch that is never louder is silent, and the network need not hear it (null: it hears all). A group of classes
    sounds where its score reaches ``begin``, and as long around as it is not below ``keep``. ``top``: how many classes are named."""

    every_s: float = PATCH_S / 2
    silence_db: float | None = -60.0
    begin: float = 0.3
    keep: float = 0.15
    top: int = 3

    def __post_init__(self) -> None:
        """Raises ValueError where a value makes no sense."""
        if not 0.05 <= self.every_s <= PATCH_S:
            raise ValueError(f"every_s is {self.every_s}, not 0.05…{PATCH_S}")
        if not 0 < self.keep <= self.begin < 1:
            raise ValueError(f"keep is {self.keep} and begin {self.begin}, not 0 < keep <= begin < 1")
        if self.top < 1 or (self.silence_db is not None and self.silence_db >= 0):
            raise ValueError(f"top is {self.top} and silence_db {self.silence_db}, not 1 or more and below 0")

    @property
    def hop(self) -> int:
        """Samples from one patch to the next."""
        return round(self.every_s * RATE)


@dataclass(frozen=True, slots=True)
class Heard:
    """``scores``: patches × classes, 0 where the network was not asked. ``level_db``: of the loudest moment of each patch. ``asked``:
    patches that the network heard. ``hop_s``: from one patch to the next."""

    scores: NDArray[np.float32]
    level_db: Numbers
    asked: NDArray[np.bool_]
    hop_s: float

    def window(self, patch: int) -> tuple[float, float]:
        """What a patch hears, in seconds."""
        return patch * self.hop_s, patch * self.hop_s + PATCH_S

    def span(self, first: int, last: int, duration_s: float) -> tuple[float, float]:
        """The seconds that patches [first, last) stand for: each for the middle of what it hears, the first and the last patch for
        the ends of the sound, too."""
        beside = (PATCH_S - self.hop_s) / 2
        start = self.window(first)[0] + beside if first else 0.0
        end = self.window(last - 1)[1] - beside if last < len(self.scores) else duration_s
        return min(start, duration_s), min(end, duration_s)


def listen(network: SmallNetwork, sound: Sound, how: Hearing) -> Heard:
    """Runs the network over mono sound at 16 kHz. The last patch is filled up with silence."""
    hop = how.hop
    count = 1 + max(0, -(-(len(sound) - PATCH) // hop))
    padded = np.pad(sound, (0, (count - 1) * hop + PATCH - len(sound))).astype(np.float32, copy=False)
    scores, power = np.zeros((count, CLASSES), np.float32), np.zeros(count)
    for patch in range(count):
        power[patch] = (padded[patch * hop :][:PATCH].reshape(-1, _PIECE) ** 2).mean(axis=1).max()
    level = decibels(power)
    asked = np.ones(count, bool) if how.silence_db is None else level >= how.silence_db
    for patch in map(int, np.flatnonzero(asked)):
        waveform = np.ascontiguousarray(padded[patch * hop :][:PATCH])
        (answer,) = network.raw(waveform).values()
        scores[patch] = answer.reshape(-1)
    return Heard(scores, level, asked, hop / RATE)


def lasting(scores: NDArray[np.float32], how: Hearing) -> list[tuple[int, int]]:
    """The patches [first, end) in which a score reaches ``how.begin`` once and never falls below ``how.keep``."""
    return [(first, last) for first, last in runs(scores >= how.keep) if scores[first:last].max() >= how.begin]
