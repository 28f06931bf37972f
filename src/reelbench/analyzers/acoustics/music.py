"""Music in a sound: where notes are held, how fast the beat is, which key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.acoustics.spectrum import Numbers, Sound, Spectrum, measured, runs

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
# Krumhansl & Kessler (1982): how well each step of the scale fits a key.
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_HELD_S, _AVERAGED_S = 0.5, 5.0
_STEADY_MOST, _SPOKEN_WEIGHT, _BRIDGED_S = 0.2, 0.03, 1.2
_SPOKEN_BEFORE_S, _SPOKEN_AFTER_S = 0.1, 0.15
_KEY_WINDOW_S, _KEY_LOW_HZ, _KEY_HIGH_HZ = 0.74, 100.0, 1760.0
_KEY_FRAMES, _HOPS_APART = 6, 2
_LOW_HZ, _HIGH_HZ = 80.0, 2500.0
_SLOWEST, _FASTEST, _USUAL = 50.0, 200.0, 115.0


_FRAMES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Tones:
    """What `where` looks at: ``power`` between 80 and 2500 Hz (frames × bins), the level of all of each frame, frames a second."""

    power: Numbers
    level_db: Numbers
    per_s: float

    @classmethod
    def of(cls, sound: Sound, rate: int, size: int, hop: int) -> Tones:
        power, level_db = measured(sound, rate, size, hop, low_power, level)
        return cls(power, level_db, rate / hop)


def low_power(block: Spectrum) -> Numbers:
    """Its power between 80 and 2500 Hz, with nothing of the rest held in memory."""
    return block.power[:, block.band(_LOW_HZ, _HIGH_HZ)].copy()


def level(block: Spectrum) -> Numbers:
    return block.level_db


def steadiness(tones: Tones) -> Numbers:
    """The share of each frame's power (80–2500 Hz) in partials that keep their frequency for half a second: the minimum over that time
    of every bin that stands out from its neighbours. Held notes do; a speaking voice glides, noise flickers."""
    frames = max(3, round(_HELD_S * tones.per_s))
    count, around = len(tones.power), 2 * frames  # what two filters of so many frames look at
    found = []
    for first in range(0, count, _FRAMES_AT_ONCE):
        last, begin = min(count, first + _FRAMES_AT_ONCE), max(0, first - around)
        found.append(_held_share(tones.power[begin : last + around], frames)[first - begin : last - begin])
    return np.concatenate(found)


def _held_share(power: Numbers, frames: int) -> Numbers:
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    peaks = power >= maximum_filter1d(power, 5, axis=1)
    widened = maximum_filter1d(np.where(peaks, power, 0), 3, axis=1)
    held = minimum_filter1d(widened, frames, axis=0)
    # A note has begun up to half a second ago, or goes on for so long.
    held = maximum_filter1d(held, frames, axis=0)
    share: Numbers = np.minimum(held, power).sum(axis=1) / np.maximum(power.sum(axis=1), 1e-14)
    return share


def where(
    tones: Tones, least: float, quiet_db: float = -60.0, speech: Sequence[tuple[float, float]] = ()
) -> NDArray[np.bool_]:
    """The frames around which notes are held: a steadiness of at least ``least`` on average over five seconds, since drums and a voice
    hide the notes most of the time, but not all. No frame counts for more than 0.2, so that one bell is no music; those in which
    somebody speaks (``speech``, seconds) count for little, so that the pauses tell what goes on behind the voice."""
    from scipy.ndimage import uniform_filter1d

    frames = max(3, round(_AVERAGED_S * tones.per_s))
    loud = (tones.level_db > quiet_db).astype(np.float32)
    heard: NDArray[np.bool_] = uniform_filter1d(loud, frames, mode="nearest") > 0.5
    weights = np.where(spoken(len(loud), tones.per_s, speech), _SPOKEN_WEIGHT, 1.0)
    weighed = uniform_filter1d(np.minimum(steadiness(tones), _STEADY_MOST) * weights, frames, mode="nearest")
    flags: NDArray[np.bool_] = (weighed >= least * uniform_filter1d(weights, frames, mode="nearest")) & heard
    for first, last in runs(~flags):
        # Of the clip's ends half a window is seen only; between two stretches it has hardly stopped.
        if last - first < len(flags) and (last - first) / tones.per_s <= _BRIDGED_S and heard[first:last].all():
            flags[first:last] = True
    return flags


def spoken(frames: int, per_s: float, speech: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """The frames in which somebody speaks, and some at both ends: what hears speech is not exact."""
    flags = np.zeros(frames, bool)
    for start, end in speech:
        flags[max(0, int((start - _SPOKEN_BEFORE_S) * per_s)) : int((end + _SPOKEN_AFTER_S) * per_s)] = True
    return flags


def tempo(onsets: Numbers, per_s: float) -> tuple[float, float]:
    """(beats a minute, strength 0…1): the lag at which onset strength repeats itself best, its multiples counted in, with a
    preference for usual tempi (log-normal around 115, as Ellis 2007 has it). (0, 0) where nothing repeats or the sound is too
    short."""
    centred = onsets - onsets.mean()
    variance = float(centred @ centred)
    if variance <= 0 or len(onsets) < 2 * 60 / _SLOWEST * per_s:
        return 0.0, 0.0
    size = 1 << (2 * len(centred) - 1).bit_length()
    transformed = np.fft.rfft(centred, size)
    repeated = np.fft.irfft(np.abs(transformed) ** 2, size)[: len(centred)] / variance
    bpm = np.geomspace(_SLOWEST, _FASTEST, 600)
    lags = 60 * per_s / bpm
    at = np.arange(len(repeated))
    # What is left of a lag's multiples in a short sound is weighed by how much of the sound they still compare.
    scores = np.zeros(len(bpm))
    weights = np.zeros(len(bpm))
    for multiple in (1, 2, 4):
        inside = multiple * lags < 0.8 * len(repeated)
        values = np.interp(multiple * lags, at, repeated / np.maximum(1 - at / len(repeated), 0.2))
        scores += np.where(inside, values, 0)
        weights += inside
    scores = scores / np.maximum(weights, 1)
    preferred = scores * np.exp(-0.5 * (np.log2(bpm / _USUAL) / 0.9) ** 2)
    best = int(np.argmax(preferred))
    return float(bpm[best]), float(np.clip(scores[best], 0, 1))


def key(sound: Sound, rate: int, speech: Sequence[tuple[float, float]] = ()) -> tuple[str, float]:
    """('A minor', correlation 0…1) of the profile that the pitch classes fit best (Krumhansl & Schmuckler 1990). ('', 0) where there
    are no notes, or where the sound is shorter than a window of 0.74 s. ``speech``: seconds of ``sound`` in which somebody speaks; they
    are left out where enough remains."""
    chroma = pitch_classes(sound, rate, speech)
    if chroma.std() == 0:
        return "", 0.0
    fits = {
        f"{NOTES[shift]} {mode}": float(np.corrcoef(np.roll(profile, shift), chroma)[0, 1])
        for mode, profile in (("major", _MAJOR), ("minor", _MINOR))
        for shift in range(12)
    }
    best = max(fits, key=lambda name: fits[name])
    return best, max(0.0, fits[best])


def pitch_classes(sound: Sound, rate: int, speech: Sequence[tuple[float, float]] = ()) -> NDArray[np.float64]:
    """How much of each of the twelve notes from C on is heard (100–1760 Hz): of the peaks of long windows, their frequency interpolated
    between bins and the common detuning taken out. Drums have no such peaks, a voice none that last; a fourth root keeps one loud
    note from being all. ``sound`` is mono; zeros where it is shorter than a window."""
    size = 1 << round(np.log2(_KEY_WINDOW_S * rate))
    hop = size // 4
    starts = np.arange(0, len(sound) - size + 1, hop)
    talked = spoken(len(starts), rate / hop, [(a - _KEY_WINDOW_S / 2, b - _KEY_WINDOW_S / 2) for a, b in speech])
    if (~talked).sum() >= _KEY_FRAMES:
        starts = starts[~talked]
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    step = rate / size
    first, last = int(_KEY_LOW_HZ / step), int(_KEY_HIGH_HZ / step) + 1
    if not len(starts):
        return np.zeros(12)
    rows = [np.abs(np.fft.rfft(sound[start : start + size] * window)[first:last]) for start in starts]
    power = np.asarray(rows, np.float64) ** 2 + 1e-12
    below, here, above = power[:, :-2], power[:, 1:-1], power[:, 2:]
    peak = (here > below) & (here >= above) & (here > 1e-4 * power.max(axis=1, keepdims=True))
    peak &= here > 30 * np.median(power, axis=1, keepdims=True)
    peak &= _held(peak)
    if not peak.any():
        return np.zeros(12)
    a, b, c = (np.log(part[peak]) for part in (below, here, above))
    offset = 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9)
    notes = 12 * np.log2((first + 1 + np.nonzero(peak)[1] + offset) * step / 261.6256)
    heard = here[peak] ** 0.25
    detuned = np.angle(np.sum(heard * np.exp(2j * np.pi * notes))) / (2 * np.pi)
    return np.bincount(np.rint(notes - detuned).astype(int) % 12, heard, minlength=12).astype(np.float64)


def _held(peak: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Peaks that were or will be there half a window away, at the same bin or the next: notes are held, voices glide."""
    from scipy.ndimage import maximum_filter1d

    if len(peak) <= _HOPS_APART:
        return np.ones_like(peak)
    wide = maximum_filter1d(peak, 3, axis=1)
    held = np.zeros_like(peak)
    held[_HOPS_APART:] |= wide[:-_HOPS_APART]
    held[:-_HOPS_APART] |= wide[_HOPS_APART:]
    return held
