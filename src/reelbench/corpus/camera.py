"""Where the camera looks at an instant, and what its moves are called.

Coordinates are continuous: pixel i covers i … i + 1, so a box is exact to a fraction of a pixel under every move.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.corpus.script import CameraKey, Shake, Shot

Matrix = NDArray[np.float64]
MOVE_PIXELS = 2.0
"""A camera key that shifts the picture by less than this is no pan or tilt."""
MOVE_ZOOM = 1.005


@dataclass(frozen=True, slots=True)
class View:
    x: float
    y: float
    zoom: float


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the frame that shows the photograph, in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.left + self.width, self.top + self.height


def window(shot: Shot, photograph: tuple[int, int], frame: tuple[int, int]) -> Window:
    """All of the frame, or the largest centred window of the letterbox's aspect, on whole pixels."""
    width, height = frame
    if shot.layout == "cover":
        return Window(0, 0, width, height)
    aspect = shot.aspect or photograph[0] / photograph[1]
    inner_width, inner_height = min(width, round(height * aspect)), min(height, round(width / aspect))
    return Window((width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height)


class Camera:
    """The camera of one shot. ``seed`` fixes the shake."""

    def __init__(self, shot: Shot, photograph: tuple[int, int], frame: tuple[int, int], seed: str) -> None:
        self.shot = shot
        self.size = photograph
        self.window = window(shot, photograph, frame)
        self.views = _views(shot.camera)
        self.shake = shot.shake or Shake(pixels=0)
        self._waves = _waves(self.shake, seed)
        angle = math.radians(self.shake.degrees)
        w, h = self.window.width, self.window.height
        # What the window can reach while it shakes must lie within the photograph too.
        self.reach = (
            w * math.cos(angle) + h * math.sin(angle) + 2 * self.shake.pixels,
            h * math.cos(angle) + w * math.sin(angle) + 2 * self.shake.pixels,
        )

    def view(self, t: float) -> View:
        """The eased view at ``t`` seconds of the shot; zoom moves by a constant factor, held before and after the keys."""
        keys = list(zip(self.shot.camera, self.views, strict=True))
        later = next((i for i, (key, _) in enumerate(keys) if key.at > t), None)
        if later is None:
            return keys[-1][1]
        if later == 0:
            return keys[0][1]
        (a, before), (b, after) = keys[later - 1], keys[later]
        w = (t - a.at) / (b.at - a.at)
        if self.shot.ease == "smooth":
            w = w * w * (3 - 2 * w)
        return View(
            before.x + w * (after.x - before.x),
            before.y + w * (after.y - before.y),
            before.zoom * (after.zoom / before.zoom) ** w,
        )

    def scale(self, zoom: float) -> float:
        """Frame pixels per photograph pixel."""
        return max(self.reach[0] / self.size[0], self.reach[1] / self.size[1]) * zoom

    def travel(self, zoom: float) -> tuple[float, float]:
        """How many pixels the photograph is larger than what the window reaches."""
        scale = self.scale(zoom)
        return max(0.0, scale * self.size[0] - self.reach[0]), max(0.0, scale * self.size[1] - self.reach[1])

    def matrix(self, t: float) -> Matrix:
        """2×3: photograph pixels to frame pixels at ``t`` seconds of the shot."""
        view = self.view(t)
        scale, (free_x, free_y) = self.scale(view.zoom), self.travel(view.zoom)
        centre_x, centre_y = self.window.left + self.window.width / 2, self.window.top + self.window.height / 2
        left = -self.reach[0] / 2 - view.x * free_x
        top = -self.reach[1] / 2 - view.y * free_y
        shift_x, shift_y, angle = (_wave(waves, t) for waves in self._waves)
        cos, sin = math.cos(angle), math.sin(angle)
        return np.array(
            [
                [cos * scale, -sin * scale, cos * left - sin * top + centre_x + shift_x],
                [sin * scale, cos * scale, sin * left + cos * top + centre_y + shift_y],
            ]
        )

    @property
    def moving(self) -> bool:
        return bool(self.shake.pixels or self.shake.degrees) or len(set(self.views)) > 1

    @property
    def largest_scale(self) -> float:
        return self.scale(max(view.zoom for view in self.views))

    def moves(self) -> list[tuple[float, float, str]]:
        """(start, end, label) in seconds of the shot, adjoining spans of one label joined; a pan to the right shows more of what
        lies right."""
        spans: list[tuple[float, float, str]] = []
        times = [key.at for key in self.shot.camera]
        for i in range(-1, len(times)):
            start = times[i] if i >= 0 else 0.0
            end = times[i + 1] if i + 1 < len(times) else self.shot.seconds
            if end <= start:
                continue
            inner = 0 <= i < len(times) - 1
            labels = self._labels(self.views[i], self.views[i + 1]) if inner else []
            spans.extend((start, end, label) for label in labels or ["still"])
        if self.shake.pixels or self.shake.degrees:
            spans = [span for span in spans if span[2] != "still"]
            spans.append((0.0, self.shot.seconds, "shake"))
        return _joined(spans)

    def _labels(self, a: View, b: View) -> list[str]:
        free_x, free_y = (max(pair) for pair in zip(self.travel(a.zoom), self.travel(b.zoom), strict=True))
        labels = []
        if abs(b.x - a.x) * free_x >= MOVE_PIXELS:
            labels.append("pan_right" if b.x > a.x else "pan_left")
        if abs(b.y - a.y) * free_y >= MOVE_PIXELS:
            labels.append("tilt_down" if b.y > a.y else "tilt_up")
        if max(a.zoom, b.zoom) / min(a.zoom, b.zoom) >= MOVE_ZOOM:
            labels.append("zoom_in" if b.zoom > a.zoom else "zoom_out")
        return labels


def _views(keys: tuple[CameraKey, ...]) -> list[View]:
    views, last = [], View(0.5, 0.5, 1.0)
    for key in keys:
        last = View(
            last.x if key.x is None else key.x,
            last.y if key.y is None else key.y,
            last.zoom if key.zoom is None else key.zoom,
        )
        views.append(last)
    return views


Waves = list[tuple[float, float, float]]


def _waves(shake: Shake, seed: str) -> tuple[Waves, Waves, Waves]:
    """Three sines an axis, (amplitude, hertz, phase), that never add up to more than the shake allows."""
    rng = random.Random(seed)  # seeded by a string: the same on every machine and version

    def axis(largest: float) -> Waves:
        parts = ((0.5, 0.6), (0.3, 1.0), (0.2, 1.7))
        return [
            (largest * share, shake.hertz * rate * rng.uniform(0.85, 1.15), rng.uniform(0, 2 * math.pi))
            for share, rate in parts
        ]

    return axis(shake.pixels), axis(shake.pixels), axis(math.radians(shake.degrees))


def _wave(waves: Waves, t: float) -> float:
    return sum(amplitude * math.sin(2 * math.pi * hertz * t + phase) for amplitude, hertz, phase in waves)


def _joined(spans: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    joined: list[tuple[float, float, str]] = []
    for label in dict.fromkeys(label for _, _, label in spans):
        for start, end, _ in sorted(span for span in spans if span[2] == label):
            if joined and joined[-1][2] == label and abs(joined[-1][1] - start) < 1e-9:
                joined[-1] = (joined[-1][0], end, label)
            else:
                joined.append((start, end, label))
    return sorted(joined)
