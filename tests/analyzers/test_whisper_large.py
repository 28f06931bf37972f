"""speech_transcription large_turbo: a made network whose words are known by construction, random weights, features for 128 bands."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reelbench.analyzers.speech import pieces
from reelbench.analyzers.speech.encoded import encode_once
from reelbench.analyzers.speech_transcription import SpeechTranscription
from reelbench.config import compose, instantiate
from reelbench.engines import whisper_random
from reelbench.errors import ConfigError
from support.clips import make_clip
from support.contract import Ready

VARIANT = ["analyzer=speech_transcription", "variant=large_turbo", "analyzer.threads=1"]
SAYS = ("<|de|>", "", "<|0.00|>", "Ġaabb", "Ġaabc", "<|1.00|>", "<|endoftext|>")
"""What the made network answers at each place: the language at once; after language and task two words in one second."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made network in the published files: no layer adds anything, and each place points at one token."""
    pytest.importorskip("faster_whisper", reason="pip install reelbench[speech]")
    spec, tokenizer = whisper_random.build(whisper_random.SIZES["tiny"], seed=0)
    for coder in (spec.encoder, spec.decoder):
        for layer in coder.layer:
            attentions = [layer.self_attention, *([layer.attention] if coder is spec.decoder else [])]
            for last in (*(part.linear[-1] for part in attentions), layer.ffn.linear_1):
                last.weight = np.zeros_like(last.weight)
    signs = np.ones((1, 1), np.float16)
    while len(signs) < 64:
        signs = np.block([[signs, signs], [signs, -signs]])
    rows, places = spec.decoder.embeddings.weight, spec.decoder.position_encodings.encodings
    for at, token in enumerate(SAYS):
        rows[tokenizer.token_to_id(token)] = 0.3 * signs[at + 1]
        places[at] = 10 * signs[at + 1]
    made = tmp_path_factory.mktemp("whisper")
    whisper_random.write(made, spec, tokenizer)
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a tone."""
    return make_clip(tmp_path_factory.mktemp("clips") / "tone.mp4", frames=60, audio_s=2.0)


def _on(clip: Path, folder: Path, *overrides: str) -> list[tuple[Any, ...]]:
    config = compose([*VARIANT, "analyzer.voice_first=false", *overrides])
    analyzer = instantiate(config.analyzer.constructor)
    analyzer.load(SimpleNamespace(path=lambda name: folder / Path(name).name))
    result, _ = Ready("speech_transcription", config, analyzer).on(clip)
    assert analyzer.evidence().contradiction == ""
    analyzer.close()
    return [(event.label, event.text, event.attributes) for event in result.events]


def test_the_language_is_found_out_and_said(clip: Path, folder: Path) -> None:
    (first, *words) = sorted(_on(clip, folder), key=lambda one: one[:2])
    assert first[:2] == ("segment", "aabb aabc")
    assert first[2]["language"] == "de" and first[2]["language_probability"] > 0.9
    assert words == [("word", "aabb", {}), ("word", "aabc", {})]


def test_a_given_language_is_not_looked_for(clip: Path, folder: Path) -> None:
    assert ("segment", "aabb aabc", {}) in _on(clip, folder, "analyzer.language=en")


def test_the_variant_names_every_file_and_hears_128_bands(folder: Path) -> None:
    """vocabulary.json, where tiny.en has a .txt; preprocessor_config.json says how many bands."""
    analyzer = instantiate(compose(VARIANT).analyzer.constructor)
    assert {Path(name).name for name in analyzer.weights} == {file.name for file in folder.iterdir()}
    analyzer.load(SimpleNamespace(path=lambda name: folder / Path(name).name))
    assert len(analyzer._model.feature_extractor.mel_filters) == 128


def test_what_was_encoded_for_the_language_is_not_encoded_again(folder: Path) -> None:
    """Two windows of sound cost two encodings, not three; without `encode_once` it is three."""
    from faster_whisper import WhisperModel

    counts, found = [], []
    for remembered in (False, True):
        model, asked = WhisperModel(str(folder), compute_type="int8", cpu_threads=1), []
        encode = model.encode
        model.encode = lambda features, encode=encode, asked=asked: asked.append(1) or encode(features)
        if remembered:
            encode_once(model)
        segments, about = model.transcribe(np.zeros(40 * 16000, np.float32), temperature=0.0, without_timestamps=True)
        found.append((about.language, [segment.text for segment in segments]))
        counts.append(len(asked))
    assert counts == [3, 2] and found[0] == found[1]


def test_random_weights_are_the_same_again_and_never_scored(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="pip install reelbench[speech]")
    for name in ("one", "two"):
        whisper_random.prepare(tmp_path / name, "tiny")
    assert all(
        file.read_bytes() == (tmp_path / "two" / file.name).read_bytes() for file in (tmp_path / "one").iterdir()
    )
    analyzer = instantiate(compose([*VARIANT, "analyzer.weights=random"]).analyzer.constructor)
    assert analyzer.weights == () and "random" in analyzer.quality_absent_reason
    assert instantiate(compose(VARIANT).analyzer.constructor).quality_absent_reason == ""


@pytest.mark.parametrize(("weights", "architecture"), [("random", "huge"), ("random", None), ("a.bin", "tiny")])
def test_what_cannot_be_built_is_refused(weights: str, architecture: str | None) -> None:
    with pytest.raises(ConfigError, match=r"^analyzer\.(weights|architecture)"):
        SpeechTranscription(weights, architecture=architecture)


def test_its_128_bands_are_those_of_the_published_extractor() -> None:
    """Against transformers' own, on half a minute, which is what that one always gives."""
    pytest.importorskip("faster_whisper", reason="pip install reelbench[speech]")
    transformers = pytest.importorskip("transformers", reason="pip install reelbench[vlm]")
    rate = 16000
    sound = np.random.default_rng(3).normal(0, 0.1, 30 * rate).astype(np.float32)
    theirs = transformers.WhisperFeatureExtractor(feature_size=128)(sound, sampling_rate=rate, return_tensors="np")
    ours = pieces.features_in_pieces(SimpleNamespace(feat_kwargs={"feature_size": 128}))(sound, padding=0)
    assert np.abs(ours - theirs["input_features"][0]).max() < 1e-3
