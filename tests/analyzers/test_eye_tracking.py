"""eye_tracking: anchors, crops, following, blinks and looks; a real face that blinks."""

from __future__ import annotations

from dataclasses import replace
from math import pi
from pathlib import Path

import numpy as np
import pytest

from reelbench.analyzers.blaze.crops import Picture, Square, cover, cut
from reelbench.analyzers.blaze.ssd import Detected, anchors, blend
from reelbench.analyzers.eye_tracking import EyeTracking
from reelbench.analyzers.faces.events import BLINK, FACE, LOOKING, Clock, Judging, events, irises
from reelbench.analyzers.faces.follow import Track
from reelbench.analyzers.faces.looks import Look
from reelbench.errors import ConfigError
from reelbench.models.store import ModelStore
from reelbench.results import AnalyzerResult
from support.contract import ready


def test_the_anchors_are_those_of_the_published_networks() -> None:
    face, pose = anchors(128, (8, 16, 16, 16)), anchors(224, (8, 16, 32, 32, 32))
    assert (len(face), len(pose)) == (896, 2254)
    # Two at each of 16 × 16 places, then six at each of 8 × 8.
    assert face[0] == pytest.approx([1 / 32, 1 / 32]) and face[2] == pytest.approx([3 / 32, 1 / 32])
    assert face[512] == pytest.approx([1 / 16, 1 / 16]) and face[517] == pytest.approx(face[512])


def test_a_crop_is_turned_scaled_and_straightened_and_its_points_find_back() -> None:
    """A frame that was handed over at half the width: a bright spot lies where the crop says it lies."""
    image = np.zeros((200, 100, 3), np.uint8)  # displayed as 200 × 200
    image[118:123, 69:72] = 255  # around (141, 120.5) of the displayed frame
    square = Square(120, 110, 80, pi / 6)
    crop = cut(Picture(image, 200, 200), square, 64)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    found = square.to_frame(np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]), 64)[0]
    assert found == pytest.approx([141, 120.5], abs=1.0)


def test_a_long_frame_is_also_looked_at_closer() -> None:
    squares = cover(720, 1280, closer=True)
    assert len(cover(720, 1280, closer=False)) == 1 and len(squares) == 4
    assert [one.side for one in squares] == [1280, 720, 720, 720]
    assert (squares[1].y, squares[-1].y) == (360, 920)
    assert len(cover(600, 640, closer=True)) == 1


def test_overlapping_detections_are_averaged_by_their_scores() -> None:
    keys = np.zeros((2, 2), np.float32)
    near = [
        Detected(np.array([0, 0, 10, 10], np.float32), keys, 0.9),
        Detected(np.array([1, 0, 11, 10], np.float32), keys, 0.3),
    ]
    far = Detected(np.array([50, 50, 60, 60], np.float32), keys, 0.5)
    found = blend([near[1], far, near[0]])
    assert [one.score for one in found] == [0.9, 0.5]
    assert found[0].box[0] == pytest.approx(0.25)


def _looks(openness: list[float], yaw: list[float] | None = None, rate: float = 10.0) -> list[Look]:
    base = Look(0, (10, 10, 50, 60), 0.9, (20, 30, 40, 30), (20, 30, 40, 30), 0.3, 0, 0, 0, 0, 0)
    turned = yaw or [0.0] * len(openness)
    return [replace(base, t_s=at / rate, openness=value, gaze_yaw=turned[at]) for at, value in enumerate(openness)]


def _events_of(looks: list[Look], label: str) -> list[tuple[float, float]]:
    clock = Clock([one.t_s for one in looks], len(looks) / 10)
    found = events([Track(looks)], clock, 100, 100, Judging())
    return [(round(one.start_s, 3), round(one.end_s, 3)) for one in found if one.label == label]


