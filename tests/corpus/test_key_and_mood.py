"""Music in a given key, and speech in a given mood."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from reelbench.corpus.sound import RATE, mix
from reelbench.corpus.sound_script import SoundScript

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="speech needs the extra 'speech' (espeakng-loader)"
)


def made(seconds: float = 8, seed: int = 3, **parts):
    return mix(SoundScript.model_validate(parts), seconds, seed, "test")


def between(track, start_s, end_s):
    return track.samples[round(start_s * RATE) : round(end_s * RATE)]


NOTES = ["A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#"]


def pitches(samples) -> np.ndarray:
    """The energy in each of the twelve pitch classes, A first, from 200 Hz (above the drum) to 1000."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    found = (hertz > 200) & (hertz < 1000)
    classes = np.rint(12 * np.log2(hertz[found] / 440)).astype(int) % 12
    return np.bincount(classes, power[found], 12)


@pytest.mark.parametrize(("key", "scale"), [("C major", (0, 2, 4, 5, 7, 9, 11)), ("F# minor", (0, 2, 3, 5, 7, 8, 10))])
def test_music_keeps_to_its_key(key, scale):
    track = made(16, music=[{"tempo_bpm": 120, "key": key}])
    assert track.music[0].key == key and made(1, music=[{"tempo_bpm": 120}]).music[0].key is None
    energy = pitches(track.samples)
    root = NOTES.index(key.split()[0])
    outside = [note for note in range(12) if (note - root) % 12 not in scale]
    assert max(energy[outside]) < 0.2 * max(energy) and energy[root] > np.median(energy)


def test_music_without_a_key_is_what_it_was():
    """The samples of a tune as they were before there was ``key``, by a sum that any change would move."""
    tune = made(4, 7, music=[{"tempo_bpm": 100}]).samples.astype(np.float64)
    assert float(np.abs(np.diff(tune)).sum()) == pytest.approx(446.4794777861032, rel=1e-6)


@needs_espeak
def test_calm_and_excited_speech_differ_as_they_should():
    text = "everybody in this town knows where the old road ends"
    lines = [
        {"text": text, "start": 0.2, "prosody": "calm"},
        {"text": text, "gap": 0.5, "prosody": "excited", "call": "like"},
    ]
    track = made(12, speech=lines)
    calm, excited = track.said
    assert (calm.end_s - calm.start_s) > 1.3 * (excited.end_s - excited.start_s)
    assert (excited.line.level, excited.line.words_per_minute, excited.line.call) == (-18, 205, "like")

    def pitch(said) -> np.ndarray:
        """The strongest period of each loud 40 ms, as Hz."""
        found, width = [], round(0.04 * RATE)
        part = between(track, said.start_s, said.end_s).astype(np.float64)
        for at in range(0, len(part) - width, width):
            block = part[at : at + width] - part[at : at + width].mean()
            alike = np.correlate(block, block, "full")[width - 1 :]
            lag = RATE // 400 + int(np.argmax(alike[RATE // 400 : RATE // 60]))
            if alike[0] > 1 and alike[lag] > 0.5 * alike[0]:
                found.append(RATE / lag)
        return np.array(found)

    low, high = pitch(calm), pitch(excited)
    assert np.median(high) > 1.2 * np.median(low) and np.ptp(np.log(high)) > np.ptp(np.log(low))
    plain = made(12, speech=[{"text": text, "start": 0.2}])
    assert plain.said[0].line.prosody is None and plain.said[0].start_s == 0.2


@needs_espeak
def test_a_manner_of_speaking_ends_with_its_line():
    lines = [{"text": "one two three", "start": 0}, {"text": "one two three", "gap": 0.5}]
    before = made(8, speech=lines)
    after = made(8, speech=[{**lines[0], "prosody": "excited", "words_per_minute": 160, "level": -22}, lines[1]])
    assert after.words[3].end_s - after.words[3].start_s == pytest.approx(
        before.words[3].end_s - before.words[3].start_s, abs=0.005
    )
