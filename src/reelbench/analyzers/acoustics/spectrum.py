"""Short-time spectra of mono sound, and what is read off them frame by frame.

The spectra of three minutes are many times as large as their sound: `measured` holds those of a few seconds at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Numbers = NDArray[np.float32]
QUIET_DB = -100.0
_AT_ONCE = 1 << 19
"""Samples of overlapping windows that are transformed at a time: the arrays for it take some 10 MB."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """``power`` is frames × bins, scaled so that a frame's sum is its mean square; frame i is centred on ``i * hop / rate`` seconds."""

    power: Numbers
    rate: int
    size: int
    hop: int

    @classmethod
    def of(cls, sound: Sound, rate: int, size: int, hop: int) -> Spectrum:
        """Hann windows; the sound is padded with silence at both ends."""
        return cls(measured(sound, rate, size, hop, lambda block: block.power)[0], rate, size, hop)

    @property
    def per_s(self) -> float:
        return self.rate / self.hop

    @property
    def hertz(self) -> Numbers:
        return np.fft.rfftfreq(self.size, 1 / self.rate).astype(np.float32)

    @property
    def level_db(self) -> Numbers:
        """Of each frame, dB of full scale."""
        return decibels(self.power.sum(axis=1))

    def band(self, low_hz: float, high_hz: float) -> slice:
        """The bins from ``low_hz`` up to ``high_hz``."""
        step = self.rate / self.size
        return slice(int(np.ceil(low_hz / step)), int(np.floor(high_hz / step)) + 1)

    def centroid_hz(self) -> Numbers:
        """The mean frequency of each frame, weighted by power; 0 in silence."""
        total = self.power.sum(axis=1)
        centroid: Numbers = self.power @ self.hertz / np.maximum(total, 1e-20)
        centroid[total <= 0] = 0
        return centroid

    def rolloff_hz(self, share: float = 0.85) -> Numbers:
        """The frequency below which that share of each frame's power lies."""
        summed = np.cumsum(self.power, axis=1)
        below: Numbers = self.hertz[np.argmax(summed >= share * summed[:, -1:], axis=1)]
        return below

    def flatness(self, low_hz: float = 100.0, high_hz: float = 7000.0) -> Numbers:
        """Geometric over arithmetic mean of the power in a band: 1 for white noise, near 0 for a tone."""
        part = self.power[:, self.band(low_hz, min(high_hz, self.rate / 2))] + 1e-14
        flat: Numbers = np.exp(np.log(part).mean(axis=1)) / part.mean(axis=1)
        return flat

    def sum(self, low_hz: float, high_hz: float) -> Numbers:
        """The power of each frame in a band."""
        total: Numbers = self.power[:, self.band(low_hz, min(high_hz, self.rate / 2))].sum(axis=1)
        return total

    def bands_db(self, bands: int = 40, low_hz: float = 40.0, high_hz: float | None = None) -> Numbers:
        """The level of each frame in bands of equal steps of log frequency: frames × bands."""
        step = self.rate / self.size
        last = self.power.shape[1] if high_hz is None else max(2, round(high_hz / step))
        edges = np.geomspace(low_hz, last * step, bands + 1)[:-1] / step
        banded = np.add.reduceat(self.power[:, :last], np.unique(edges.astype(int).clip(1, last - 1)), axis=1)
        levels: Numbers = 10 * np.log10(banded + 1e-8)
        return levels


def blocks(sound: Sound, rate: int, size: int, hop: int) -> Iterator[Spectrum]:
    """The spectrum of ``sound``, a few frames after the other."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    scale = float((window**2).sum() * size)
    count, step = len(sound) // hop + 1, max(1, _AT_ONCE // size)
    for first in range(0, count, step):
        last = min(first + step, count)
        start, end = first * hop - size // 2, (last - 1) * hop - size // 2 + size
        part = np.pad(sound[max(0, start) : end], (max(0, -start), max(0, end - len(sound))))
        frames = np.lib.stride_tricks.sliding_window_view(part, size)[::hop]
        power = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
        power[:, 1:-1] *= 2
        yield Spectrum(power / scale, rate, size, hop)


def measured(
    sound: Sound, rate: int, size: int, hop: int, *measures: Callable[[Spectrum], NDArray[Any]]
) -> list[NDArray[Any]]:
    """Each of ``measures``, which give an array with a row for each frame, over all frames."""
    found: list[list[NDArray[Any]]] = [[] for _ in measures]
    for block in blocks(sound, rate, size, hop):
        for parts, measure in zip(found, measures, strict=True):
            parts.append(measure(block))
    return [np.concatenate(parts) for parts in found]


def flux(bands_db: Numbers) -> Numbers:
    """Onset strength: how much louder the bands are than a frame before; mean over the bands (`Spectrum.bands_db`)."""
    rise = np.diff(bands_db, axis=0, prepend=0)
    rise[0] = 0
    strength: Numbers = np.maximum(rise, 0).mean(axis=1).astype(np.float32)
    return strength


def decibels(power: Any) -> Numbers:
    """10·log10, not below `QUIET_DB`."""
    levels: Numbers = (10 * np.log10(np.maximum(np.asarray(power), 10 ** (QUIET_DB / 10)))).astype(np.float32)
    return levels


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The intervals [first, end) of frames in which ``flags`` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def smoothed(flags: NDArray[np.bool_], frames: int) -> NDArray[np.bool_]:
    """A majority vote over ``frames`` around each frame."""
    from scipy.ndimage import uniform_filter1d

    voted: NDArray[np.bool_] = uniform_filter1d(flags.astype(np.float32), max(1, frames), mode="nearest") > 0.5
    return voted
