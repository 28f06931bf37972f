"""speech_emotion and speech_flow on speech that is known: buzzes of known pitch, words and gaps written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.base import Material
from reelbench.analyzers.speech_emotion import SpeechEmotion
from reelbench.analyzers.speech_flow import SpeechFlow
from reelbench.corpus.clip import Truth, TruthSpan
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo
from reelbench.quality.prosody import ProsodyQuality
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases

RATE = 16000
LENGTH_S = 12.0


def spoken(*intervals: tuple[float, float], rates: tuple[float, ...] = ()) -> AnalyzerResult:
    """What speech_rate would have heard, with a window of its own for each interval where ``rates`` are given."""
    events = [Event(start_s=a, end_s=b, label="speech", score=1.0) for a, b in intervals]
    events += [
        Event(start_s=a, end_s=b, label="speech_rate", score=1.0, attributes={"articulation_rate": rate})
        for (a, b), rate in zip(intervals, rates, strict=False)
    ]
    return AnalyzerResult(analyzer="speech_rate", clip="made", duration_s=LENGTH_S, events=tuple(events))


def words(*said: tuple[str, float, float]) -> AnalyzerResult:
    events = tuple(Event(start_s=a, end_s=b, label="word", score=0.9, text=text) for text, a, b in said)
    return AnalyzerResult(analyzer="speech_transcription", clip="made", duration_s=LENGTH_S, events=events)


def asked(
    analyzer: Any, speech: AnalyzerResult, *more: AnalyzerResult, sound: NDArray[np.float32] | None = None
) -> list[Event]:
    info = ClipInfo(Path("made.mp4"), 90, 160, LENGTH_S, 30.0, "h264", "yuv420p")
    upstream = {one.analyzer: one for one in (speech, *more)}
    analyzer.load(None)
    return list(analyzer.analyze(Material("made", info, StrictPhases(), iter(()), sound, upstream)).events)


def voice(*parts: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Buzzes: (start, end, Hz, amplitude)."""
    t = np.arange(round(LENGTH_S * RATE)) / RATE
    sound = np.zeros(len(t))
    for start, end, hertz, amplitude in parts:
        inside = (t >= start) & (t < end)
        sound += inside * amplitude * sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, 8))
    return sound.astype(np.float32)


def test_pauses_are_the_gaps_between_speech_and_fillers_are_words() -> None:
    events = asked(
        SpeechFlow(),
        spoken((1.0, 3.0), (3.1, 4.0), (4.5, 6.0), (9.0, 10.0)),
        words(("Well,", 1.0, 1.4), ("uhm,", 1.5, 1.8), ("yes", 2.0, 2.5), ("Um.", 4.6, 5.0), ("umbrella", 9.0, 9.8)),
    )
    pauses = [(event.start_s, event.end_s) for event in events if event.label == "pause"]
    assert pauses == [(4.0, 4.5), (6.0, 9.0)]  # 0.1 s is none, nor is what lies before and after all speech
    assert [event.text for event in events if event.label == "filler"] == ["uhm,", "Um."]
    clip = events[-1].attributes
    assert clip["speech_s"] == pytest.approx(5.4)
    assert clip["speech_share"] == pytest.approx(5.4 / LENGTH_S, abs=1e-3)
    assert clip["pause_s"] == pytest.approx(3.5)
    assert clip["longest_run_s"] == pytest.approx(5.0)  # from 1 to 6: no pause of a second
    assert clip["words_per_min"] == pytest.approx(60 * 5 / 5.4, abs=0.1)
    assert clip["fillers"] == 2


def test_a_silence_that_voice_activity_bridged_is_a_pause() -> None:
    """0.3 s of it is one, 0.1 s is none, nor is what is only quieter, nor what touches the end of the stretch."""
    loud = [(1.0, 2.0), (2.3, 3.0), (3.1, 4.0), (4.5, 5.6)]
    sound = voice(*((a, b, 120.0, 0.1) for a, b in loud), (4.0, 4.5, 120.0, 0.02))
    sound += 1e-4 * np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    heard = asked(SpeechFlow(dip_db=30), spoken((1.0, 6.0), (7.0, 8.0)), sound=sound)
    pauses = [(event.start_s, event.end_s) for event in heard if event.label == "pause"]
    assert pauses == [pytest.approx((2.0, 2.3), abs=0.011), (6.0, 7.0)]
    assert heard[-1].attributes["speech_s"] == pytest.approx(5.7, abs=0.02)
    without = asked(SpeechFlow(), spoken((1.0, 6.0), (7.0, 8.0)), sound=sound)
    assert [event.start_s for event in without if event.label == "pause"] == [6.0]


