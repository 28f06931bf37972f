"""age_estimation: crops as the networks know them, a known woman at a known age, faces from eye_tracking or from the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reelbench.analyzers.age_estimation import AgeEstimation
from reelbench.analyzers.base import Material
from reelbench.analyzers.faces.portraits import Sitter, frontal, square_of
from reelbench.errors import ConfigError
from reelbench.media.types import ClipInfo, Frame
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult, Event
from support.contract import StrictPhases, ready

EYES = (203.2, 101.2, 246.7, 103.2)
"""The irises of the photograph, by hand."""


def _run(
    picture: NDArray[np.uint8], variant: str, *overrides: str, upstream: dict[str, AnalyzerResult]
) -> AnalyzerResult:
    height, width = picture.shape[:2]
    info = ClipInfo(Path("clip.mp4"), width, height, 2.0, 30.0, "h264", "yuv420p")
    shown = (Frame(picture, at / 2, at) for at in range(4))
    analyzer = ready("age_estimation", variant, *overrides).analyzer
    return analyzer.analyze(Material("clip", info, StrictPhases(), shown, upstream=upstream))


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    artifact = "photographs/astronaut.png"
    with Image.open(ModelStore().ensure([artifact])[artifact]) as image:
        return np.asarray(image.convert("RGB"))


def _tracked(eyes: tuple[float, float, float, float] = EYES) -> dict[str, AnalyzerResult]:
    face = Event(
        start_s=0,
        end_s=2.0,
        label="face",
        score=1.0,
        box=(181, 80, 269, 178),
        attributes={"face": 0, "eyes": [[0.0, *eyes], [1.9, *eyes]]},
    )
    return {"eye_tracking": AnalyzerResult(analyzer="eye_tracking", clip="clip", duration_s=2.0, events=(face,))}


def test_the_eyes_lie_where_the_networks_expect_them() -> None:
    """dlib's chips with a padding of 0.2: both eyes 0.301 below the upper edge, at 0.305 and 0.681 of the width."""
    square = square_of(EYES)
    corners = square.to_frame(np.array([[0.3052, 0.3010], [0.6806, 0.3010]]), 1.0).reshape(-1)
    assert corners == pytest.approx(EYES, abs=0.3)


def test_the_known_woman_is_about_as_old_as_she_was(astronaut: NDArray[np.uint8]) -> None:
    """Eileen Collins at 41 or 42, from the eyes that are known."""
    (event,) = _run(astronaut, "optimized", upstream=_tracked()).events
    assert event.attributes["age_years"] == pytest.approx(42, abs=8)
    assert event.attributes["gender"] == "female" and event.attributes["gender_probability"] > 0.9
    assert event.attributes["looks"] == 4


def test_without_eye_tracking_the_detector_finds_her(astronaut: NDArray[np.uint8]) -> None:
    (event,) = _run(astronaut, "optimized", upstream={}).events
    assert event.box is not None and event.box[0] == pytest.approx(181, abs=12)
    assert event.attributes["age_years"] == pytest.approx(42, abs=12)
    assert (event.start_s, event.end_s) == (0, 2.0)
    assert ready("age_estimation", "optimized").analyzer.evidence().details["faces_from"] == "detector"


def test_a_face_that_is_looked_at_from_the_side_is_not_estimated(astronaut: NDArray[np.uint8]) -> None:
    assert not frontal((0, 0, 20, 0), (0, 0, 100, 100), 0.28) and frontal((0, 0, 30, 0), (0, 0, 100, 100), 0.28)
    assert _run(astronaut, "optimized", upstream=_tracked((203, 101, 220, 101))).events == ()


def test_looks_are_spread_over_a_face_s_time() -> None:
    sitter = Sitter(0.0, 10.0, 1.0, (0, 0, 1, 1), [], 0)
    when = []
    for t_s in range(10):
        if sitter.due(float(t_s), 2):
            when.append(t_s)
            sitter.estimates.append(None)  # type: ignore[arg-type]
    assert when == [0, 5]


@pytest.mark.parametrize("wrong", [{"looks": 0}, {"threshold": 0}, {"weights": {"age": "a"}}, {"size": [1, 2]}])
def test_what_makes_no_sense_is_refused_by_name(wrong: dict[str, object]) -> None:
    given = {"weights": {"detector": "a", "age": "b", "gender": "c"}, "sampling": {"rate": 1}, **wrong}
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AgeEstimation(**given)  # type: ignore[arg-type]
