"""The variant segformer of background_segmentation: a made network, whose answer is known, on real and made frames; and
where transformers is installed, its own preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelbench.analyzers.background_segmentation import BackgroundSegmentation
from reelbench.analyzers.base import Material
from reelbench.analyzers.person.ade20k import CLASSES, PERSON
from reelbench.analyzers.person.regions import SEGMENTER_FEED, fitted
from reelbench.config import compose, instantiate
from reelbench.corpus.clip import Truth, TruthMask
from reelbench.engines.openvino_small import SmallNetwork
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame
from reelbench.quality.masks import MaskQuality
from reelbench.results import AnalyzerResult, Event
from support.clips import make_clip
from support.contract import Ready, StrictPhases, photograph

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""ImageNet's, of values from 0 to 1."""
RED, BLUE, GREY = (230, 30, 30), (40, 60, 220), (128, 128, 128)
SIZE = (240, 320)
Picture = NDArray[np.uint8]


def _pixel_values() -> Any:
    """The input as the published file has it: every axis is open."""
    from openvino import opset13 as ops

    return ops.parameter([-1, -1, -1, -1], np.float32, name="pixel_values")


def _saved(given: Any, answer: Any, path: Path) -> Path:
    import openvino as ov

    answer.output(0).set_names({"logits"})
    ov.serialize(ov.Model([answer], [given], "made"), str(path))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made network with SegFormer's inputs and outputs: red is a person, blue is sky, all else is wall. It undoes the
    normalisation that it expects, so that wrong colours or a wrong order of channels show."""
    from openvino import opset13 as ops

    weights, bias = np.zeros((150, 3, 1, 1), np.float32), np.full((1, 150, 1, 1), -20, np.float32)
    for number, rgb in ((PERSON, (20, -10, -10)), (CLASSES.index("sky"), (-10, -10, 20))):
        weights[number, :, 0, 0] = np.array(rgb) * STD
        bias[0, number] = np.dot(rgb, MEAN) - 8
    bias[0, CLASSES.index("wall")] = 0
    given = _pixel_values()
    pooled = ops.avg_pool(given, [4, 4], [0, 0], [0, 0], [4, 4], exclude_pad=True)
    logits = ops.add(ops.convolution(pooled, weights, [1, 1], [0, 0], [0, 0], [1, 1]), bias)
    return _saved(given, logits, tmp_path_factory.mktemp("made") / "segmenter.xml")


class _Store:
    """A model store that has one file, whatever is asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def path(self, artifact: str) -> Path:
        return self._file

    def derived(self, key: str) -> Path:
        raise AssertionError("nothing is derived of given weights")


@pytest.fixture(scope="module")
def subject(made: Path) -> Ready:
    config = compose(["analyzer=background_segmentation", "variant=segformer"])
    analyzer: BackgroundSegmentation = instantiate(config.analyzer.constructor)
    analyzer.load(_Store(made))
    return Ready("background_segmentation", config, analyzer)


Show = Callable[[Sequence[Picture]], AnalyzerResult]


@pytest.fixture(scope="module")
def show(subject: Ready) -> Show:
    """Two frames a second, as decoded."""

    def run(pictures: Sequence[Picture]) -> AnalyzerResult:
        info = ClipInfo(Path("clip.mp4"), *SIZE, len(pictures) / 2, 30.0, "h264", "yuv420p")
        frames = (Frame(picture, at / 2, at) for at, picture in enumerate(pictures))
        return subject.analyzer.analyze(Material("clip", info, StrictPhases(), frames))

    return run


def _scene(*people: tuple[int, int, int, int], sky: int = 0) -> Picture:
    """Grey, ``sky`` rows of blue, and red boxes."""
    picture = np.full((SIZE[1], SIZE[0], 3), GREY, np.uint8)
    picture[:sky] = BLUE
    for x1, y1, x2, y2 in people:
        picture[y1:y2, x1:x2] = RED
    return picture


def _labelled(result: AnalyzerResult, label: str) -> list[Event]:
    return [event for event in result.events if event.label == label]


