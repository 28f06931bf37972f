"""speech_emotion by a network: a made one whose answers are known, and a small real one against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.base import Material
from reelbench.analyzers.speech.dimensions import NAMES, normalized
from reelbench.config import compose, instantiate
from reelbench.engines import random_weights
from reelbench.errors import ConfigError, WeightsError
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases

RATE = 16000
ARCHITECTURE = "wav2vec2_msp_dim"
RANDOM = "analyzer.weights.emotion=random"
Sound = NDArray[np.float32]


def variant(*overrides: str) -> Any:
    return instantiate(compose(["analyzer=speech_emotion", "variant=wav2vec2", *overrides]).analyzer.constructor)


def asked(analyzer: Any, sound: Sound, *spoken: tuple[float, float]) -> list[Event]:
    """What a loaded analyzer says of a clip of this sound, with speech at these seconds."""
    length_s = len(sound) / RATE
    events = tuple(Event(start_s=a, end_s=b, label="speech", score=1.0) for a, b in spoken)
    speech = AnalyzerResult(analyzer="speech_rate", clip="made", duration_s=length_s, events=events)
    info = ClipInfo(Path("made.mp4"), 90, 160, length_s, 30.0, "h264", "yuv420p")
    material = Material("made", info, StrictPhases(), iter(()), sound, {"speech_rate": speech})
    return list(analyzer.analyze(material).events)


def pulses(seconds: float, one_in: int, loud: float = 0.3, offset: float = 0.0) -> Sound:
    """Every so-many-th sample is ``loud`` above the others."""
    sound = np.full(round(seconds * RATE), offset, np.float32)
    sound[::one_in] += loud
    return sound


def size(one_in: int) -> float:
    """The mean size of a sample of `pulses`, made to have zero mean and unit variance."""
    share = 1 / one_in
    return float(2 * np.sqrt(share * (1 - share)))


@pytest.fixture
def made(tmp_path: Path) -> ModelStore:
    """A store whose network is made: arousal is the mean size of a sample, dominance the length in 10 s, valence half the mean
    square. It has the input and the output of the published one."""
    import openvino as ov
    from openvino import opset13 as ops

    signal = ops.parameter([1, -1], np.float32, name="signal")
    axis, ten_s = np.array([1], np.int64), np.float32(10 * RATE)
    length = ops.unsqueeze(ops.convert(ops.gather(ops.shape_of(signal), axis, np.int64(0)), "f32"), np.int64(0))
    answers = [
        ops.reduce_mean(ops.abs(signal), axis, keep_dims=True),
        ops.divide(length, ten_s),
        ops.divide(ops.reduce_mean(ops.multiply(signal, signal), axis, keep_dims=True), np.float32(2)),
    ]
    logits = ops.concat(answers, axis=1)
    logits.output(0).set_names({"logits"})
    store = ModelStore(tmp_path)
    target = random_weights.graph(store.derived(random_weights.key(ARCHITECTURE)))
    ov.serialize(ov.Model([logits], [signal]), str(target), str(target.with_suffix(".bin")))
    return store


def test_arousal_has_a_name_whatever_loudness_and_offset(made: ModelStore) -> None:
    """Speech is normalized before it is heard; too little of it, and digital silence, say nothing."""
    quiet, plain, strong = pulses(2, 100, loud=0.9), pulses(2, 14, loud=0.1, offset=0.2), pulses(3, 2, offset=-0.1)
    nothing = np.zeros(RATE, np.float32)
    sound = np.concatenate([quiet, nothing, plain, nothing, strong, nothing, nothing])
    analyzer = variant(RANDOM)
    analyzer.load(made)
    events = asked(analyzer, sound, (0, 2), (3, 5), (6, 9), (9.5, 9.8), (10.5, 11))
    assert [event.label for event in events] == ["calm", "neutral", "excited"]
    for event, one_in, seconds in zip(events, (100, 14, 2), (2, 2, 3), strict=True):
        expected = {"arousal": size(one_in), "dominance": seconds / 10, "valence": 0.5}
        assert event.attributes == pytest.approx(expected, abs=2e-4)
        assert event.score == pytest.approx(0.5 + abs(size(one_in) - 0.5), abs=1e-4)
    assert analyzer.quality_absent_reason == "not measured: random weights"
    evidence = analyzer.evidence()
    assert (evidence.engine, evidence.device) == ("openvino", "CPU") and evidence.contradiction == ""


def test_a_long_stretch_is_heard_in_equal_parts_and_averaged(made: ModelStore) -> None:
    """24 s in three parts of 8, each normalized for itself."""
    sound = np.concatenate([pulses(8, one_in) for one_in in (2, 4, 100)])
    analyzer = variant(RANDOM)
    analyzer.load(made)
    (event,) = asked(analyzer, sound, (0, 24))
    assert event.attributes["dominance"] == pytest.approx(0.8)
    assert event.attributes["arousal"] == pytest.approx((size(2) + size(4) + size(100)) / 3, abs=2e-4)


def test_relative_is_against_the_median_of_the_clip(made: ModelStore) -> None:
    """All three are excited by the network's scale; the attributes stay on it."""
    sound = np.concatenate([pulses(2, one_in) for one_in in (8, 4, 2)])
    spoken = ((0, 1.4), (2, 3.4), (4, 5.4))
    labels = {}
    for relative in (False, True):
        analyzer = variant(RANDOM, f"analyzer.relative={relative}", "analyzer.calm=0.45", "analyzer.excited=0.55")
        analyzer.load(made)
        events = asked(analyzer, sound, *spoken)
        labels[relative] = [event.label for event in events]
        assert [event.attributes["arousal"] for event in events] == pytest.approx([size(8), size(4), size(2)], abs=2e-4)
    assert labels == {False: ["excited"] * 3, True: ["calm", "neutral", "excited"]}


