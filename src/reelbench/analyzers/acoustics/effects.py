"""Detectors of single sounds, one for each kind: each looks for what sets its kind apart from speech and music.

Thresholds were set on synthetic sounds; docs/analyzers/sound_effects.md says what that is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.acoustics.spectrum import Numbers, Sound, Spectrum, decibels, measured, runs

BANDS_HZ = ((1500.0, 3000.0), (3000.0, 5000.0), (5000.0, 9000.0))
"""Where clicks, claps and rushing air are all at once; a vowel, an s or a held note is loud in one or two of them."""
BELL_HZ = (900.0, 6000.0)
QUIET_DB = -62.0
_FALLING_DB_PER_S = (-110.0, -8.0)


@dataclass(frozen=True, slots=True)
class Found:
    """A sound; ``stands_out`` in dB."""

    label: str
    start_s: float
    end_s: float
    stands_out: float
    attributes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Highs:
    """The high bands of a sound: the power of each frame in each of `BANDS_HZ` (frames × bands), the level of all together in dB, and
    frames a second."""

    power: Numbers
    level: Numbers
    per_s: float

    @classmethod
    def of(cls, sound: Sound, rate: int, size: int, hop: int) -> Highs:
        power, level = measured(sound, rate, size, hop, _high_powers, _high_level)
        return cls(power, level, rate / hop)


def _high_powers(block: Spectrum) -> Numbers:
    return np.stack([block.sum(low, high) for low, high in BANDS_HZ], axis=1)


def _high_level(block: Spectrum) -> Numbers:
    return decibels(block.sum(BANDS_HZ[0][0], BANDS_HZ[-1][1]))


@dataclass(frozen=True, slots=True)
class Partials:
    """What may ring: the level of every bin between 900 and 6000 Hz (frames × bins, dB), that of all together, frames a second, and how
    long a frame is."""

    bins: Numbers
    level: Numbers
    per_s: float
    window_s: float

    @classmethod
    def of(cls, sound: Sound, rate: int, size: int, hop: int) -> Partials:
        bins, level = measured(sound, rate, size, hop, _ringing, _ringing_level)
        return cls(bins, level, rate / hop, size / rate)


def _ringing(block: Spectrum) -> Numbers:
    return decibels(block.power[:, block.band(*BELL_HZ)])


def _ringing_level(block: Spectrum) -> Numbers:
    return decibels(block.power[:, block.band(*BELL_HZ)].sum(axis=1))


@dataclass(frozen=True, slots=True)
class Tall:
    """What is shorter than one time and longer than another: the difference of two morphological openings of a level. A step
    in the level, and whatever lasts, is not in it."""

    over: Numbers
    level: Numbers

    @classmethod
    def of(cls, highs: Highs, averaged_s: float, least_s: float, most_s: float) -> Tall:
        """``over`` and ``level`` are frames × bands, dB."""
        from scipy.ndimage import uniform_filter1d

        power = uniform_filter1d(highs.power, _frames(averaged_s, highs.per_s), axis=0, mode="nearest")
        level = np.maximum(decibels(power), -85.0)
        short, long = (_opened(level, _frames(seconds, highs.per_s)) for seconds in (least_s, most_s))
        return cls(short - long, level)


def clicks(finest: Highs, least_db: float = 15.0, alone_db: float = 5.0) -> Iterator[Found]:
    """A peak of the high bands that is over in ten milliseconds: by ``least_db`` louder than what lies 8–50 ms before and 12–50 ms
    after it, and by ``alone_db`` louder than anything else within half a second, since drums and the stops of a voice are
    nearly as short, but do not come alone."""
    from scipy.ndimage import maximum_filter1d

    level, per_s = finest.level, finest.per_s
    before, after = _highest(level, per_s, -0.050, -0.008), _highest(level, per_s, 0.012, 0.050)
    around = np.maximum(_highest(level, per_s, -0.5, -0.03), _highest(level, per_s, 0.03, 0.5))
    near = maximum_filter1d(level, 2 * _frames(0.012, per_s) + 1)
    stands_out = level - np.maximum(before, after)
    short = (level >= near) & (level > QUIET_DB) & (stands_out >= least_db) & (level - around >= alone_db)
    for first, _ in runs(short):
        at = first / per_s
        yield Found("click", max(0.0, at - 0.002), at + 0.01, float(stands_out[first]))


def whooshes(fine: Highs, spoken: NDArray[np.bool_], least_db: float = 8.0, smooth_db: float = 2.0) -> Iterator[Found]:
    """Noise in the high bands that swells and fades smoothly in 0.2 to 2.5 seconds. Speech has sounds like it: while somebody speaks
    (``spoken``, by frame) a whoosh must stand out from all bands alike, and by 9 dB more."""
    tall = Tall.of(fine, 0.04, 0.25, 2.5)
    level = fine.level
    while_quiet = tall.over.mean(axis=1), ~spoken, least_db
    while_spoken = tall.over.min(axis=1), spoken, least_db + 9.0
    for over, here, least in (while_quiet, while_spoken):
        for first, last in runs((over > least / 2) & here):
            best = float(over[first:last].max())
            # The slopes at its ends say nothing of how smooth it is, nor does what is fainter beside it belong to it.
            core = first + np.flatnonzero(over[first:last] > best - 12.0)
            rough = float(np.diff(level[core[0] : core[-1] + 1]).std()) if len(core) > 2 else np.inf
            if best >= least and rough <= smooth_db and len(core) / fine.per_s >= 0.2:
                start = _foot(tall.level.mean(axis=1), int(core[0]), _frames(0.25, fine.per_s)) / fine.per_s
                yield Found("whoosh", start, (core[-1] + 1) / fine.per_s, best, {"rough_db": round(rough, 2)})


def applause(fine: Highs, spoken: NDArray[np.bool_], least_db: float = 6.0, rough_db: float = 2.5) -> Iterator[Found]:
    """The high bands stay up for 0.9 seconds and more, and yet are made of strokes: from frame to frame they change by more than
    noise does (``rough_db``, standard deviation). Where half of it is spoken it is speech."""
    from scipy.ndimage import uniform_filter1d

    tall = Tall.of(fine, 0.1, 0.5, 12.0)
    over = tall.over.min(axis=1)
    change = np.diff(fine.level, prepend=0.0) ** 2
    change[0] = 0
    rough = np.sqrt(uniform_filter1d(np.minimum(change, 400.0), _frames(0.3, fine.per_s), mode="nearest"))
    for first, last in runs((over > least_db / 2) & (rough > rough_db)):
        best = float(over[first:last].max())
        free = float(spoken[first:last].mean()) < 0.5
        if (last - first) / fine.per_s >= 0.9 and best >= least_db and free:
            strokes = round(float(rough[first:last].mean()), 2)
            start = _foot(tall.level.mean(axis=1), first, _frames(0.25, fine.per_s)) / fine.per_s
            yield Found("applause", start, last / fine.per_s, best, {"rough_db": strokes})


def bells(
    coarse: Partials, least_db: float = 15.0, least_partials: int = 2, least_s: float = 0.5, off_db: float = 2.0
) -> Iterator[Found]:
    """Partials between 900 and 6000 Hz that begin together and then fade evenly: in dB along a straight line (to ``off_db`` root mean
    square) for ``least_s`` and at their own frequency, as a struck body rings. A voice glides, a held note ends otherwise."""
    power, level = coarse.bins, coarse.level
    ahead, long = _frames(0.1, coarse.per_s), _frames(least_s, coarse.per_s)
    if len(power) < long + 2 * ahead + 1:
        return
    partials = np.zeros(len(power), int)
    rises = np.zeros(len(power))
    for i in range(ahead, len(power) - long):
        rise = power[i] - power[i - ahead]
        begun = np.flatnonzero((rise > least_db) & (power[i] > -75) & _peaks(power[i]))
        if len(begun) >= least_partials:
            ringing = begun[_rings(power[i : i + long, :], begun, coarse.per_s, off_db)]
            partials[i], rises[i] = _apart(ringing), rise[begun].max()
    for first, last in runs(_joined(partials >= least_partials, ahead)):
        best = first + int(np.argmax(partials[first:last]))
        end = best + long
        # It rings for as long as all of it goes on fading, by half a decibel in each tenth of a second.
        while end < len(level) and level[end] < level[end - ahead] - 0.5 and level[end] > level[best] - 60:
            end += 1
        struck = max(0.0, first / coarse.per_s - coarse.window_s / 4)
        yield Found("bell", struck, end / coarse.per_s, float(rises[best]), {"partials": float(partials[best])})


def spoken_frames(highs: Highs, speech: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Which frames lie in one of the intervals."""
    flags = np.zeros(len(highs.level), bool)
    for start, end in speech:
        flags[round(start * highs.per_s) : round(end * highs.per_s)] = True
    return flags