def test_rhythm_is_the_pairwise_variability() -> None:
    """Runs of 1 and 3 s differ by 100 % of their mean; equal ones by nothing."""
    assert asked(SpeechFlow(), spoken((0, 1), (2, 5)))[-1].attributes["run_variability"] == pytest.approx(100)
    assert asked(SpeechFlow(), spoken((0, 1), (2, 3), (4, 5)))[-1].attributes["run_variability"] == 0


def test_flow_without_a_transcript_says_what_is_absent_and_without_speech_says_nothing() -> None:
    clip = asked(SpeechFlow(), spoken((1, 2)))[-1].attributes
    assert clip["absent"].keys() == {"words_per_min", "fillers", "word_variability"}
    assert "words_per_min" not in clip
    assert asked(SpeechFlow(), spoken(), words()) == []


def test_higher_louder_and_faster_than_usual_is_excited() -> None:
    pytest.importorskip("parselmouth", reason="pip install praat-parselmouth")
    sound = voice((0.5, 3, 110, 0.05), (4, 6.5, 200, 0.2), (7.5, 10, 140, 0.1))
    calm, excited, usual = asked(
        SpeechEmotion(), spoken((0.5, 3), (4, 6.5), (7.5, 10), rates=(3.0, 6.0, 4.5)), sound=sound
    )
    assert (calm.label, excited.label, usual.label) == ("calm", "excited", "neutral")
    assert calm.attributes["arousal"] < usual.attributes["arousal"] == 0.5 < excited.attributes["arousal"]
    assert excited.attributes["pitch_semitones"] == pytest.approx(12, abs=0.2)  # 200 Hz over 100 Hz
    assert excited.attributes["level_db"] - calm.attributes["level_db"] == pytest.approx(12.04, abs=0.3)
    assert excited.attributes["rate"] == 6.0


def test_the_same_voice_throughout_is_neutral_however_high_it_is() -> None:
    pytest.importorskip("parselmouth", reason="pip install praat-parselmouth")
    sound = voice((1, 3, 300, 0.1), (5, 7, 300, 0.1))
    assert [event.label for event in asked(SpeechEmotion(), spoken((1, 3), (5, 7)), sound=sound)] == ["neutral"] * 2


def test_what_has_no_pitch_or_is_too_short_says_nothing() -> None:
    pytest.importorskip("parselmouth", reason="pip install praat-parselmouth")
    hiss = (0.1 * np.random.default_rng(0).standard_normal(round(LENGTH_S * RATE))).astype(np.float32)
    assert asked(SpeechEmotion(), spoken((1, 3)), sound=np.zeros_like(hiss)) == []
    assert asked(SpeechEmotion(), spoken((1, 1.2)), sound=voice((1, 1.2, 200, 0.1))) == []
    assert asked(SpeechEmotion(), spoken((1, 3)), sound=None) == []
    assert asked(SpeechEmotion(), spoken(), sound=hiss) == []


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SpeechFlow, {"least_s": 0.0}),
        (SpeechEmotion, {"floor_hz": 700.0}),
        (SpeechEmotion, {"calm": 0.7, "excited": 0.6}),
        (SpeechEmotion, {"step_s": 0.0}),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^analyzer\."):
        kind(**settings)


def test_ordering_counts_pairs_of_excited_and_calm() -> None:
    """Of four pairs one is right, one a tie and one wrong; where nothing was found, the pair is lost."""
    labels = (("calm", 0.0), ("calm", 1.0), ("excited", 2.0), ("excited", 3.0))
    truth = Truth(prosody=tuple(TruthSpan(start_s=at, end_s=at + 1, label=label) for label, at in labels))
    levels = {0.0: 0.5, 1.0: 0.2, 2.0: 0.5}
    events = tuple(
        Event(start_s=at, end_s=at + 1, label="neutral", score=1.0, attributes={"arousal": level})
        for at, level in levels.items()
    )
    result = AnalyzerResult(analyzer="speech_emotion", clip="a", duration_s=LENGTH_S, events=events)
    scores = ProsodyQuality().against_truth({"a": result}, {"a": truth, "b": Truth(prosody=())})
    assert scores.overall == {"ordering": (0.5 + 1 + 0 + 0) / 4}
    assert scores.absent["b"] == "has no result"