def test_weights_that_are_absent_and_settings_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="are not in the model store"):
        variant().prepare(ModelStore(tmp_path))
    with pytest.raises(ConfigError, match=r"^analyzer\.window_s is 0"):
        variant("analyzer.window_s=0")
    with pytest.raises(ConfigError, match=r"^analyzer\.architecture"):
        variant("analyzer.architecture=null")
    assert variant("analyzer.weights=null").weights == ()  # prosody again


class Files:
    """A store of one file."""

    def __init__(self, folder: Path) -> None:
        self.file, self._folder = folder / "pytorch_model.bin", folder

    def path(self, artifact: str) -> Path:
        assert artifact == "wav2vec2_emotion/pytorch_model.bin"
        return self.file

    def derived(self, key: str) -> Path:
        (self._folder / key).mkdir(exist_ok=True)
        return self._folder / key


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small network of the published kind, and the same kind with other weights for what the loader builds."""
    torch = pytest.importorskip("torch", reason='pip install "reelbench[vlm]"')
    pytest.importorskip("transformers", reason='pip install "reelbench[vlm]"')
    from reelbench.engines.architectures import wav2vec2_msp_dim as module

    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    sizes |= {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    build = module.network
    monkeypatch.setattr(module, "network", lambda: build(**sizes))
    torch.manual_seed(7)
    made = build(**sizes).eval()
    with torch.no_grad():  # at first all answers are near zero
        made["classifier"]["out_proj"].weight.mul_(8)
        made["classifier"]["out_proj"].bias.add_(0.5)
    return made


def published(network: Any) -> dict[str, Any]:
    """Its tensors by the names of the published file: those of PyTorch's older weight normalization, and what only training used."""
    state = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in network.state_dict().items()
    }
    assert sum(name.endswith(("weight_g", "weight_v")) for name in state) == 2
    return state | {"wav2vec2.masked_spec_embed": state["classifier.dense.bias"].clone()}


def test_a_published_file_answers_as_it_does_in_pytorch(small: Any, tmp_path: Path) -> None:
    """From the pickle by the loader, OpenVINO's conversion and the analyzer, at two lengths; fed as transformers' extractor does."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor

    from reelbench.engines.architectures import wav2vec2_msp_dim as module

    store = Files(tmp_path)
    torch.save(published(small), store.file)
    sound = np.random.default_rng(3).normal(0.05, 0.2, 4 * RATE).astype(np.float32)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=RATE)
    spoken = ((0.0, 0.5), (1.3, 3.0333))
    analyzer = variant()
    assert analyzer.available().ok
    analyzer.prepare(store)
    analyzer.load(store)
    events = asked(analyzer, sound, *spoken)
    assert analyzer.quality_absent_reason == ""
    for (start, end), event in zip(spoken, events, strict=True):
        part = sound[round(start * RATE) : round(end * RATE)]
        (fed,) = extractor(part, sampling_rate=RATE).input_values
        np.testing.assert_allclose(normalized(part), fed, atol=1e-6)
        with torch.no_grad():
            (expected,) = module.forward(small, torch.from_numpy(fed)[None])["logits"].tolist()
        assert [event.attributes[name] for name in NAMES] == pytest.approx(expected, abs=1e-4)
    assert events[0].attributes != events[1].attributes


def test_a_file_that_does_not_fit_is_refused_in_one_line(small: Any, tmp_path: Path) -> None:
    import torch

    store = Files(tmp_path)
    wrong = published(small) | {"lm_head.bias": torch.zeros(3), "classifier.out_proj.bias": torch.zeros(4)}
    del wrong["wav2vec2.encoder.layers.1.attention.k_proj.bias"]
    torch.save(wrong, store.file)
    with pytest.raises(WeightsError) as caught:
        variant().prepare(store)
    assert caught.value.message == (
        "pytorch_model.bin does not fit wav2vec2_msp_dim: missing: wav2vec2.encoder.layers.1.attention.k_proj.bias; "
        "left over: lm_head.bias; of another shape: classifier.out_proj.bias"
    )
    assert not list(tmp_path.rglob("network.*"))
