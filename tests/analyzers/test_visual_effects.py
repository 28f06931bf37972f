"""What is special about visual_effects: each effect is found where it is, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from reelbench.analyzers.visual_effects import VisualEffects
from support.moving import FPS, Picture, given, texture, window

FRAMES = 90
Edit = Callable[[list[Picture]], None]


def pan(seed: int = 1, frames: int = FRAMES, step: float = 1.2) -> list[Picture]:
    picture = texture(seed)
    return [window(picture, 60 + step * i) for i in range(frames)]


def found(pictures: list[Picture]) -> list[tuple[str, float, float]]:
    result = given(VisualEffects(sampling={"every": 1}), pictures)
    return [(event.label, event.start_s, event.end_s) for event in result.events]


def fade_in(pictures: list[Picture]) -> None:
    for i in range(24):
        pictures[i] = cv2.convertScaleAbs(pictures[i], alpha=(i + 0.5) / 24)


def fade_out(pictures: list[Picture]) -> None:
    for i in range(24):
        pictures[-1 - i] = cv2.convertScaleAbs(pictures[-1 - i], alpha=(i + 0.5) / 24)


def flash(pictures: list[Picture]) -> None:
    pictures[40:43] = [np.full_like(pictures[0], 245)] * 3


def freeze(pictures: list[Picture]) -> None:
    pictures[54:] = pictures[31:67]
    pictures[30:54] = [pictures[30]] * 24


def slow_motion(pictures: list[Picture]) -> None:
    pictures[30:60] = [pictures[30 + i // 2] for i in range(30)]


def blur(pictures: list[Picture]) -> None:
    pictures[30:60] = [cv2.GaussianBlur(one, (0, 0), 4) for one in pictures[30:60]]


def grayscale(pictures: list[Picture]) -> None:
    pictures[30:60] = [
        cv2.cvtColor(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for one in pictures[30:60]
    ]


def sepia(pictures: list[Picture]) -> None:
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    pictures[30:60] = [cv2.transform(one, matrix) for one in pictures[30:60]]


def dissolve(pictures: list[Picture]) -> None:
    pictures[:], other = pan(step=0.2), pan(seed=9, step=0.2)
    for i in range(20):
        share = (i + 1) / 21
        pictures[36 + i] = cv2.addWeighted(pictures[36 + i], 1 - share, other[36 + i], share, 0)
    pictures[56:] = other[56:]


@pytest.mark.parametrize(
    ("edit", "label", "first", "last"),
    [
        (fade_in, "fade", 0, 24),
        (fade_out, "fade", 66, 90),
        (flash, "flash", 40, 43),
        (freeze, "freeze", 30, 54),
        (slow_motion, "slow_motion", 30, 60),
        (blur, "blur", 30, 60),
        (grayscale, "grayscale", 30, 60),
        (sepia, "sepia", 30, 60),
        (dissolve, "dissolve", 36, 56),
    ],
)
def test_an_effect_is_found_alone_and_in_its_place(edit: Edit, label: str, first: int, last: int) -> None:
    pictures = pan()
    edit(pictures)
    ((name, start, end),) = found(pictures)
    assert name == label
    assert (start * FPS, end * FPS) == pytest.approx((first, last), abs=4)


def test_pans_cuts_and_stills_are_no_effects() -> None:
    still = [window(texture(7), 100)] * 40
    assert found([*pan(frames=45), *still, *pan(seed=8, frames=45)]) == []
