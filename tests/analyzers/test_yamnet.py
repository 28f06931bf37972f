"""YAMNet in audio_environment and sound_effects: what is made of its scores, and (with PyTorch) its structure."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from reelbench.analyzers.acoustics.sounds import CLASSES, read_names, read_sounds
from reelbench.analyzers.acoustics.yamnet import PATCH, RATE, Hearing, listen
from reelbench.analyzers.audio_environment import AudioEnvironment
from reelbench.analyzers.base import Material
from reelbench.analyzers.sound_effects import SoundEffects
from reelbench.engines import random_weights
from reelbench.engines.openvino_small import Feed, SmallNetwork
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.media import probe, read_audio
from reelbench.media.types import ClipInfo
from reelbench.paths import conf_dir
from reelbench.results import AnalyzerResult
from support.clips import make_clip
from support.contract import StrictPhases

TONES = {440: 132, 1000: 0, 2000: 507, 3000: 485, 250: 503}
"""What the made network hears: hertz -> class (Music, Speech, Noise, Clicking, Outside)."""
NAMES = {132: "Music", 0: "Speech", 507: "Noise", 485: "Clicking", 503: "Outside, urban or manmade", 135: "Guitar"}
WEIGHTS = {"yamnet": "made/yamnet", "classes": "made/classes"}
HOP_S, PATCH_S = 0.4875, 0.975
Sound = NDArray[np.float32]


class Store:
    """The made network and its classes' names, in the place of the model store."""

    def __init__(self, folder: Path, network: Path) -> None:
        self._files = {"made/yamnet": network, "made/classes": folder / "classes.csv"}
        with self._files["made/classes"].open("w", newline="") as file:
            rows = ([i, f"/m/{i}", NAMES.get(i, f"made {i}")] for i in range(CLASSES))
            csv.writer(file).writerows([["index", "mid", "display_name"], *rows])

    def path(self, artifact: str) -> Path:
        return self._files[artifact]

    def derived(self, key: str) -> Path:
        raise AssertionError("nothing is derived")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made network with YAMNet's input and output: the score of each class of `TONES` is the amplitude of its tone over the patch,
    the others are 0."""
    import openvino as ov
    from openvino import opset13 as ops

    t = np.arange(PATCH) / RATE
    waves = np.stack([f(2 * np.pi * hertz * t) for hertz in TONES for f in (np.cos, np.sin)], axis=1) * 2 / PATCH
    places = np.zeros((len(TONES), CLASSES), np.float32)
    places[range(len(TONES)), list(TONES.values())] = 1
    waveform = ops.parameter([PATCH], np.float32, name="waveform")
    parts = ops.matmul(ops.unsqueeze(waveform, [0]), ops.constant(waves.astype(np.float32)), False, False)
    pairs = ops.reshape(ops.multiply(parts, parts), [len(TONES), 2], False)
    amplitude = ops.unsqueeze(ops.sqrt(ops.reduce_sum(pairs, [1])), [0])
    scores = ops.clamp(ops.matmul(amplitude, ops.constant(places), False, False), 0.0, 1.0)
    path = tmp_path_factory.mktemp("made") / "network.xml"
    ov.save_model(ov.Model([scores], [waveform], "made"), path, compress_to_fp16=False)
    return path


@pytest.fixture
def store(tmp_path: Path, made: Path) -> Store:
    return Store(tmp_path, made)


def tone(hertz: float, seconds: float, amplitude: float = 0.5) -> Sound:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def laid(seconds: float, *parts: tuple[float, Sound]) -> Sound:
    """Sounds from their instants on, over silence."""
    track = np.zeros(round(seconds * RATE), np.float32)
    for at_s, part in parts:
        track[round(at_s * RATE) :][: len(part)] += part
    return track


def heard(analyzer: Any, store: Store, sound: Sound) -> AnalyzerResult:
    """Without anything upstream: YAMNet hears all of it."""
    info = ClipInfo(Path("made.mp4"), 90, 160, len(sound) / RATE, 30.0, "h264", "yuv420p")
    assert analyzer.needs.upstream == () and analyzer.needs.audio.rate == RATE
    analyzer.load(store)
    result: AnalyzerResult = analyzer.analyze(Material("made", info, StrictPhases(), audio=sound))
    return result


def environment(**given: Any) -> AudioEnvironment:
    return AudioEnvironment(weights=WEIGHTS, **given)


def spans(result: AnalyzerResult) -> list[tuple[str, float, float]]:
    return [(event.label, round(event.start_s, 3), round(event.end_s, 3)) for event in result.events]


def test_groups_sound_while_their_patches_score_and_the_rest_is_silence(store: Store) -> None:
    """Of patch 5 (from 2.4375 s) the tone fills 0.4125 s: it scores 0.21 and belongs to what reaches 0.3 after it. Each patch stands
    for its middle half, so that the edges are exact to half a patch."""
    sound = laid(9.0, (3.0, tone(1000, 3.0)), (5.0, tone(440, 4.0)))
    result = heard(environment(), store, sound)
    speech = (5 * HOP_S + HOP_S / 2, 11 * HOP_S + PATCH_S - HOP_S / 2)
    music_from = 9 * HOP_S + HOP_S / 2
    assert spans(result) == [
        ("silence", 0.0, round(speech[0], 3)),
        ("speech", round(speech[0], 3), round(speech[1], 3)),
        ("music", round(music_from, 3), 9.0),
    ]
    silence, spoken, music = result.events
    assert (silence.score, silence.attributes) == (1.0, {"level_db": -100.0})
    assert spoken.attributes["level_db"] == pytest.approx(-9, abs=0.1)
    assert list(spoken.attributes["classes"]) == ["Speech", "made 1", "made 2"]
    assert next(iter(music.attributes["classes"])) == "Music" and 0.3 < music.score < 0.5


def test_a_place_is_named_where_its_classes_score(store: Store) -> None:
    outdoors = heard(environment(), store, tone(2000, 4) + tone(250, 4, 0.2)).events
    assert [(event.label, event.attributes["place"]) for event in outdoors] == [("noise", "outdoor")]
    assert outdoors[0].attributes["outdoor_score"] == pytest.approx(0.2, abs=0.02)
    assert outdoors[0].attributes["indoor_score"] == 0
    nowhere = heard(environment(), store, tone(2000, 4))
    assert "place" not in nowhere.events[0].attributes


def test_a_real_clip_is_heard_through_the_decoder(store: Store, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "tone.mp4", frames=90, audio_s=3.0)
    analyzer = environment()
    analyzer.load(store)
    sound = read_audio(clip, analyzer.needs.audio)  # type: ignore[arg-type]
    info = probe(clip)
    (music,) = analyzer.analyze(Material("tone", info, StrictPhases(), audio=sound)).events
    assert (music.label, music.start_s, music.end_s) == ("music", 0.0, info.duration_s)
    assert music.attributes["classes"]["Music"] == pytest.approx(0.47, abs=0.04)


def test_an_effect_begins_at_its_onset_and_one_that_swells_at_its_patch(store: Store) -> None:
    bed = (1e-4 * np.random.default_rng(0).standard_normal(round(9 * RATE))).astype(np.float32)
    swell = tone(3000, 3.0, 1.0) * np.sin(np.pi * np.arange(3 * RATE) / (3 * RATE)).astype(np.float32) ** 2
    found = heard(
        SoundEffects(weights=WEIGHTS), store, bed + laid(9.0, (1.7, tone(3000, 0.6)), (5.0, swell.astype(np.float32)))
    )
    sharp, soft = found.events
    assert (sharp.label, soft.label) == ("click", "click")
    assert sharp.start_s == pytest.approx(1.7, abs=0.03) and sharp.attributes["within_s"] == 0.01
    assert soft.attributes["within_s"] == pytest.approx(HOP_S, abs=1e-3)
    assert soft.start_s == pytest.approx(5.0, abs=0.7)
    assert next(iter(sharp.attributes["classes"])) == "Clicking"
    assert sharp.score == pytest.approx(0.5 * 0.6 / PATCH_S, abs=0.02)


def test_patches_that_are_silent_are_not_shown_to_the_network(made: Path) -> None:
    """And those that are shown score as if all had been."""
    network, sound = SmallNetwork(made, Feed(shape=(PATCH,))), laid(6.0, (3.0, tone(440, 1.0)))
    some, everything = (listen(network, sound, Hearing(silence_db=level)) for level in (-60.0, None))
    assert (some.asked.sum(), everything.asked.sum(), len(some.scores)) == (4, 12, 12)
    np.testing.assert_array_equal(some.scores, everything.scores)
    assert len(listen(network, sound, Hearing(every_s=PATCH_S)).scores) == 7
    assert len(listen(network, sound[:100], Hearing()).scores) == 1


def test_every_group_is_of_classes_that_exist_and_ground_truth_can_score_the_kinds() -> None:
    sounds = read_sounds()
    judged = yaml.safe_load((conf_dir() / "analyzer" / "sound_effects.yaml").read_text())["quality"]["labels"]
    assert set(judged) <= set(sounds.effects)
    assert 132 in sounds.environment["music"] and sounds.environment["silence"] == (494,)
    assert sounds.effects["bell"][:3] == (87, 195, 196)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"effects": {"a": [1], "b": ["0-3"]}}, "class 1 is in a and in b"),
        ({"effects": {"a": [521]}}, "less than 521"),
        ({"effects": {"a": ["many"]}}, "effects.a"),
        ({"places": {"indoor": [1]}}, "give indoor, outdoor"),
    ],
)
def test_wrong_groups_are_refused_in_one_line(tmp_path: Path, change: Mapping[str, Any], said: str) -> None:
    node = yaml.safe_load((conf_dir() / "sounds.yaml").read_text()) | change
    path = tmp_path / "sounds.yaml"
    path.write_text(yaml.safe_dump(node))
    with pytest.raises(ConfigError, match=said):
        read_sounds(path)


def test_wrong_settings_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"keep is 0\.5"):
        environment(hearing={"keep": 0.5})
    with pytest.raises(ConfigError, match="give yamnet, classes"):
        AudioEnvironment(weights={"yamnet": "made/yamnet"})
    other = tmp_path / "other.csv"
    other.write_text("index,mid,display_name\n0,/m/0,Speech\n")
    with pytest.raises(AnalyzerError, match="521 classes"):
        read_names(other)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of YAMNet with random weights."""
    if not (state := random_weights.available()).ok:
        pytest.skip(f"unavailable here: {state.reason}")
    folder = tmp_path_factory.mktemp("built")
    random_weights.prepare(folder, "yamnet")
    return folder


