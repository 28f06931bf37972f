"""speech_transcription: the metric on words written by hand, Whisper on speech whose words are known, and what cannot work."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reelbench.analyzers.base import Material
from reelbench.analyzers.speech import pieces
from reelbench.analyzers.speech_transcription import RATE, SpeechTranscription
from reelbench.corpus.clip import Truth, TruthWord
from reelbench.errors import ConfigError, WeightsError
from reelbench.media.types import ClipInfo
from reelbench.quality.transcript import TranscriptQuality, normalised
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases

WEIGHTS = {"model": "whisper_tiny_en/model.bin"}


def said(*words: str) -> Truth:
    """A word a second."""
    return Truth(
        words=tuple(TruthWord(start_s=float(i), end_s=i + 0.5, text=word, syllables=1) for i, word in enumerate(words))
    )


def written(*words: str, late_s: float = 0.0) -> AnalyzerResult:
    events = tuple(
        Event(start_s=i + late_s, end_s=i + late_s + 0.5, label="word", score=1.0, text=word)
        for i, word in enumerate(words)
    )
    return AnalyzerResult(analyzer="speech_transcription", clip="a", duration_s=60.0, events=events)


def scored(truth: Truth, result: AnalyzerResult) -> dict[str, float]:
    return dict(TranscriptQuality().against_truth({"a": result}, {"a": truth}).overall)


@pytest.mark.parametrize(
    ("found", "wer"),
    [
        ("the cat sat down", 0.0),
        ("The CAT, sat — down.", 0.0),
        ("the hat sat down", 0.25),
        ("the sat down", 0.25),
        ("the big cat sat right down", 0.5),
        ("", 1.0),
        ("a a a a a a a a", 2.0),
    ],
)
def test_word_error_rate_counts_substitutions_deletions_and_insertions(found: str, wer: float) -> None:
    scores = scored(said("the", "cat", "sat", "down"), written(*found.split()))
    assert scores["wer"] == pytest.approx(wer)
    assert scores["word_accuracy"] == pytest.approx(max(0.0, 1 - wer))


def test_words_invented_in_silence_cost_everything_and_none_is_perfect() -> None:
    assert scored(said(), written()) == {"word_accuracy": 1.0}
    assert scored(said(), written("thank", "you")) == {"word_accuracy": 0.0}


def test_the_starts_of_right_words_alone_are_timed() -> None:
    scores = scored(said("one", "two", "three"), written("one", "twos", "three", late_s=0.3))
    assert scores["word_start_mae"] == pytest.approx(0.3)


def test_words_are_pooled_by_their_number_not_by_clip() -> None:
    truths = {"a": said("one"), "b": said(*["two", "three", "four", "five", "six", "seven", "eight"])}
    results = {"a": written("won"), "b": written(*["two", "three", "four", "five", "six", "seven", "eight"])}
    assert TranscriptQuality().against_truth(results, truths).overall["wer"] == pytest.approx(1 / 8)


def test_normalised_words() -> None:
    assert normalised("Don’t STOP, 'now'… ﬁne!") == ["don't", "stop", "now", "fine"]
    assert normalised(" — ") == []


class Pretended:
    """What stands in for the network: the segments that it is made with."""

    def __init__(self, *segments: tuple[tuple[str, float, float, float], ...]) -> None:
        self._segments = segments
        self.asked: dict[str, Any] = {}

    def transcribe(self, sound: Any, **asked: Any) -> tuple[Any, Any]:
        self.asked = asked
        made = [
            SimpleNamespace(
                text="".join(word for word, *_ in words),
                words=[SimpleNamespace(word=w, start=a, end=b, probability=p) for w, a, b, p in words],
            )
            for words in self._segments
        ]
        return iter(made), SimpleNamespace(language="fr", language_probability=0.75)


def analyzed(network: Pretended, samples: int, **settings: Any) -> AnalyzerResult:
    analyzer = SpeechTranscription(WEIGHTS, **settings)
    analyzer._model = network  # the network is what is pretended
    info = ClipInfo(Path("made.mp4"), 90, 160, samples / RATE, 30.0, "h264", "yuv420p")
    return analyzer.analyze(Material("made", info, StrictPhases(), iter(()), np.zeros(samples, np.float32)))


def test_words_and_segments_stay_within_the_clip() -> None:
    """Whisper's times run on into its padding."""
    network = Pretended(((" Hello", 0.5, 1.0, 0.9), (" you", 1.8, 2.4, 1.2)), ((" Thanks", 2.5, 3.0, 0.5),))
    events = analyzed(network, 2 * RATE, language=None, beam=3, voice_first=True).events
    assert [(e.label, e.text, e.start_s, e.end_s) for e in events] == [
        ("segment", "Hello you", 0.5, 2.0),
        ("word", "Hello", 0.5, 1.0),
        ("word", "you", 1.8, 2.0),
    ]
    assert events[2].score == 1.0
    assert events[0].attributes == {"language": "fr", "language_probability": 0.75}
    assert (network.asked["beam_size"], network.asked["language"], network.asked["vad_filter"]) == (3, None, True)
    assert network.asked["temperature"] == 0.0  # no dice: the same sound gives the same words


def test_a_sound_shorter_than_a_tenth_of_a_second_is_not_asked_about() -> None:
    network = Pretended(((" Hello", 0.0, 0.1, 0.9),))
    assert analyzed(network, RATE // 20).events == ()
    assert network.asked == {}


@pytest.mark.parametrize("settings", [{"compute": "int3"}, {"device": "tpu"}, {"beam": 0}, {"threads": -1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^analyzer\."):
        SpeechTranscription(WEIGHTS, **settings)


def test_a_model_that_is_no_model_is_one_line_with_the_mending_command(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="pip install faster-whisper")
    (tmp_path / "model.bin").write_bytes(b"no model")
    (tmp_path / "config.json").write_text("{}")
    store = SimpleNamespace(path=lambda name: tmp_path / Path(name).name)
    with pytest.raises(WeightsError) as caught:
        SpeechTranscription(WEIGHTS).load(store)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
    assert caught.value.hint == "reelbench models verify"


def test_a_sound_is_prepared_in_pieces_with_the_values_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faster_whisper", reason="pip install reelbench[speech]")
    from faster_whisper.feature_extractor import FeatureExtractor
    from faster_whisper.vad import get_vad_model

    monkeypatch.setattr(pieces, "_FRAMES_AT_ONCE", 70)
    monkeypatch.setattr(pieces, "_WINDOWS_AT_ONCE", 7)
    for samples in (1600, 5 * RATE + 77):
        sound = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
        found = pieces.features_in_pieces(SimpleNamespace(feat_kwargs={}))(sound)
        assert np.allclose(found, FeatureExtractor()(sound), atol=1e-5)
    model, windows = get_vad_model(), sound[: 512 * 100]
    monkeypatch.setattr(model, "session", getattr(model.session, "_session", model.session))
    whole = model(windows.copy())
    pieces.voice_in_pieces()
    assert isinstance(model.session, pieces.Pieces)
    assert np.allclose(model(windows.copy()), whole, atol=1e-6)
