"""What one part rejects, the next is spared: a cheap detector before a dear one, and both before the pitch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import NonNegativeFloat

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.speech.parts import FRAMES_PER_S, HOP, Flags, Frames, Package, Sound, Voice
from reelbench.errors import ConfigError


class Gate:
    """Lets through what ``detector`` takes for speech, with ``margin_s`` before and after it: beginnings and ends of words are
    quiet, and a network that hears speech wants to hear how it begins.

    The detector may be wrong in one direction only: it may take anything for speech, but must not miss speech.
    """

    def __init__(self, detector: Voice, margin_s: NonNegativeFloat = 0.3) -> None:
        if not 0 <= margin_s <= 5:
            raise ConfigError(f"analyzer.gate.margin_s is {margin_s}", "give 0 to 5 seconds")
        self._detector = detector
        self._margin = round(margin_s * FRAMES_PER_S)
        self.packages: tuple[Package, ...] = detector.packages
        self.precision = detector.precision
        self.weights: tuple[str, ...] = detector.weights

    @property
    def kind(self) -> str:
        """The class of the detector."""
        return type(self._detector).__name__

    def load(self, store: WeightsSource) -> None:
        self._detector.load(store)

    def passed(self, sound: Sound) -> Flags:
        """The frames of a stretch that are let through."""
        return spread(self._detector.decide(self._detector.hear(sound)), self._margin)


def heard_where(kept: Flags, sound: Sound, hear: Callable[[Sound], Frames], nothing: float) -> Frames:
    """What ``hear`` answers for the frames that are ``kept``, whose sound it hears spliced together; ``nothing`` for all others."""
    if kept.all():
        return hear(sound)
    heard = np.full(len(kept), nothing, np.float32)
    if kept.any():
        heard[kept] = hear(sound[: len(kept) * HOP].reshape(-1, HOP)[kept].reshape(-1))
    return heard


def spread(flags: Flags, margin: int) -> Flags:
    """Each flag, and ``margin`` frames on both sides of it."""
    counted = np.concatenate([[0], np.cumsum(flags)])
    frames = np.arange(len(flags))
    near: Flags = counted[np.minimum(frames + margin + 1, len(flags))] > counted[np.maximum(frames - margin, 0)]
    return near
