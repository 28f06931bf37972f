"""What is special about cut_analysis: cuts to the frame, gradual ones by kind, rhythm."""

from __future__ import annotations

import cv2
import pytest

from reelbench.analyzers.cut_analysis import CutAnalysis
from reelbench.analyzers.shots.detectors import AdaptiveCuts
from support.moving import FPS, Picture, given, texture, window


@pytest.fixture
def pictures() -> list[Picture]:
    """A cut at frame 40, a dissolve in frames 80 to 94."""
    pytest.importorskip("scenedetect", reason="PySceneDetect is not installed: pip install scenedetect-headless")
    shots = [[window(picture, 80 + 0.1 * i) for i in range(130)] for picture in map(texture, (1, 2, 3))]
    made = shots[0][:40] + shots[1][40:80]
    for i in range(15):
        share = (i + 1) / 16
        made.append(cv2.addWeighted(shots[1][80 + i], 1 - share, shots[2][80 + i], share, 0))
    return made + shots[2][95:]


def test_cuts_and_dissolves_make_the_rhythm(pictures: list[Picture]) -> None:
    result = given(CutAnalysis(AdaptiveCuts(gradual=True), {"every": 1}), pictures)
    cut, dissolve, clip = sorted(result.events, key=lambda event: (event.label == "clip", event.start_s))
    assert (cut.label, cut.start_s, cut.end_s) == ("cut", 40 / FPS, 40 / FPS)
    assert dissolve.label == "dissolve"
    assert (dissolve.start_s + dissolve.end_s) / 2 * FPS == pytest.approx(87.5, abs=3)
    assert clip.attributes["shots"] == 3
    assert clip.attributes["shortest_shot_s"] == pytest.approx(40 / FPS, abs=0.01)
    assert clip.attributes["cuts_per_min"] == pytest.approx(60 * 2 / (130 / FPS), abs=0.01)


def test_the_detector_alone_looks_for_hard_cuts_only(pictures: list[Picture]) -> None:
    result = given(CutAnalysis(AdaptiveCuts(), {"every": 1}), pictures)
    assert [event.start_s for event in result.events if event.label != "clip"] == [40 / FPS]
