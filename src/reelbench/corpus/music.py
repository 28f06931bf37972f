"""Music-like beds of known tempo: drums, bass and chords, made with NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
CHORDS = ((0, 4, 7), (-3, 0, 4), (5, 9, 12), (7, 11, 14))
"""I, vi, IV and V of a major key, in semitones over its first note."""
MINOR_CHORDS = ((0, 3, 7), (-4, 0, 3), (5, 8, 12), (7, 10, 14))
"""i, VI, iv and v of a natural minor key."""
NOTES = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
HIGHEST = 5
"""Semitones over A; a key that begins higher is played an octave lower."""
BEATS_A_CHORD = 4


def bed(tempo_bpm: float, count: int, rate: int, random: np.random.Generator, key: str | None = None) -> Samples:
    """``count`` samples, mono: a drum on each beat, a lighter one between two, a bass note on each beat, a chord for four.

    The first beat is the first sample. ``key`` is as 'C major' or 'F# minor'; without it ``random`` chooses a major one. Root mean
    square 1.
    """
    steps, chords = int(random.integers(-3, 5)), CHORDS
    if key is not None:
        name, mode = key.split()
        steps = NOTES.index(name)
        steps -= 12 if steps > HIGHEST else 0
        chords = CHORDS if mode == "major" else MINOR_CHORDS
    root = 220.0 * 2 ** (steps / 12)
    beat_s = 60 / tempo_bpm
    sound = np.zeros(count)
    hat = _hat(rate, random)
    kick = _kick(rate)
    for beat in range(int(np.ceil(count / rate / beat_s))):
        chord = chords[beat // BEATS_A_CHORD % len(chords)]
        _add(sound, kick, round(beat * beat_s * rate))
        _add(sound, hat, round((beat + 0.5) * beat_s * rate))
        _add(sound, _note(root / 2 * 2 ** (chord[0] / 12), 0.8 * beat_s, rate, 0.35), round(beat * beat_s * rate))
        if beat % BEATS_A_CHORD == 0:
            for semitones in chord:
                note = _note(root * 2 ** (semitones / 12), BEATS_A_CHORD * beat_s, rate, 0.08, attack_s=0.1)
                _add(sound, note, round(beat * beat_s * rate))
    return np.asarray(sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12), np.float32)


def _add(sound: NDArray[np.float64], what: NDArray[np.float64], at: int) -> None:
    part = sound[at : at + len(what)]
    part += what[: len(part)]


def _kick(rate: int) -> NDArray[np.float64]:
    t = np.arange(round(0.25 * rate)) / rate
    sound: NDArray[np.float64] = np.sin(2 * np.pi * (50 * t + 3.5 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.07)
    return sound


def _hat(rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    t = np.arange(round(0.05 * rate)) / rate
    sound: NDArray[np.float64] = 0.15 * np.diff(random.standard_normal(len(t)), prepend=0.0) * np.exp(-t / 0.012)
    return sound


def _note(hertz: float, seconds: float, rate: int, amplitude: float, attack_s: float = 0.01) -> NDArray[np.float64]:
    """A few harmonics that swell for ``attack_s`` and fade to nothing at the end."""
    t = np.arange(max(2, round(seconds * rate))) / rate
    shape = np.minimum(t / attack_s, 1) * (1 - t / t[-1])
    tone = sum(np.sin(2 * np.pi * hertz * k * t) / k**1.5 for k in (1, 2, 3, 4))
    return np.asarray(amplitude * shape * tone)
