"""Which shots belong to one scene: shots that look alike and are near each other, and whatever lies between them.

The scene transition graph of Yeung, Yeo and Liu (Computer Vision and Image Understanding 71, 1998): shots are
clustered by look within a time limit, and a scene ends where no cluster reaches across. A cluster reaches across other
shots only where these interleave with it (a dialogue, as the parallel-event scenes of Tavanapong and Zhou, IEEE
Transactions on Multimedia 6, 2004) or are a short cutaway: a place that is left and returned to is two scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.shots.detectors import Change
from reelbench.analyzers.shots.network import HEIGHT, WIDTH, histograms

LOOKS = 3
"""From how many frames of a shot its look is taken, spread over it."""
GRID = (4, 3)
"""Columns and rows of the coarse picture that says where which colour is."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames ``first`` … ``last`` − 1, shown from ``start_s`` to ``end_s``."""

    first: int
    last: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Look:
    colours: Vector
    """Histogram of colours, square roots, of length 1."""
    layout: Vector
    """Coarse picture, levels 0…1."""


@dataclass(frozen=True, slots=True)
class Scene:
    """``shots`` are numbers of shots; ``place``: scenes of one place have the same number, 0 for the first that is
    seen."""

    shots: tuple[int, ...]
    start_s: float
    end_s: float
    place: int
    likeness: float


def shots(times: Sequence[float], changes: Sequence[Change], end_s: float) -> list[Shot]:
    """What lies between the changes; frames of a gradual one belong to neither side, its middle is the boundary."""
    edges = [Change(0.0, 0.0, "cut", 1.0), *changes, Change(end_s, end_s, "cut", 1.0)]
    found = []
    for before, after in pairwise(edges):
        # The frames of the boundary itself stay in, where nothing is between.
        inside = [i for i, t in enumerate(times) if before.end_s <= t < after.start_s]
        inside = inside or [i for i, t in enumerate(times) if before.at_s <= t < after.at_s]
        if inside:
            found.append(Shot(inside[0], inside[-1] + 1, before.at_s, after.at_s))
    return found


def look(pictures: Sequence[NDArray[np.uint8]], shot: Shot) -> Look:
    """Of a few frames of the shot, away from its ends. Pictures are RGB, of any size."""
    import cv2

    share = (np.arange(LOOKS) + 0.5) / LOOKS
    picked = [pictures[int(shot.first + (shot.last - shot.first) * at)] for at in share]
    chosen = np.stack([cv2.resize(one, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for one in picked])
    colours = np.sqrt(histograms(chosen)).mean(axis=0)
    layout = (
        np.stack([cv2.resize(one, GRID, interpolation=cv2.INTER_AREA) for one in chosen]).mean(axis=0).ravel() / 255
    )
    return Look(colours / max(1e-9, float(np.linalg.norm(colours))), layout.astype(np.float32))


def likeness(a: Look, b: Look, layout_share: float) -> float:
    """0…1: cosine of the histograms' square roots, and how near the coarse pictures are."""
    colours = float(a.colours @ b.colours)
    layout = 1.0 - min(1.0, 2.0 * float(np.abs(a.layout - b.layout).mean()))
    return (1 - layout_share) * colours + layout_share * layout


def scenes(
    found: Sequence[Shot],
    looks: Sequence[Look],
    alike: float,
    reach_s: float,
    reach_shots: int,
    layout_share: float,
    cutaway_s: float,
) -> list[Scene]:
    """Groups of neighbouring shots. Two shots are linked where their ``likeness`` is at least ``alike``, at most
    ``reach_shots`` shots apart and ``reach_s`` seconds between the end of one and the beginning of the other; where
    what lies between is longer than ``cutaway_s``, one of its shots must look like one beyond either of the two."""
    count = len(found)
    like = np.array([[likeness(a, b, layout_share) for b in looks] for a in looks]).reshape(count, count)
    near = [
        (i, j)
        for i in range(count)
        for j in range(i + 1, min(count, i + 1 + reach_shots))
        if like[i, j] >= alike and found[j].start_s - found[i].end_s <= reach_s
    ]
    farthest = list(range(count))
    for i, j in near:
        interleaved = any(i < a < j < b or a < i < b < j for a, b in near)
        if j == i + 1 or found[j].start_s - found[i].end_s <= cutaway_s or interleaved:
            farthest[i] = j
    grouped: list[Scene] = []
    first, last = 0, 0
    for i in range(count):
        last = max(last, farthest[i])
        if i == last:
            grouped.append(_scene(found, like, range(first, i + 1), grouped, alike))
            first, last = i + 1, i + 1
    return grouped


def _scene(
    found: Sequence[Shot], like: NDArray[np.float64], numbers: range, before: Sequence[Scene], alike: float
) -> Scene:
    """Its place is that of the earlier scene that looks most like it, where one looks enough like it."""
    closest = max(((float(like[np.ix_(one.shots, numbers)].max()), one.place) for one in before), default=(0.0, 0))
    place = closest[1] if closest[0] >= alike else max((one.place for one in before), default=-1) + 1
    inner = [float(like[i, j]) for i in numbers for j in numbers if i < j]
    start, end = found[numbers[0]].start_s, found[numbers[-1]].end_s
    return Scene(tuple(numbers), start, end, place, max(inner, default=1.0))
