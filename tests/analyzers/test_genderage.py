"""age_estimation insightface: the crop and the answers of a made network that are known by construction."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reelbench.analyzers.age_estimation import AgeEstimation
from reelbench.analyzers.base import Material
from reelbench.analyzers.blaze.crops import Picture, cut
from reelbench.analyzers.faces import genderage
from reelbench.config import compose, instantiate
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame
from reelbench.models.catalog import Catalog
from reelbench.models.licences import kind_of
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult, Event
from support.clips import make_clip
from support.contract import Ready, StrictPhases

VARIANT = ["analyzer=age_estimation", "variant=insightface"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made network with the published input and output, whose batch is open as in the published file: female is the mean of the
    crop's left half in red, male that of its right half in green, both over 32; the centuries are the mean of all blue over 510."""
    import openvino as ov
    from openvino import opset13 as ops

    data = ops.parameter([-1, 3, 96, 96], np.float32, name="data")

    def mean(channel: int, left: int, right: int, over: float) -> Any:
        part = ops.slice(data, [0, channel, 0, left], [9999, channel + 1, 96, right], [1, 1, 1, 1])
        return ops.divide(ops.reduce_mean(part, [2, 3], keep_dims=False), np.float32(over))

    answer = ops.concat([mean(0, 0, 48, 32), mean(1, 48, 96, 32), mean(2, 0, 96, 510)], axis=1)
    answer.output(0).set_names({"fc1"})
    path = tmp_path_factory.mktemp("made") / "genderage.xml"
    ov.save_model(ov.Model([answer], [data]), path, compress_to_fp16=False)
    return path


def _analyzer(made: Path, *overrides: str) -> Ready:
    config = compose([*VARIANT, *overrides])
    analyzer = instantiate(config.analyzer.constructor)
    store = ModelStore()
    store.ensure([name for name in analyzer.weights if not name.startswith("insightface/")])
    analyzer.load(SimpleNamespace(path=lambda name: made if name.startswith("insightface/") else store.path(name)))
    return Ready("age_estimation", config, analyzer)


def _painted() -> NDArray[np.uint8]:
    """A box of 40×60 at (100, 50): red and blue in its left half, green and blue in its right half; black around it."""
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[50:110, 100:120] = (200, 0, 204)
    picture[50:110, 120:140] = (0, 80, 204)
    return picture


def _known(box: tuple[float, float, float, float]) -> dict[str, AnalyzerResult]:
    eyes = [box[0] + 10, 70.0, box[2] - 10, 70.0]
    face = Event(
        start_s=0, end_s=2.0, label="face", score=1.0, box=box, attributes={"eyes": [[0.0, *eyes], [1.9, *eyes]]}
    )
    return {"eye_tracking": AnalyzerResult(analyzer="eye_tracking", clip="clip", duration_s=2.0, events=(face,))}


@pytest.mark.parametrize("mirror", [False, True])
def test_the_square_around_the_box_gives_age_and_gender(made: Path, mirror: bool) -> None:
    """1.5 times 60 pixels: the box fills 2400 of 8100 of the crop, each of its halves 1200 of 4050 of the crop's half."""
    ready = _analyzer(made, f"analyzer.mirror={mirror}")
    info = ClipInfo(Path("clip.mp4"), 320, 240, 2.0, 30.0, "h264", "yuv420p")
    shown = (Frame(_painted(), at / 2, at) for at in range(4))
    given = Material("clip", info, StrictPhases(), shown, upstream=_known((100, 50, 140, 110)))
    (event,) = ready.analyzer.analyze(given).events
    share = 2400 / 8100
    assert event.attributes["age_years"] == pytest.approx(100 * share * 204 / 510, abs=0.2)
    # Mirrored, red lies on the right and green on the left: neither counts, and the two are level.
    female = 1 / (1 + np.exp((80 - 200) * share / 32))
    expected = (female + 0.5) / 2 if mirror else female
    assert event.attributes["gender"] == "female"
    assert event.attributes["gender_probability"] == pytest.approx(expected, abs=0.01)


def test_a_face_of_a_real_clip_goes_the_whole_way(made: Path, tmp_path: Path) -> None:
    """Eileen Collins's photograph, decoded, found by eye_tracking, cut out: the answer is that of her crop."""
    artifact = "photographs/astronaut.png"
    with Image.open(ModelStore().ensure([artifact])[artifact]) as image:
        photo = np.asarray(image.convert("RGB").crop((90, 0, 346, 320)))
    clip = make_clip(tmp_path / "face.mp4", frames=30, size=(256, 320), picture=lambda index: photo)
    ready = _analyzer(made, "analyzer.size=null", "analyzer.mirror=false")
    (event,) = ready.on(clip)[0].events
    assert ready.analyzer.evidence().details["faces_from"] == "eye_tracking"
    assert event.box is not None
    crop = cut(Picture(photo, 256, 320), genderage.square_of_box(event.box), 96)
    assert event.attributes["age_years"] == pytest.approx(100 * crop[..., 2].mean() / 510, abs=1.0)
    assert 10 < event.attributes["age_years"] < 40


def test_the_crop_is_insightface_s() -> None:
    """Its own formula: scale 96 / (1.5 × the longer side), the box's middle onto 48, no turn. It counts pixels from their
    corners, we from their middles: half a pixel of the crop apart."""
    import cv2

    rows, columns = np.mgrid[0:200, 0:200]
    picture = np.stack([columns, rows, (rows + columns) // 2], axis=-1).astype(np.uint8)
    x1, y1, x2, y2 = 60.0, 50.0, 120.0, 126.0
    scale = 96 / (1.5 * max(x2 - x1, y2 - y1))
    matrix = np.array([[scale, 0, 48 - scale * (x1 + x2) / 2], [0, scale, 48 - scale * (y1 + y2) / 2]])
    theirs = cv2.warpAffine(picture, matrix, (96, 96))
    ours = cut(Picture(picture, 200, 200), genderage.square_of_box((x1, y1, x2, y2)), 96)
    assert np.abs(ours.astype(float) - theirs).max() <= 1


def test_roles_are_the_one_network_or_the_two_and_random_is_never_scored() -> None:
    given = {"sampling": {"rate": 1}}
    with pytest.raises(ConfigError, match="age"):
        AgeEstimation({"detector": "a", "age": "b", "genderage": "c"}, **given)
    analyzer = instantiate(compose(VARIANT).analyzer.constructor)
    assert analyzer.weights == ("mediapipe/face_detection_short_range.tflite", "insightface/genderage.onnx")
    assert analyzer.quality_absent_reason == ""
    random = instantiate(compose([*VARIANT, "analyzer.weights.genderage=random"]).analyzer.constructor)
    assert random.weights == analyzer.weights[:1] and "random" in random.quality_absent_reason


def test_its_licence_is_known_to_forbid_commerce() -> None:
    assert kind_of(Catalog.load()["insightface/genderage.onnx"].licence) == "non-commercial"
