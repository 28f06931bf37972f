"""What is special about camera_analysis: directions, speeds, and that neither a cut nor a text is taken for a move."""

from __future__ import annotations

import numpy as np
import pytest

from reelbench.analyzers.camera_analysis import CameraAnalysis
from reelbench.errors import ConfigError
from support.moving import WIDTH, Picture, given, texture, window

TEN = 10.0
"""Frames a second."""


def analyzer() -> CameraAnalysis:
    return CameraAnalysis(sampling={"rate": 10}, points=120)


def labels(pictures: list[Picture]) -> dict[str, float]:
    """Each label with its speed."""
    result = given(analyzer(), pictures, TEN)
    return {event.label: event.attributes.get("speed", 0.0) for event in result.events}


@pytest.mark.parametrize(
    ("x", "y", "zoom", "label", "speed"),
    [
        (1.8, 0, 1.0, "pan_right", 1.8 * TEN / WIDTH),
        (-1.8, 0, 1.0, "pan_left", 1.8 * TEN / WIDTH),
        (0, 1.6, 1.0, "tilt_down", 1.6 * TEN / 160),
        (0, -1.6, 1.0, "tilt_up", 1.6 * TEN / 160),
        (0, 0, 1.01, "zoom_in", np.log2(1.01) * TEN),
        (0, 0, 1 / 1.01, "zoom_out", np.log2(1.01) * TEN),
    ],
)
def test_a_steady_move_has_its_name_and_its_speed(x: float, y: float, zoom: float, label: str, speed: float) -> None:
    picture = texture(1)
    found = labels([window(picture, 180 + x * i, 140 + y * i, 1.3 * zoom**i) for i in range(20)])
    scale = 1.0 if "zoom" in label else 1.3
    assert set(found) == {label}
    assert found[label] == pytest.approx(speed * scale, rel=0.25)


def test_what_does_not_move_is_still() -> None:
    assert set(labels([window(texture(2), 150)] * 15)) == {"still"}


def test_a_restless_hand_shakes_and_does_not_pan() -> None:
    sway = 3 * np.sin(2 * np.pi * 2.3 * np.arange(25) / TEN)
    assert set(labels([window(texture(3), 150 + dx, 100 + 0.7 * dx) for dx in sway])) == {"shake"}


def test_a_cut_is_no_move() -> None:
    shots = [window(texture(4), 100)] * 12 + [window(texture(5), 300)] * 12
    result = given(analyzer(), shots, TEN)
    assert {event.label for event in result.events} == {"still"}
    assert any(event.start_s == pytest.approx(1.2) for event in result.events)


def test_a_text_that_stands_does_not_hold_the_camera() -> None:
    text = np.random.default_rng(0).random((40, WIDTH)) > 0.5
    pictures = [window(texture(6), 100 + 1.5 * i) for i in range(15)]
    for picture in pictures:
        picture[60:100][text] = 255
    assert "pan_right" in labels(pictures) and "still" not in labels(pictures)


def test_limits_that_make_no_sense_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"analyzer\.limits"):
        CameraAnalysis(sampling={"rate": 10}, limits={"pan": 0})