def test_a_blink_is_short_and_has_open_eyes_on_both_sides() -> None:
    open_, shut = 0.3, 0.1
    assert _events_of(_looks([open_] * 5 + [shut] + [open_] * 5), BLINK) == [(0.5, 0.6)]
    assert _events_of(_looks([shut] * 2 + [open_] * 9), BLINK) == []
    assert _events_of(_looks([open_] * 20 + [shut] * 8 + [open_] * 20), BLINK) == []
    # Narrow eyes are not shut: what counts is what is usual for this face.
    assert _events_of(_looks([0.12] * 12), BLINK) == []


def test_looks_change_with_the_gaze_and_not_with_a_blink() -> None:
    looks = _looks([0.3] * 5 + [0.05] + [0.3] * 10, [0.0] * 5 + [40.0] + [0.0] * 4 + [30.0] * 6)
    assert _events_of(looks, LOOKING) == [(0.0, 1.0)]
    found = events([Track(looks)], Clock([one.t_s for one in looks], 1.6), 100, 100, Judging())
    assert [one.attributes["direction"] for one in found if one.label == "looking_away"] == ["right"]


def test_behind_closed_lids_an_iris_stays_in_its_socket() -> None:
    """The head moves, grows and turns while the eyes are shut, and what the network says of the irises is far off."""
    seen = _looks([0.3, 0.3, 0.05, 0.3, 0.3])
    seen = [replace(one, eyes=(22, 30, 42, 30)) for one in seen]  # both look a tenth of the sockets' distance aside
    seen[2] = replace(seen[2], eyes=(1, 2, 3, 4), sockets=(50, 50, 50, 90))  # twice as far apart, turned by 90 degrees
    found = irises(seen, np.array([one.openness < 0.2 for one in seen]))
    assert found[2] == pytest.approx([50, 54, 50, 94])
    assert found[1] == pytest.approx([22, 30, 42, 30])
    assert irises(seen, np.full(5, True))[2] == pytest.approx([1, 2, 3, 4])  # never seen open: as the network says


@pytest.fixture(scope="module")
def talking() -> Path:
    artifact = "footage/carphone_pristine.mp4"
    return ModelStore().ensure([artifact])[artifact]


@pytest.fixture(scope="module")
def seen(talking: Path) -> AnalyzerResult:
    return ready("eye_tracking", "optimized").on(talking)[0]


def test_a_man_who_talks_is_one_face_and_blinks(seen: AnalyzerResult) -> None:
    """By eye: he blinks at 1.4 s and at 3.05 s."""
    faces = [event for event in seen.events if event.label == FACE]
    assert len(faces) == 1 and faces[0].score > 0.9
    assert faces[0].start_s == 0 and faces[0].end_s == pytest.approx(seen.duration_s, abs=0.01)
    blinks = [event for event in seen.events if event.label == BLINK]
    for at in (1.4, 3.05):
        assert any(event.start_s - 0.1 <= at <= event.end_s + 0.1 for event in blinks), at
    assert len(blinks) <= 3


def test_following_needs_the_detector_seldom_and_finds_the_same_eyes(talking: Path, seen: AnalyzerResult) -> None:
    assert ready("eye_tracking", "optimized").analyzer.evidence().details["detections"] <= 6
    each = ready("eye_tracking", "optimized", "analyzer.follow=null")
    plain = each.on(talking)[0]
    assert each.analyzer.evidence().details["detections"] == plain.frames_sampled
    a, b = (
        np.array(next(event for event in result.events if event.label == FACE).attributes["eyes"])
        for result in (seen, plain)
    )
    assert np.abs(a - b)[:, 1:].max() < 4 and np.median(np.abs(a - b)[:, 1:]) < 1  # pixels of 176 × 144


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": {"mesh": "a"}},
        {"threshold": 1.5},
        {"size": [3]},
        {"follow": {"often": 1}},
        {"follow": {"face": 0.9}},
        {"judging": {"blink": 2}},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(wrong: dict[str, object]) -> None:
    weights = {"detector": "a", "mesh": "b", "iris": "c"}
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EyeTracking(**{"weights": weights, "sampling": {"rate": 5}, **wrong})  # type: ignore[arg-type]
