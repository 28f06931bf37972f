"""speech_rate on sound whose syllables, pauses and pitch are known. What needs the extra 'speech' is skipped without it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from reelbench.analyzers.base import Material
from reelbench.analyzers.speech.gate import Gate, heard_where, spread
from reelbench.analyzers.speech.parts import HOP, RATE
from reelbench.analyzers.speech.stretches import Chunking, Stretches
from reelbench.analyzers.speech.syllables import SyllableNuclei
from reelbench.analyzers.speech.windows import SPEECH, WINDOW, intervals, windows
from reelbench.analyzers.speech_rate import SpeechRate
from reelbench.corpus import music, speech
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.media import read_audio
from reelbench.media.types import AudioRequest, ClipInfo
from reelbench.results import AnalyzerResult, Event
from support.contract import Ready, StrictPhases, build, close_all, pairs, ready

PER_S = 4
PITCH_HZ = 120
SAID = (0.5, 3.5)
SAID_AGAIN = (4.5, 6.0)
LENGTH_S = 7.0
SYLLABLES = 18  # 4 a second for 3 and for 1.5 seconds
VARIANTS = [variant for name, variant in pairs() if name == "speech_rate"]


def vowels(rate: int = RATE, length_s: float = LENGTH_S, noise: float = 1e-4) -> NDArray[np.float32]:
    """A buzz of 120 Hz through three formants, whose loudness swells PER_S times a second within SAID and SAID_AGAIN."""
    t = np.arange(int(length_s * rate)) / rate
    sound = np.diff(np.floor(PITCH_HZ * t), prepend=0.0)
    for formant, width in ((700, 90), (1200, 110), (2600, 160)):
        pole = np.exp(-np.pi * width / rate) * np.exp(2j * np.pi * formant / rate)
        sound = lfilter([1.0], [1.0, -2 * pole.real, abs(pole) ** 2], sound)
    swell = np.sin(np.pi * PER_S * t) ** 4
    spoken = sum((t >= start) & (t < end) for start, end in (SAID, SAID_AGAIN))
    sound = 0.5 * sound / np.abs(sound).max() * swell * spoken
    return (sound + np.random.default_rng(0).normal(0, noise, len(t))).astype(np.float32)


class Loud:
    """Voice and pitch of a test: loud frames are speech of 120 Hz."""

    packages: tuple[Any, ...] = ()
    weights: tuple[str, ...] = ()
    precision = "fp32"
    nothing = 0.0

    def load(self, store: Any) -> None: ...

    def hear(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        level = np.abs(sound[: len(sound) // HOP * HOP].reshape(-1, HOP)).max(axis=1)
        return np.where(level > 0.01, np.float32(PITCH_HZ), np.float32(0))

    def decide(self, heard: NDArray[np.float32]) -> NDArray[np.bool_]:
        return heard > 0


def plain(**options: Any) -> SpeechRate:
    """The analyzer with nothing that must be installed."""
    analyzer = SpeechRate(Loud(), Loud(), SyllableNuclei(), **options)
    analyzer.load(None)  # type: ignore[arg-type]
    return analyzer


def hear(analyzer: Any, sound: NDArray[np.float32] | None, length_s: float = LENGTH_S) -> AnalyzerResult:
    info = ClipInfo(Path("clip.mp4"), 64, 64, length_s, 25.0, "h264", "yuv420p", has_audio=sound is not None)
    return analyzer.analyze(Material("clip", info, StrictPhases(), audio=sound))  # type: ignore[no-any-return]


def of(result: AnalyzerResult, label: str) -> list[Event]:
    return [event for event in result.events if event.label == label]


def counted(result: AnalyzerResult) -> int:
    return sum(event.attributes["syllables"] for event in of(result, WINDOW))


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Ready:
    state = build("speech_rate", request.param)[1].available()
    if not state.ok:
        pytest.skip(f"unavailable here: {state.reason}")
    return ready("speech_rate", request.param)


@pytest.fixture(scope="module", autouse=True)
def _close() -> Iterator[None]:
    yield
    close_all()


def test_known_syllables_pauses_and_pitch() -> None:
    result = hear(plain(), vowels())
    assert counted(result) == SYLLABLES
    first, second = of(result, SPEECH)
    assert (first.start_s, first.end_s) == pytest.approx(SAID, abs=0.15)
    assert (second.start_s, second.end_s) == pytest.approx(SAID_AGAIN, abs=0.15)
    (window,) = of(result, WINDOW)  # 7 s: the last 2 s are less than half a window
    figures = window.attributes
    assert (window.start_s, window.end_s) == (0.0, LENGTH_S)
    assert figures["syllables_per_s"] == pytest.approx(SYLLABLES / LENGTH_S, abs=1e-3)
    assert figures["pauses"] == 1 and figures["pause_s"] == pytest.approx(1.0, abs=0.25)
    assert figures["pitch_median_hz"] == PITCH_HZ and figures["pitch_range_semitones"] == 0
    assert "words_per_min" not in figures and "transcript" in figures["absent"]["words_per_min"]


def test_windows_cover_a_clip_once() -> None:
    assert windows(30, 500) == [(0, 30)]
    assert windows(1249, 500) == [(0, 500), (500, 1249)]
    assert windows(1250, 500) == [(0, 500), (500, 1000), (1000, 1250)]


def test_short_gaps_are_joined_and_what_has_no_voice_is_no_speech() -> None:
    spoken, hz = np.zeros(300, bool), np.full(300, 100, np.float32)
    spoken[[*range(10, 50), *range(69, 100), *range(120, 125), *range(200, 280)]] = True
    hz[200:265] = 0  # the last stretch: 15 of 80 frames are voiced
    assert intervals(spoken, hz, pause=20, least=10) == [(10, 100)]


def test_nuclei_want_a_dip_a_voice_and_loudness() -> None:
    level = np.full(100, -60, np.float32)
    level[[10, 30, 31, 33, 50, 70]] = [-20, -20, -21, -20.5, -22, -50]  # 33 rises by 0.5 dB only, 70 is 30 dB below
    level[32] = -21
    voiced = np.ones(100, bool)
    voiced[50] = False
    syllables = SyllableNuclei()
    syllables.load(None)  # type: ignore[arg-type]
    assert syllables.nuclei(level, voiced).tolist() == [10, 30]


def test_stretches_give_what_the_whole_gives() -> None:
    sound, whole, cut = vowels(length_s=6.5), plain(), plain(chunks={"seconds": 1.5, "overlap_s": 0.4, "workers": 2})
    assert hear(cut, sound, 6.5) == hear(whole, sound, 6.5)
    assert cut.evidence().details["stretches"] == 5 and whole.evidence().details["stretches"] == 1
    assert 1 <= cut.evidence().details["threads"] <= 2
    cut.close()


def test_a_failing_stretch_fails_the_clip() -> None:
    stretches = Stretches(Chunking(seconds=1, overlap_s=0, workers=2))
    stretches.open()

    def fail(sound: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        raise AnalyzerError("no")

    with pytest.raises(AnalyzerError):
        stretches.hear(vowels(), fail)
    stretches.close()


@pytest.mark.parametrize("sound", [None, np.zeros(0, np.float32), np.zeros(HOP - 1, np.float32)])
def test_without_sound_there_are_no_events(sound: NDArray[np.float32] | None) -> None:
    assert hear(plain(), sound).events == ()


def test_silence_says_why_figures_are_absent() -> None:
    (window,) = hear(plain(), np.zeros(3 * RATE, np.float32), 3.0).events
    assert window.score == 0 and window.attributes["syllables_per_s"] == 0
    assert window.attributes["absent"]["articulation_rate"] == "no speech in this window"
    assert "pitch_median_hz" not in window.attributes


def test_sound_that_outlasts_the_clip_is_not_counted() -> None:
    assert max(event.end_s for event in hear(plain(), vowels(), 2.0).events) == 2.0


@pytest.mark.parametrize(
    "options",
    [
        {"resampler": "sox"},
        {"source_rate": 44100},
        {"source_rate": 100, "resampler": "soxr"},
        {"window_s": 0},
        {"chunks": {"seconds": 0}},
        {"chunks": {"length": 3}},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SpeechRate(Loud(), Loud(), SyllableNuclei(), **options)


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    state = build("speech_rate", "optimized")[1].available()
    assert not state.ok and state.mend.startswith("pip install ")
    assert all(
        name in state.reason and name in state.mend for name in ("webrtcvad-wheels", "praat-parselmouth", "soxr")
    )


def test_variants_hear_known_speech(variant: Ready) -> None:
    analyzer = variant.analyzer
    assert analyzer.needs.audio is not None
    result = hear(analyzer, vowels(analyzer.needs.audio.rate))
    assert AnalyzerResult.model_validate_json(result.model_dump_json()) == result
    if analyzer.evidence().details["voice"] == "SileroVoice":
        return  # a network that was trained on people owes a buzzer nothing
    assert abs(counted(result) - SYLLABLES) <= 2
    figures = of(result, WINDOW)[0].attributes
    assert figures["pitch_median_hz"] == pytest.approx(PITCH_HZ, rel=0.03)
    assert of(result, SPEECH)[0].start_s == pytest.approx(SAID[0], abs=0.25)
    assert figures["pauses"] == 1


def test_variants_stand_noise_silence_and_very_short_sound(variant: Ready) -> None:
    assert variant.analyzer.needs.audio is not None
    rate = variant.analyzer.needs.audio.rate
    noise = np.random.default_rng(0).normal(0, 0.05, 6 * rate).astype(np.float32)
    for sound in (noise, np.zeros(6 * rate, np.float32)):
        result = hear(variant.analyzer, sound, 6.0)
        assert of(result, SPEECH) == [] and counted(result) == 0
    for samples in (1, rate // 100, rate // 20, rate // 5):
        result = hear(variant.analyzer, vowels(rate)[rate : rate + samples], samples / rate)
        assert len(of(result, WINDOW)) <= 1


def test_words_of_a_transcript_are_counted_once() -> None:
    said = [(0.2, 0.6), (4.6, 5.2), (4.9, 5.3), (5.5, 5.8)]  # the second lies in the first window by its middle
    words = tuple(Event(start_s=a, end_s=b, label="word", score=1.0, text="so") for a, b in said)
    upstream = {
        "speech_transcription": AnalyzerResult(
            analyzer="speech_transcription", clip="clip", duration_s=8.0, events=words
        )
    }
    analyzer = plain(words_from="speech_transcription")
    assert analyzer.needs.upstream == ("speech_transcription",) and plain().needs.upstream == ()
    info = ClipInfo(Path("clip.mp4"), 64, 64, 8.0, 25.0, "h264", "yuv420p", has_audio=True)
    material = Material("clip", info, StrictPhases(), audio=vowels(length_s=8.0), upstream=upstream)
    figures = [event.attributes for event in of(analyzer.analyze(material), WINDOW)]
    assert [window["words_per_min"] for window in figures] == [60 * 2 / 5, 60 * 2 / 3]
    assert "words_per_min" not in figures[0]["absent"]


def test_a_gate_spares_the_others_what_it_rejects() -> None:
    assert spread(np.array([0, 0, 0, 1, 0, 0, 0, 0], bool), 2).tolist() == [
        False,
        True,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    heard: list[int] = []

    def listen(sound: NDArray[np.float32]) -> NDArray[np.float32]:
        heard.append(len(sound))
        return np.full(len(sound) // HOP, 7, np.float32)

    sound, kept = np.zeros(5 * HOP + 3, np.float32), np.array([True, False, False, True, True])
    assert heard_where(kept, sound, listen, -1.0).tolist() == [7, -1, -1, 7, 7] and heard == [3 * HOP]
    assert heard_where(kept & False, sound, listen, -1.0).tolist() == [-1] * 5 and len(heard) == 1, (
        "nothing is not heard"
    )
    gated = plain(gate=Gate(Loud(), 0.1))
    assert hear(gated, vowels()) == hear(plain(), vowels())
    assert 0.5 < gated.evidence().details["let_through"] < 0.9


@pytest.mark.parametrize("margin_s", [-0.1, 6.0])
def test_a_gate_s_margin_must_make_sense(margin_s: float) -> None:
    with pytest.raises(ConfigError, match="margin_s"):
        Gate(Loud(), margin_s)


def test_a_batch_of_parts_hears_what_one_after_the_other_hears() -> None:
    sound = np.tile(spoken_sentence(RATE), 6)[: 18 * RATE]
    one, eight = voice_of("silero"), voice_of("silero", "+analyzer.voice.lanes=8")
    apart = np.abs(one.hear(sound) - eight.hear(sound))
    assert apart.mean() < 0.02 and np.mean(apart > 0.3) < 0.02
    assert one.executed["largest_batch"] == 1 and eight.executed["largest_batch"] == 8


def test_music_is_no_speech_to_optimized() -> None:
    found = {}
    for variant in ("optimized", "optimized_webrtc"):
        analyzer = loaded(variant).analyzer
        rate = analyzer.needs.audio.rate  # type: ignore[union-attr]
        bed = 0.1 * music.bed(110, 8 * rate, rate, np.random.default_rng(3))
        found[variant] = sum(event.end_s - event.start_s for event in of(hear(analyzer, bed, 8.0), SPEECH))
    assert found["optimized"] == 0
    assert found["optimized_webrtc"] > 4, "if WebRTC no longer does, the network is not needed"


@pytest.mark.parametrize(("rate", "layout"), [(8000, "mono"), (48000, "5.1")])
def test_optimized_hears_a_spoken_sentence_of_any_rate_and_layout(tmp_path: Path, rate: int, layout: str) -> None:
    result, _ = loaded("optimized").on(encoded(tmp_path / "clip.mp4", spoken_sentence(rate), rate, layout))
    assert of(result, SPEECH)[0].start_s == pytest.approx(1.0, abs=0.2)
    assert abs(counted(result) - SENTENCE_SYLLABLES) <= 3


@pytest.mark.parametrize("variant", ["baseline", "optimized"])
def test_files_without_speech(tmp_path: Path, variant: str) -> None:
    here, rate = loaded(variant), 44100
    mute, info = here.on(encoded(tmp_path / "mute.mp4", None, rate))
    assert mute.events == () and not info.has_audio
    noise = np.random.default_rng(1).normal(0, 0.05, 3 * rate).astype(np.float32)
    for name, sound in (("silence", np.zeros(3 * rate, np.float32)), ("noise", noise)):
        result, info = here.on(encoded(tmp_path / f"{name}.mp4", sound, rate))
        (window,) = result.events
        assert info.has_audio and window.label == WINDOW and window.attributes["syllables"] == 0, name


@pytest.mark.parametrize("variant", ["baseline", "optimized"])
def test_a_file_shorter_than_a_window_is_one_window(tmp_path: Path, variant: str) -> None:
    rate = 44100
    clip = encoded(tmp_path / "short.mp4", spoken_sentence(rate)[: int(2.4 * rate)], rate)
    result, info = loaded(variant).on(clip)
    (window,) = of(result, WINDOW)
    assert (window.start_s, window.end_s) == (0.0, pytest.approx(info.duration_s, abs=0.02)) and info.duration_s < 3
    assert 3 <= counted(result) <= 10 and of(result, SPEECH)


@pytest.mark.parametrize(("rate", "layout"), [(8000, "mono"), (48000, "stereo"), (48000, "5.1")])
def test_other_rates_and_layouts_are_heard_alike(tmp_path: Path, rate: int, layout: str) -> None:
    clip = encoded(tmp_path / "clip.mp4", vowels(rate), rate, layout)
    found = hear(plain(), read_audio(clip, AudioRequest(RATE)))
    assert counted(found) == SYLLABLES
    for variant in ("baseline", "optimized_webrtc"):
        if build("speech_rate", variant)[1].available().ok:
            result, info = ready("speech_rate", variant).on(clip)
            assert info.has_audio and abs(counted(result) - SYLLABLES) <= 2


SENTENCE = "The quick brown fox jumps over the lazy dog, and the dog does not care."
SENTENCE_SYLLABLES = 17


def spoken_sentence(rate: int) -> NDArray[np.float32]:
    """A second of silence, SENTENCE, half a second of silence; a little room noise."""
    soxr = pytest.importorskip("soxr", reason="needs the extra 'speech'")
    pytest.importorskip("espeakng_loader", reason="needs the extra 'speech'")
    (said,) = speech.speak([speech.Phrase(tuple(SENTENCE.split()), "en-us", 160)])
    sound = soxr.resample(np.pad(said.sound, (said.rate, said.rate // 2)).astype(np.float32), said.rate, rate)
    quiet = np.random.default_rng(0).normal(0, 1e-4, len(sound))
    return (0.4 * sound / np.abs(sound).max() + quiet).astype(np.float32)


def loaded(variant: str, *overrides: str) -> Ready:
    if not (state := build("speech_rate", variant, *overrides)[1].available()).ok:
        pytest.skip(f"unavailable here: {state.reason}")
    return ready("speech_rate", variant, *overrides)


def voice_of(variant: str, *overrides: str) -> Any:
    """The part that says who speaks when."""
    return loaded(variant, *overrides).analyzer._voice  # type: ignore[attr-defined]


def encoded(path: Path, sound: NDArray[np.float32] | None, rate: int, layout: str = "mono") -> Path:
    """A small clip in which ``sound`` is in every channel, or in the centre of 5.1; null: two seconds without a sound track."""
    channels = av.AudioLayout(layout).nb_channels
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=5)
        video.width = video.height = 64
        voice: Any = None if sound is None else container.add_stream("aac", rate=rate, layout=layout)
        for _ in range(10 if sound is None else round(5 * len(sound) / rate)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
        if sound is None:
            return path
        planes = np.zeros((channels, len(sound)), np.float32)
        planes[2 if channels > 2 else slice(None)] = sound
        for first in range(0, len(sound), 1024):
            block = np.ascontiguousarray(planes[:, first : first + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    return path