def test_people_of_a_real_clip_and_what_is_behind_them(subject: Ready, tmp_path: Path) -> None:
    """Somebody walks, somebody stands in a corner; both outlines are right, and so are wall and sky."""

    def walking(index: int) -> tuple[int, int, int, int]:
        return 20 + 2 * index, 120, 80 + 2 * index, 300

    standing = (180, 260, 240, 320)
    clip = make_clip(
        tmp_path / "clip.mp4", frames=45, size=SIZE, picture=lambda i: _scene(walking(i), standing, sky=80)
    )
    result, info = subject.on(clip)
    assert result.sampled_s == (0.0, 0.5, 1.0)
    people = _labelled(result, "person")
    assert [len(event.track) for event in people] == [3, 3]
    assert people[0].box_at(1.0).box == pytest.approx(walking(30), abs=3)  # type: ignore[union-attr]
    assert people[1].box == pytest.approx(standing, abs=3)
    assert people[1].attributes["cover"] == pytest.approx(60 * 60 / (240 * 320), rel=0.1)
    assert min(event.score for event in people) > 0.95
    masks = tuple(
        TruthMask(t_s=index / 30, polygons=tuple(_corners(box) for box in (walking(index), standing)))
        for index in (0, 15, 30)
    )
    scores = MaskQuality().against_truth({"clip": result}, {"clip": Truth(masks=masks)})
    assert scores.overall["iou"] > 0.93
    wall, sky = _labelled(result, "background")  # the larger share comes first
    assert (wall.text, sky.text) == ("wall", "sky")
    assert sky.attributes["share"] == pytest.approx(80 / 320, abs=0.02)
    assert wall.attributes["share"] == pytest.approx(1 - 80 / 320 - (60 * 180 + 60 * 60) / (240 * 320), abs=0.03)
    assert (sky.start_s, sky.end_s, sky.attributes["samples"]) == (0.0, info.duration_s, 3)


def _corners(box: tuple[int, int, int, int]) -> tuple[tuple[float, float], ...]:
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


def test_whoever_is_lost_for_a_moment_stays_the_same(show: Show) -> None:
    """Away for one second: the same person. For two, or elsewhere: somebody else."""
    here, there, nobody = _scene((20, 100, 100, 300)), _scene((150, 100, 220, 300)), _scene()
    people = _labelled(show([here, here, nobody, here, nobody, nobody, nobody, here, there]), "person")
    assert [[t_s for t_s, _ in event.attributes["masks"]] for event in people] == [[0, 0.5, 1.5], [3.5], [4.0]]
    assert [event.attributes["person"] for event in people] == [0, 1, 2]


def test_the_background_has_its_time(show: Show) -> None:
    """A sky that comes, misses one sample, and goes; what covers less than a twentieth is left out."""
    sky, little, wall = _scene(sky=160), _scene(sky=12), _scene()
    result = show([wall, sky, wall, sky, sky, wall, wall, wall, sky, little])
    found = [(event.text, event.start_s, event.end_s) for event in _labelled(result, "background")]
    assert found == [("wall", 0, 5.0), ("sky", 0.5, 2.5), ("sky", 4.0, 4.5)]


def test_a_background_is_nobody_to_the_metric(show: Show) -> None:
    empty = Truth(masks=(TruthMask(t_s=0.0),))
    assert MaskQuality().against_truth({"clip": show([_scene(sky=90)])}, {"clip": empty}).overall == {"false_people": 0}


def test_full_frames_are_resized_as_published(tmp_path: Path) -> None:
    """Against transformers' own image processor: a made network that puts its input out."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from openvino import opset13 as ops

    given = _pixel_values()
    network = SmallNetwork(_saved(given, ops.relu(ops.negative(given)), tmp_path / "low.xml"), SEGMENTER_FEED)
    other = SmallNetwork(_saved(given := _pixel_values(), ops.relu(given), tmp_path / "high.xml"), SEGMENTER_FEED)
    picture = photograph().copy()
    expected = transformers.SegformerImageProcessor()(picture, return_tensors="np")["pixel_values"][0]
    got = other(fitted(picture))["logits"] - network(fitted(picture))["logits"]
    assert got.shape == expected.shape == (3, 512, 512)
    assert np.abs(got - expected).max() < 0.02  # one of 255 steps is 0.0171


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"weights": {"segmenter": "a"}, "people": 0.4}, "people"),
        ({"weights": {"detector": "a", "landmarks": "b"}, "background": 0.1}, "background"),
        ({"weights": {"segmenter": "a"}, "background": 1}, "background"),
        ({"weights": {"segmenter": "a", "detector": "b"}}, "weights"),
        ({"weights": {"segmenter": "random"}}, "weights.segmenter"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        BackgroundSegmentation(**{"sampling": {"rate": 1}, **wrong})


def test_random_weights_are_not_scored() -> None:
    config = compose(["analyzer=background_segmentation", "variant=segformer", "analyzer.weights.segmenter=random"])
    analyzer = instantiate(config.analyzer.constructor)
    assert analyzer.quality_absent_reason and analyzer.weights == ()