def test_openvino_runs_the_network_that_was_built_and_it_has_the_published_size(built: Path) -> None:
    import torch

    from reelbench.engines.architectures import yamnet

    torch.manual_seed(0)
    network = yamnet.network().eval()
    sizes = [tensor.numel() for name, tensor in network.named_parameters() if "weight" in name or "bias" in name]
    # 3.7 million weights are published; batch normalization has a scale here that the published one leaves out.
    assert sum(sizes) == 3_740_425
    sound = tone(1000, PATCH / RATE) + laid(PATCH / RATE, (0.5, tone(3000, 0.2)))
    with torch.no_grad():
        expected = yamnet.forward(network, torch.from_numpy(sound))["scores"].numpy()
    answer = SmallNetwork(random_weights.graph(built), Feed(shape=(PATCH,))).raw(sound)["scores"]
    assert answer.shape == (1, CLASSES)
    np.testing.assert_allclose(answer, expected, atol=1e-4)
    assert expected.std() > 0.01


def test_the_front_end_is_the_published_one() -> None:
    """64 bands between 125 and 7500 Hz, 96 frames, natural logarithm with an offset of 0.001: a tone of amplitude 0.5 is in the
    band that holds it, at half the sum of the Hann window (100) and less, shared with a neighbour; silence is log(0.001) everywhere."""
    torch = pytest.importorskip("torch")
    from reelbench.engines.architectures import yamnet

    front = yamnet.network()[0]
    quiet = front(torch.zeros(PATCH)).numpy()
    assert quiet.shape == (1, 1, 96, 64)
    np.testing.assert_allclose(quiet, np.log(0.001), rtol=1e-5)
    loud = np.exp(front(torch.from_numpy(tone(1000, PATCH / RATE))).numpy()[0, 0]) - 0.001
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    mel = 1127 * np.log1p(1000 / 700)
    band = int(loud.mean(axis=0).argmax())
    assert edges[band] < mel < edges[band + 2]
    assert loud.shape == (96, 64) and 40 < loud[:, band].mean() < 110
