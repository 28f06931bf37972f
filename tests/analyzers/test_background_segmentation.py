"""background_segmentation: real people outlined, followed, and looked for only where object_detection saw them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reelbench.analyzers.background_segmentation import BackgroundSegmentation
from reelbench.analyzers.base import Material
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame
from reelbench.models.store import ModelStore
from reelbench.quality.masks import outlines_at, overlap
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases, ready


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    """512 × 512: a woman from the head to the hips."""
    artifact = "photographs/astronaut.png"
    with Image.open(ModelStore().ensure([artifact])[artifact]) as image:
        return np.asarray(image.convert("RGB"))


Analyze = Callable[..., AnalyzerResult]


@pytest.fixture(scope="module")
def analyze(astronaut: NDArray[np.uint8]) -> Analyze:
    def run(*overrides: str, upstream: dict[str, AnalyzerResult], frames: int = 4) -> AnalyzerResult:
        analyzer = ready("background_segmentation", "optimized", *overrides).analyzer
        info = ClipInfo(Path("clip.mp4"), 512, 512, frames / 2, 30.0, "h264", "yuv420p")
        shown = (Frame(astronaut, at / 2, at) for at in range(frames))
        return analyzer.analyze(Material("clip", info, StrictPhases(), shown, upstream=upstream))

    return run


def _detected(*events: Event) -> dict[str, AnalyzerResult]:
    return {"object_detection": AnalyzerResult(analyzer="object_detection", clip="clip", duration_s=2.0, events=events)}


HER = Event(start_s=0, end_s=2.0, label="person", score=0.9, box=(22, 16, 363, 512))


def test_the_outline_is_hers(analyze: Analyze) -> None:
    """Inside it are her face, chest and arm; outside the flag, the wall and the shuttle."""
    import cv2

    result = analyze(upstream=_detected(HER))
    (event,) = result.events
    assert event.label == "person" and event.score > 0.8 and len(event.track) == 4
    assert 0.3 < event.attributes["cover"] < 0.6
    (outline,) = outlines_at(result, 0.6)
    inside = [
        cv2.pointPolygonTest(outline.astype(np.float32), point, False) > 0
        for point in ((224, 120), (200, 350), (60, 400))
    ]
    outside = [
        cv2.pointPolygonTest(outline.astype(np.float32), point, False) < 0
        for point in ((20, 60), (420, 60), (400, 200))
    ]
    assert all(inside) and all(outside)


def test_where_nobody_was_detected_nothing_is_computed(analyze: Analyze) -> None:
    assert analyze(upstream=_detected()).events == ()
    assert ready("background_segmentation", "optimized").analyzer.evidence().details["detections"] == 0


def test_what_object_detection_saw_decides_who_is_outlined(analyze: Analyze) -> None:
    """Not the network's own score, which says little of people whose hips are out of sight; and what does not fit the
    box is nobody."""
    unsure = "analyzer.follow.person=0.9999"
    assert len(analyze(unsure, upstream=_detected(HER)).events) == 1
    assert analyze(unsure, upstream={}).events == ()
    shuttle = HER.model_copy(update={"box": (354.0, 0.0, 472.0, 285.0)})
    assert analyze(upstream=_detected(shuttle)).events == ()


def test_without_upstream_the_whole_frame_is_looked_at_and_shows_the_same(analyze: Analyze) -> None:
    with_boxes, alone = analyze(upstream=_detected(HER)), analyze(upstream={})
    assert len(alone.events) == 1
    assert overlap(outlines_at(with_boxes, 0.6), outlines_at(alone, 0.6)) > 0.85


def test_following_runs_the_detector_once(analyze: Analyze) -> None:
    """It stays the same person, but not quite the same outline: that is why it is off."""
    plain = analyze(upstream=_detected(HER))
    assert ready("background_segmentation", "optimized").analyzer.evidence().details["detections"] == 4
    remember = "analyzer.remember=true"
    followed = analyze(remember, upstream=_detected(HER))
    assert ready("background_segmentation", "optimized", remember).analyzer.evidence().details["detections"] == 1
    assert len(followed.events) == len(plain.events) == 1
    assert overlap(outlines_at(followed, 1.5), outlines_at(plain, 1.5)) > 0.65


@pytest.mark.parametrize("remember", ["true", "false"])
def test_two_people_stay_two_however_often_the_detector_looks(remember: str) -> None:
    artifact = "photographs/zidane.jpg"
    with Image.open(ModelStore().ensure([artifact])[artifact]) as image:
        picture = np.asarray(image.convert("RGB"))
    info = ClipInfo(Path("clip.mp4"), 1280, 720, 1.5, 30.0, "h264", "yuv420p")
    overrides = (f"analyzer.remember={remember}", "analyzer.follow.every_s=0.1")
    analyzer = ready("background_segmentation", "optimized", *overrides).analyzer
    shown = (Frame(picture, at / 2, at) for at in range(3))
    result = analyzer.analyze(Material("clip", info, StrictPhases(), shown))
    assert [len(event.track) for event in result.events] == [3, 3]


def test_a_mask_reaches_the_edges_of_the_frame(analyze: Analyze) -> None:
    """She is cut off by the lower edge: so is the outline."""
    (event,) = analyze(upstream=_detected(HER)).events
    assert event.box is not None and event.box[3] == 512


@pytest.mark.parametrize(
    "wrong", [{"threshold": 2}, {"people": 0}, {"follow": {"most": 0}}, {"follow": {"good": 0.2}}, {"sampling": {}}]
)
def test_what_makes_no_sense_is_refused_by_name(wrong: dict[str, object]) -> None:
    given = {"weights": {"detector": "a", "landmarks": "b"}, "sampling": {"rate": 1}, **wrong}
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BackgroundSegmentation(**given)  # type: ignore[arg-type]