def _rings(rows: Numbers, bins: NDArray[np.int64], per_s: float, off_db: float) -> NDArray[np.bool_]:
    """Which of the bins fade along a line and are still peaks at the middle and the end."""
    later = rows[:, bins]
    t = np.arange(len(rows)) / per_s
    centred = t - t.mean()
    slope = centred @ later / float(centred @ centred)
    off = np.sqrt(np.mean((later - later.mean(axis=0) - centred[:, None] * slope) ** 2, axis=0))
    low, high = _FALLING_DB_PER_S
    steady = np.array([_peaks(rows[k])[bins] for k in (len(rows) // 2, len(rows) - 1)]).all(axis=0)
    rings: NDArray[np.bool_] = (slope > low) & (slope < high) & (off < off_db) & steady
    return rings


def _peaks(row: Numbers) -> NDArray[np.bool_]:
    """Bins that are louder by 6 dB than those three away, and as loud as their neighbours."""
    padded = np.pad(row, 3, constant_values=-200.0)
    size = len(row)
    beside = np.maximum(padded[2 : 2 + size], padded[4 : 4 + size])
    away = np.maximum(padded[:size], padded[6 : 6 + size])
    found: NDArray[np.bool_] = (row >= beside - 1.0) & (row > away + 6.0)
    return found


def _apart(bins: NDArray[np.int64]) -> int:
    """How many partials the bins are: neighbours are one."""
    return int(1 + (np.diff(bins) > 3).sum()) if len(bins) else 0


def _joined(flags: NDArray[np.bool_], frames: int) -> NDArray[np.bool_]:
    """Gaps of up to so many frames are closed."""
    from scipy.ndimage import binary_closing

    closed: NDArray[np.bool_] = binary_closing(np.pad(flags, frames), np.ones(frames + 1, bool))[frames:-frames]
    return closed


def _opened(level: Numbers, frames: int) -> Numbers:
    """The morphological opening along time: what is shorter than ``frames`` is levelled."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    frames += 1 - frames % 2  # of an even number the two filters would shift the level
    lowest = minimum_filter1d(level, frames, axis=0, mode="nearest")
    opened: Numbers = maximum_filter1d(lowest, frames, axis=0, mode="nearest")
    return opened


def _foot(level: Numbers, first: int, most: int) -> int:
    """Back from ``first`` while the level falls, at most so many frames: where it began to rise."""
    at = first
    while at > max(0, first - most) and level[at - 1] < level[at]:
        at -= 1
    return at


def _highest(level: Numbers, per_s: float, from_s: float, to_s: float) -> Numbers:
    """The highest level between two offsets from each frame."""
    from scipy.ndimage import maximum_filter1d

    first, last = round(from_s * per_s), round(to_s * per_s)
    spread = maximum_filter1d(level, last - first + 1, mode="nearest")
    centre = np.clip(np.arange(len(level)) + (first + last) // 2, 0, len(level) - 1)
    highest: Numbers = spread[centre]
    return highest


def _frames(seconds: float, per_s: float) -> int:
    return max(1, round(seconds * per_s))
