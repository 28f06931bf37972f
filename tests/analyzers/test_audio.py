"""audio_analysis, audio_environment and sound_effects on sounds whose content is known by construction."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.acoustics import spectrum as spectra
from reelbench.analyzers.acoustics.loudness import integrated_lufs
from reelbench.analyzers.acoustics.music import Tones, key, steadiness, tempo, where
from reelbench.analyzers.acoustics.spectrum import Spectrum, flux
from reelbench.analyzers.audio_analysis import AudioAnalysis
from reelbench.analyzers.audio_environment import AudioEnvironment
from reelbench.analyzers.base import Material
from reelbench.analyzers.sound_effects import SoundEffects
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases

RATE = 22050
Sound = NDArray[np.float32]


def heard(
    analyzer: Any, sound: Sound | None, rate: int, speech: tuple[tuple[float, float], ...] = ()
) -> AnalyzerResult:
    """The answer to a sound, with what speech_rate would have said of it."""
    seconds = len(sound) / rate if sound is not None else 3.0
    info = ClipInfo(Path("made.mp4"), 90, 160, seconds, 30.0, "h264", "yuv420p")
    events = tuple(Event(start_s=a, end_s=b, label="speech", score=1.0) for a, b in speech)
    upstream = {"speech_rate": AnalyzerResult(analyzer="speech_rate", clip="made", duration_s=seconds, events=events)}
    analyzer.load(None)
    result: AnalyzerResult = analyzer.analyze(Material("made", info, StrictPhases(), iter(()), sound, upstream))
    return result


def spans(result: AnalyzerResult, label: str) -> list[tuple[float, float]]:
    return [(event.start_s, event.end_s) for event in result.events if event.label == label]


def noise(seconds: float, rate: int = RATE, level_db: float = -60.0, seed: int = 0) -> Sound:
    random = np.random.default_rng(seed)
    return (10 ** (level_db / 20) * random.standard_normal(round(seconds * rate))).astype(np.float32)


def laid(track: Sound, sound: Sound, at_s: float, rate: int = RATE) -> Sound:
    mixed = track.copy()
    start = round(at_s * rate)
    mixed[start : start + len(sound)] += sound[: len(mixed) - start]
    return mixed


def click(rate: int = RATE) -> Sound:
    t = np.arange(round(0.01 * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 3000 * t) * np.exp(-t / 0.001)).astype(np.float32)


def bell(rate: int = RATE, glide: float = 0.0) -> Sound:
    """Three partials that fade evenly; with ``glide`` their frequency moves by that share in a second."""
    t = np.arange(rate) / rate
    tones = [np.sin(2 * np.pi * hertz * (t + glide * t**2 / 2)) for hertz in (1100.0, 1730.0, 2900.0)]
    return (0.1 * sum(tones) * np.exp(-5 * t)).astype(np.float32)


def swell(seconds: float, rate: int = RATE) -> Sound:
    """Bright noise that rises and falls."""
    white = np.random.default_rng(1).standard_normal(round(seconds * rate))
    return (0.1 * white * np.sin(np.pi * np.arange(len(white)) / len(white)) ** 2).astype(np.float32)


def clapping(seconds: float, rate: int = RATE) -> Sound:
    """A hundred strokes a second, each of four milliseconds."""
    random = np.random.default_rng(2)
    strokes = np.zeros(round(seconds * rate))
    strokes[random.integers(0, len(strokes), round(100 * seconds))] = random.uniform(0.3, 1, round(100 * seconds))
    hand = random.standard_normal(round(0.02 * rate)) * np.exp(-np.arange(round(0.02 * rate)) / (0.004 * rate))
    return (0.3 * np.convolve(strokes, hand)[: len(strokes)]).astype(np.float32)


def beat(seconds: float, bpm: float, rate: int, notes: tuple[float, ...] = (), kick: float = 0.5) -> Sound:
    """A kick on each beat over held notes (Hz, three harmonics each)."""
    t = np.arange(round(seconds * rate)) / rate
    since = t % (60 / bpm)
    sound = kick * np.sin(2 * np.pi * 55 * since) * np.exp(-since / 0.05)
    for hertz in notes:
        sound = sound + sum(0.05 / k * np.sin(2 * np.pi * hertz * k * t) for k in (1, 2, 3))
    return sound.astype(np.float32)


def chord(root: float, *semitones: int) -> tuple[float, ...]:
    return tuple(root * 2 ** (step / 12) for step in semitones)


@pytest.mark.parametrize(
    ("label", "sound", "at_s"),
    [("click", click(), 2.0), ("bell", bell(), 1.5), ("whoosh", swell(0.8), 2.0), ("applause", clapping(2.0), 1.5)],
)
@pytest.mark.parametrize("bed_db", [-60.0, -45.0])
def test_each_effect_is_found_when_it_happens_and_as_nothing_else(
    label: str, sound: Sound, at_s: float, bed_db: float
) -> None:
    found = heard(SoundEffects(rate=RATE), laid(noise(6, level_db=bed_db), sound, at_s), RATE).events
    assert [event.label for event in found] == [label]
    assert found[0].start_s == pytest.approx(at_s, abs=0.15)
    assert 0 < found[0].score <= 1
    assert found[0].attributes["stands_out_db"] > 5


def test_what_is_like_an_effect_is_none() -> None:
    """Clicks that come as a beat, partials that glide, noise that goes on, and silence."""
    ticking = noise(6)
    for at in np.arange(0.2, 6, 0.25):
        ticking = laid(ticking, click(), float(at))
    gliding = laid(noise(6), bell(glide=0.3), 2.0)
    stepping = laid(noise(6), noise(3, level_db=-30.0, seed=3), 3.0)
    for sound in (ticking, gliding, stepping, np.zeros(6 * RATE, np.float32)):
        assert heard(SoundEffects(rate=RATE), sound, RATE).events == ()


def test_noise_while_somebody_speaks_must_stand_out_more() -> None:
    sound = laid(noise(6, level_db=-40.0), 0.3 * swell(0.8), 2.0)
    assert [event.label for event in heard(SoundEffects(rate=RATE), sound, RATE).events] == ["whoosh"]
    assert heard(SoundEffects(rate=RATE), sound, RATE, speech=((1.5, 3.5),)).events == ()


def test_the_stroke_of_a_bell_is_no_click() -> None:
    sound = laid(laid(noise(6), bell(), 2.0), click(), 2.0)
    assert [event.label for event in heard(SoundEffects(rate=RATE), sound, RATE).events] == ["bell"]


@pytest.mark.parametrize("bpm", [90.0, 120.0, 150.0])
def test_tempo_is_that_of_the_beat(bpm: float) -> None:
    onsets = flux(Spectrum.of(beat(8, bpm, RATE), RATE, 512, 220).bands_db())
    found, strength = tempo(onsets, RATE / 220)
    assert found == pytest.approx(bpm, rel=0.01)
    assert strength > 0.5


def test_no_beat_no_tempo() -> None:
    assert tempo(np.zeros(1000, np.float32), 100) == (0.0, 0.0)
    assert tempo(np.ones(20, np.float32), 100) == (0.0, 0.0)


@pytest.mark.parametrize("detuned", [1.0, 1.015])
def test_key_of_a_cadence_whatever_it_is_tuned_to(detuned: float) -> None:
    """I IV V I with a kick; a quarter of a semitone off as well."""
    for root, name, third in ((220.0, "A major", 4), (293.66, "D minor", 3)):
        root *= detuned
        parts = [beat(2, 120, RATE, chord(root * 2 ** (step / 12), 0, third, 7)) for step in (0, 5, 7, 0)]
        named, fit = key(np.concatenate(parts), RATE)
        assert named == name
        assert 0.5 < fit <= 1
    assert key(np.zeros(RATE * 2, np.float32), RATE) == ("", 0.0)
    assert key(np.zeros(100, np.float32), RATE) == ("", 0.0)


def test_music_is_where_notes_are_held_and_pauses_tell_of_what_is_behind_a_voice() -> None:
    """A loud hiss stands for the voice: music 20 dB below it is heard in the gaps only, and only if one knows of them."""
    quiet = 0.1 * beat(12, 100, RATE, chord(220.0, 0, 4, 7))
    said = tuple((start, start + 1.6) for start in (0.2, 2.4, 4.6, 6.8, 9.0))
    voiced = quiet.copy()
    for start, end in said:
        voiced = laid(voiced, noise(end - start, level_db=-15.0), start)
    tones = Tones.of(voiced, RATE, 2048, 512)
    assert where(tones, 0.08, speech=said).mean() > 0.9
    assert where(tones, 0.08).mean() < 0.5
    assert not where(Tones.of(noise(6, level_db=-20.0), RATE, 2048, 512), 0.08).any()
    assert not where(Tones.of(laid(noise(10), bell(), 5.0), RATE, 2048, 512), 0.08).any()


def test_audio_analysis_reports_loudness_tempo_and_key() -> None:
    pytest.importorskip("pyloudnorm", reason="pip install pyloudnorm")
    sound = np.concatenate([beat(3, 120, 44100, chord(220.0 * 2 ** (s / 12), 0, 4, 7)) for s in (0, 5, 7, 0)])
    result = heard(AudioAnalysis(), sound, 44100)
    (start, end), *more = spans(result, "music")
    music, clip = result.events[0], result.events[-1]
    assert not more
    assert start < 0.5 < 11.5 < end
    assert music.attributes["tempo_bpm"] == pytest.approx(120, rel=0.02)
    assert music.attributes["key"] == "A major"
    assert clip.attributes["peak_dbfs"] == pytest.approx(20 * np.log10(np.abs(sound).max()), abs=0.02)


def test_loudness_of_a_known_tone() -> None:
    """BS.1770: a sine of 997 Hz at full scale on both channels is 0 LUFS (-3.01 on one)."""
    pytest.importorskip("pyloudnorm", reason="pip install pyloudnorm")
    tone = (0.1 * np.sin(2 * np.pi * 997 * np.arange(5 * 44100) / 44100)).astype(np.float32)
    result = heard(AudioAnalysis(), tone, 44100)
    assert result.events[-1].attributes["loudness_lufs"] == pytest.approx(-20.0, abs=0.1)
    silent = heard(AudioAnalysis(), np.zeros(44100, np.float32), 44100).events[-1].attributes
    assert "loudness_lufs" not in silent
    assert silent["absent"] == {"loudness_lufs": "silence"}


def test_environment_tells_speech_music_noise_and_silence_apart() -> None:
    rate = 16000
    music = 0.5 * beat(8, 100, rate, chord(220.0, 0, 4, 7))
    sound = np.concatenate([music, np.zeros(8 * rate, np.float32), noise(8, rate, -35.0)])
    result = heard(AudioEnvironment(), sound, rate, speech=((18.0, 20.0),))
    for label, start, end in (("music", 0, 8), ("silence", 8, 16), ("noise", 16, 24)):
        found = spans(result, label)
        assert len(found) == 1, label
        assert found[0] == pytest.approx((start, end), abs=1.6), label
    assert spans(result, "speech") == [pytest.approx((18.0, 20.0), abs=0.05)]


@pytest.mark.parametrize(
    ("made", "rate"), [(SoundEffects(rate=RATE), RATE), (AudioAnalysis(), 44100), (AudioEnvironment(), 16000)]
)
def test_no_sound_and_too_little_of_it_are_no_error(made: Any, rate: int) -> None:
    pytest.importorskip("pyloudnorm", reason="pip install pyloudnorm")
    assert heard(made, None, rate).events == ()
    for samples in (0, 1, 700, rate // 5):
        for event in heard(made, noise(1, rate, -20.0)[:samples], rate).events:
            numbers = [value for value in event.attributes.values() if isinstance(value, float)]
            assert np.isfinite(numbers).all()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SoundEffects, {"rate": 8000}),
        (SoundEffects, {"fine_s": 0.02, "coarse_s": 0.01}),
        (SoundEffects, {"click_db": 0.0}),
        (AudioAnalysis, {"window_s": 1.0}),
        (AudioAnalysis, {"steady": 1.5}),
        (AudioEnvironment, {"hop": 0}),
        (AudioEnvironment, {"floor_db": 3.0}),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^analyzer\."):
        kind(**settings)


@pytest.mark.parametrize("size, hop", [(1024, 441), (64, 33), (4096, 4096)])
def test_a_spectrum_is_the_same_however_much_of_it_is_made_at_a_time(
    size: int, hop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = noise(3.3, level_db=-20.0)
    whole = Spectrum.of(sound, RATE, size, hop).power
    monkeypatch.setattr(spectra, "_AT_ONCE", 3 * size)
    assert np.array_equal(Spectrum.of(sound, RATE, size, hop).power, whole)
    padded = np.pad(sound, (size // 2, size))  # as the definition has it: frame i is centred on sample i * hop
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][: len(whole)]
    expected = np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1], axis=1)) ** 2
    expected[:, 1:-1] *= 2
    scale = (np.hanning(size + 1)[:-1] ** 2).sum() * size
    assert len(whole) == len(sound) // hop + 1 and np.allclose(whole, expected / scale, rtol=1e-4, atol=1e-12)


def test_notes_are_held_for_as_long_whatever_is_looked_at_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tones = Tones.of(laid(beat(20, 100, RATE, chord(220.0, 0, 4, 7)), bell(), 5.0), RATE, 2048, 512)
    whole = steadiness(tones)
    monkeypatch.setattr("reelbench.analyzers.acoustics.music._FRAMES_AT_ONCE", 50)
    assert np.array_equal(steadiness(tones), whole)


@pytest.mark.parametrize("seconds, rate", [(0.4, 44100), (0.75, 22050), (30.0, 44100), (30.04, 16000)])
def test_loudness_in_pieces_is_that_of_the_library(seconds: float, rate: int) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm", reason="pip install pyloudnorm")
    sound = noise(seconds, rate, level_db=-25.0)
    sound[len(sound) // 2 :] *= 0.05  # so that the relative gate has something to do
    both = np.stack([sound, sound], axis=1).astype(np.float64)
    assert integrated_lufs(sound, rate) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(both), abs=1e-9)
    assert integrated_lufs(np.zeros(rate, np.float32), rate) == float("-inf")


def test_a_long_sound_takes_little_more_memory_than_a_short_one() -> None:
    """A minute has forty seconds of sound more; what is made of it must not grow like a spectrum of it would."""
    pytest.importorskip("pyloudnorm", reason="pip install pyloudnorm")
    for made, rate in ((AudioAnalysis(), 44100), (AudioEnvironment(), 16000), (SoundEffects(rate=RATE), RATE)):
        short = beat(20, 100, rate, chord(220.0, 0, 4, 7))
        peaks = []
        for sound in (short, np.tile(short, 3)):
            heard(made, sound[:rate], rate)
            tracemalloc.start()
            heard(made, sound, rate)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        # Beside the sound itself, which is there already: less than twice its size.
        assert peaks[1] - peaks[0] < 2 * 4 * rate * 40, (type(made).__name__, peaks)
