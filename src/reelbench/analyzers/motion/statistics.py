"""A few numbers for each frame, and a tiny picture of it, from which edits of a video can be told without a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.media.types import Image

TINY = (18, 32)
"""Width and height of the tiny picture: enough to tell pictures apart, little enough to keep for a whole clip (1.7 kB
a frame)."""
CHANGED = 6
"""Grey levels by which a pixel must differ to count as changed: more than what encoding the same picture twice does."""

CLIPPED, LEAST_UNCLIPPED = 245, 0.2

Series = NDArray[np.float64]


@dataclass(slots=True)
class Film:
    """A tiny RGB picture of each frame, and when it was shown."""

    times: list[float] = field(default_factory=list)
    tiny: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, image: Image, t_s: float) -> None:
        """One RGB frame."""
        import cv2

        self.tiny.append(np.asarray(cv2.resize(image, TINY, interpolation=cv2.INTER_AREA), np.uint8))
        self.times.append(t_s)

    def pictures(self, first: int, last: int) -> NDArray[np.float32]:
        """The tiny pictures of frames ``first`` … ``last`` − 1, each as one row of levels."""
        return np.stack(self.tiny[first:last]).reshape(last - first, -1).astype(np.float32)

    def luma(self) -> Series:
        """Mean level of each frame, 0…255."""
        return np.array([tiny.mean() for tiny in self.tiny])


@dataclass(slots=True)
class Seen(Film):
    """A film with what else was seen, one entry a frame.

    ``moved``: share of pixels that changed since the frame before (0 for the first). ``sharp``: standard deviation of
    the Laplacian over the mean level. ``tint``: by how much red exceeds green, and green blue, a grey level (slopes);
    ``stray``: how far colours lie off that line, in levels: median and upper quartile.
    """

    moved: list[float] = field(default_factory=list)
    sharp: list[float] = field(default_factory=list)
    tint: list[tuple[float, float]] = field(default_factory=list)
    stray: list[tuple[float, float]] = field(default_factory=list)
    _last: Any = None

    def add(self, image: Image, t_s: float) -> None:
        import cv2

        Film.add(self, image, t_s)
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if self._last is None:
            self.moved.append(0.0)
        else:
            _, changed = cv2.threshold(cv2.absdiff(gray, self._last), CHANGED, 1, cv2.THRESH_BINARY)
            self.moved.append(cv2.countNonZero(changed) / gray.size)
        _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
        self.sharp.append(float(deviation[0, 0]) / (float(self.tiny[-1].mean()) + 5.0))
        tint, stray = _colours(self.tiny[-1])
        self.tint.append(tint)
        self.stray.append(stray)
        self._last = gray


def _colours(tiny: NDArray[np.uint8]) -> tuple[tuple[float, float], tuple[float, float]]:
    # Where a channel is at its end, its share of the grey is not what it was.
    whole = tiny.reshape(-1, 3)[tiny.max(axis=2).ravel() < CLIPPED]
    if len(whole) < LEAST_UNCLIPPED * TINY[0] * TINY[1]:
        return (0.0, 0.0), (255.0, 255.0)
    red, green, blue = (whole[:, i].astype(np.float32) for i in range(3))
    grey = (red + green + blue) / 3
    square = float(grey @ grey) + 1.0
    first, second = red - green, green - blue
    a, b = float(first @ grey) / square, float(second @ grey) / square
    off = np.abs(first - a * grey) + np.abs(second - b * grey)
    middle, upper = np.percentile(off, (50, 75))
    return (a, b), (float(middle), float(upper))


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Correlation of two tiny pictures, -1…1; 0 where one of them is flat."""
    x, y = a.astype(np.float32).ravel(), b.astype(np.float32).ravel()
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / length if length > 1.0 else 0.0


def runs(flag: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch of True, the end excluded."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    for start, end in zip(steps[::2], steps[1::2], strict=True):
        yield int(start), int(end)


def hard_cuts(seen: Film) -> list[int]:
    """The first frames of new shots: the tiny picture changes far more than just before and after, and shows
    something else."""
    if len(seen.times) < 2:
        return []
    change = np.array([0.0] + [_distance(a, b) for a, b in pairwise(seen.tiny)])
    found = []
    for at in range(1, len(change)):
        around = np.concatenate([change[max(1, at - 3) : at], change[at + 1 : at + 4]])
        usual = float(around.mean()) if len(around) else 0.0
        if change[at] > max(10.0, 3.0 * usual) and alike(seen.tiny[at - 1], seen.tiny[at]) < 0.9:
            found.append(at)
    return found


def _distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
