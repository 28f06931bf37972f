"""From the motion between frames to the camera's moves: what lasts is a pan, a tilt or a zoom, what goes to and fro
is shake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.motion.flow import Motion

Series = NDArray[np.float64]
STILL, SHAKE = "still", "shake"
BELIEVED = 0.4
"""A motion on which fewer of the points agree is none: at a cut or in a dissolve there are two pictures."""

UNEVEN = 0.18
"""A pan may be uneven by this share of its speed before it is called shaken."""

RESTS = 0.2
"""What moves at less than this share of the second around it rests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Below ``pan`` (widths or heights a second) nothing pans or tilts, below ``zoom`` (natural logarithm a second)
    nothing zooms, below ``shake`` (widths a second, root mean square of what is left without the steady part) nothing
    shakes. ``window_s``: what is steady for so long is a move. ``least_s``: shorter moves are left out, and shorter
    gaps in one are closed. ``beside``: next to a zoom only what shifts faster than that many times the zoom is a pan:
    a zoom towards something beside the middle shifts the middle, too."""

    pan: float = 0.005
    zoom: float = 0.004
    shake: float = 0.01
    window_s: float = 1.0
    least_s: float = 0.5
    beside: float = 0.15

    def __post_init__(self) -> None:
        if min(self.pan, self.zoom, self.shake, self.window_s, self.least_s, self.beside) <= 0:
            raise ValueError("limits must be above 0")


@dataclass(frozen=True, slots=True)
class Move:
    """``speed`` in widths (pans, shake), heights (tilts) or doublings (zooms) a second; ``share`` of the points that
    agreed."""

    start_s: float
    end_s: float
    label: str
    speed: float
    share: float


def moves(times: Sequence[float], motions: Sequence[Motion | None], end_s: float, limits: Limits) -> list[Move]:
    """All moves of a clip in time order. ``motions`` has one entry for each instant, what happened since the instant
    before."""
    found = []
    for first, last in _shots(motions):
        found += _of_shot(times, motions, first, last, end_s if last == len(times) else times[last], limits)
    return sorted(found, key=lambda move: (move.start_s, move.label))


def _shots(motions: Sequence[Motion | None]) -> Iterator[tuple[int, int]]:
    """Stretches of instants without a break in between."""
    first = 0
    for at in range(1, len(motions)):
        motion = motions[at]
        if motion is None or motion.share < BELIEVED:
            if at > first:
                yield first, at
            first = at
    if first < len(motions):
        yield first, len(motions)


def _of_shot(
    times: Sequence[float], motions: Sequence[Motion | None], first: int, last: int, end_s: float, limits: Limits
) -> list[Move]:
    pairs = [(times[i] - times[i - 1], motions[i]) for i in range(first + 1, last)]
    known = [(gap, motion) for gap, motion in pairs if motion is not None and gap > 0]
    edges = [times[first], *times[first + 1 : last - 1], end_s] if last - first > 1 else [times[first], end_s]
    if len(known) < 2:
        return [Move(times[first], end_s, STILL, 0.0, 0.0)] if end_s - times[first] >= limits.least_s else []
    rate = np.array([[m.x / gap, m.y / gap, m.zoom / gap] for gap, m in known])
    share = np.array([motion.share for _, motion in known])
    width = max(1, round(limits.window_s / float(np.median([gap for gap, _ in known]))))
    steady = np.stack([_steady(series, width) for series in rate.T], axis=1)
    trend = np.stack([_steady(series, max(1, width // 2)) for series in rate.T], axis=1)
    left = np.hypot(*(rate - trend)[:, :2].T)
    # The middle one of its window: where a move begins or ends only a few are large, where it shakes most are.
    shaking = np.sqrt(_middle(left**2, width))
    # A pan that speeds up or slows down leaves something, too.
    shakes = shaking > np.maximum(limits.shake, UNEVEN * np.hypot(*steady[:, :2].T))
    brief = np.stack([_steady(series, max(1, width // 3)) for series in rate.T], axis=1)
    flags = _flags(steady, np.where(shakes[:, None], steady, brief), shaking, shakes, limits)
    flags[SHAKE] = shakes
    speeds = {"pan": np.abs(steady[:, 0]), "tilt": np.abs(steady[:, 1]), "zoom": np.abs(steady[:, 2]) / np.log(2)}
    found, moving = [], np.zeros(len(known), bool)
    for label, flag in flags.items():
        kept = _tidied(flag, edges, limits.least_s)
        moving |= kept
        speed = shaking if label == SHAKE else speeds[label.partition("_")[0]]
        found += [_move(label, run, edges, speed, share) for run in _runs(kept)]
    found += [_move(STILL, run, edges, shaking * 0, share) for run in _runs(_tidied(~moving, edges, limits.least_s))]
    return found


def _flags(
    steady: Series, brief: Series, shaking: Series, shakes: NDArray[np.bool_], limits: Limits
) -> dict[str, NDArray[np.bool_]]:
    """Which moves hold when. While it shakes, and beside a zoom whose centre lies within the picture, a pan must be
    plain."""
    x, y, zoom = steady.T
    zooms = np.abs(zoom) > np.maximum(limits.zoom, np.where(shakes, 0.15 * shaking, 0))
    beside = np.where(zooms, limits.beside * np.abs(zoom), 0)
    least = np.maximum(np.maximum(limits.pan, beside), np.where(shakes, 0.35 * shaking, 0))
    # What has come to rest does not move any more, though the second around it did.
    goes = (np.abs(brief) > RESTS * np.abs(steady)).T
    return {
        "pan_right": (x < -least) & goes[0],
        "pan_left": (x > least) & goes[0],
        "tilt_down": (y < -least) & goes[1],
        "tilt_up": (y > least) & goes[1],
        "zoom_in": zooms & (zoom > 0) & goes[2],
        "zoom_out": zooms & (zoom < 0) & goes[2],
    }


def _steady(series: Series, width: int) -> Series:
    """The mean over ``width`` values around each; at the ends over those that there are."""
    half = width // 2
    total = np.concatenate([[0.0], np.cumsum(series)])
    at = np.arange(len(series))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(series))
    return np.asarray((total[high] - total[low]) / (high - low))


def _middle(series: Series, width: int) -> Series:
    """The median of ``width`` values around each; at the ends of those that there are, mirrored."""
    half = min(width // 2, len(series) - 1)
    padded = np.pad(series, half, mode="reflect")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1))


def _tidied(flag: NDArray[np.bool_], edges: Sequence[float], least_s: float) -> NDArray[np.bool_]:
    """Without gaps and then without runs that are shorter than ``least_s``."""
    kept = flag.copy()
    for wanted in (False, True):
        for start, end in _runs(kept == wanted):
            inner = wanted or (start > 0 and end < len(kept))
            if inner and edges[end] - edges[start] < least_s:
                kept[start:end] = not wanted
    return kept


def _runs(flag: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) of each stretch of True, the end excluded."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _move(label: str, run: tuple[int, int], edges: Sequence[float], speed: Series, share: Series) -> Move:
    inside = slice(*run)
    return Move(edges[run[0]], edges[run[1]], label, float(speed[inside].mean()), float(share[inside].mean()))
