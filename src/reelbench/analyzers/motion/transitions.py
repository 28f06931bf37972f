"""Fades and dissolves, from tiny pictures of all frames.

A fade scales one picture down to black (or up to white) or back. A dissolve is a straight line from one picture to
another: each frame in between lies on it, in proportion to its time, which no camera move and no cut does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.motion.statistics import Film, Series, alike

FADED = 0.3
"""A fade leaves at most this share of the light."""
LENGTHS_S = (0.3, 0.4, 0.55, 0.75, 1.0, 1.3)
DIFFERENT = 25.0
"""Root mean square difference in levels between the two ends of a dissolve."""
OFF_LINE = (0.16, 0.26)
FAR_APART = (40.0, 60.0)
"""How far the frames of a dissolve may lie off the line, as a share of its length, because things move meanwhile; the
more so the farther apart its ends are in levels, since no camera move changes a picture so much in so short a time."""
SAME_PICTURE, SAME_FADED = 0.8, 0.7
"""Two ends that correlate more than this show the same picture."""
DARK = 0.12
"""An end with at most this share of the other's light is black."""
LEAST_S, MOST_S = 0.2, 2.5


@dataclass(frozen=True, slots=True)
class Transition:
    """Frames ``first`` … ``last`` − 1. ``kind``: 'fade' or 'dissolve'; ``through``: 'black', 'white' or ''."""

    first: int
    last: int
    kind: str
    score: float
    through: str = ""


def transitions(seen: Film) -> list[Transition]:
    if len(seen.times) < 4:
        return []
    luma = seen.luma()
    found = [*_fades(seen, luma, "black"), *_fades(seen, 255 - luma, "white")]
    for one in _dissolves(seen):
        if all(one.last <= other.first or one.first >= other.last for other in found):
            found.append(one)
    return sorted(found, key=lambda one: one.first)


def _fades(seen: Film, light: Series, through: str) -> Iterator[Transition]:
    """Around each darkest place: out to where it stops getting lighter, on either side."""
    last = -1
    for at in _valleys(light):
        if at <= last:
            continue
        left, right = _climb(seen, light, at, -1), _climb(seen, light, at, 1)
        if left == right:
            continue
        last = right
        stays = np.flatnonzero(light[left : right + 1] < 0.08 * light[left : right + 1].max() + 2) + left
        first_dark, last_dark = (int(stays[0]), int(stays[-1])) if len(stays) else (at, at)
        # The frame at the far side is the first or last whole one.
        whole = (left + (left != at), right + (right == at))
        score = 1.0 - float(light[at]) / float(max(light[left], light[right]))
        if seen.times[last_dark] - seen.times[first_dark] > 0.5:
            spans = [(whole[0], first_dark + 1), (last_dark, whole[1])]
            yield from (Transition(a, b, "fade", score, through) for a, b in spans if b - a > 2)
        else:
            yield Transition(*whole, "fade", score, through)


def _valleys(light: Series) -> list[int]:
    """Frames that are darker than what is around them, the darkest first of equal ones."""
    before = np.concatenate([[np.inf], light[:-1]])
    after = np.concatenate([light[1:], [np.inf]])
    return [int(at) for at in np.flatnonzero((light <= before) & (light < after) & (light < FADED * light.max()))]


def _climb(seen: Film, light: Series, at: int, step: int) -> int:
    """The frame where it stops getting lighter, or ``at`` where that is no fade: too short, too little, not even,
    another picture."""
    top, misses, i = at, 0, at
    while 0 <= i + step < len(light) and misses < 3 and abs(seen.times[i + step] - seen.times[at]) <= MOST_S:
        i += step
        if light[i] > light[top] * 1.004 + 0.1:
            top, misses = i, 0
        else:
            misses += 1
    rise = float(light[top] - light[at])
    path = light[min(at, top) : max(at, top) + 1]
    if abs(seen.times[top] - seen.times[at]) < LEAST_S or light[at] > FADED * light[top] or rise < 15:
        return at
    if float(np.abs(np.diff(path)).max()) > 0.35 * rise:
        return at
    nearer = (at + 3 * top) // 4
    return top if alike(seen.tiny[nearer], seen.tiny[top]) > SAME_FADED else at


def _dissolves(seen: Film) -> list[Transition]:
    """The straightest lines, none overlapping another."""
    gap = float(np.median(np.diff(seen.times)))
    candidates: list[tuple[float, int, int]] = []
    for length_s in LENGTHS_S:
        n = max(4, round(length_s / gap))
        if n < len(seen.times):
            candidates += _lines(seen, n)
    found: list[Transition] = []
    for score, first, last in sorted(candidates, key=lambda one: (-one[0], one[1])):
        first, last = _extended(seen, first, last)
        if any(first < other.last and other.first < last for other in found):
            continue
        if LEAST_S <= seen.times[last] - seen.times[first] <= MOST_S:
            found.append(_named(seen, first, last, min(1.0, score)))
    return found


def _named(seen: Film, first: int, last: int, score: float) -> Transition:
    """A line that begins or ends in the dark is a fade, of a picture that moves so much that it was not known again."""
    ends = sorted(float(seen.tiny[at].mean()) for at in (first, last))
    if ends[0] > DARK * ends[1] + 2:
        return Transition(first + 1, last, "dissolve", score)
    count = len(seen.times)
    return Transition(0 if first <= 1 else first + 1, count if last >= count - 2 else last, "fade", score, "black")


def _lines(seen: Film, n: int, block: int = 256) -> Iterator[tuple[float, int, int]]:
    """(score, first, last) of stretches of ``n`` frames that lie on a line. Taken in blocks, so that memory does not
    grow with the clip."""
    count = len(seen.times) - n
    for low in range(0, count, block):
        high = min(count, low + block)
        rows = seen.pictures(low, high + n)
        starts, ends = rows[: high - low], rows[n : n + high - low]
        apart = np.sqrt(((ends - starts) ** 2).mean(axis=1))
        off = np.zeros(high - low)
        for quarter in (1, 2, 3):
            k = round(n * quarter / 4)
            between = starts + (ends - starts) * (k / n)
            off = np.maximum(off, np.sqrt(((rows[k : k + high - low] - between) ** 2).mean(axis=1)))
        ratio = off / np.maximum(apart, 1e-6)
        allowed = np.interp(apart, FAR_APART, OFF_LINE)
        for i in np.flatnonzero((apart > DIFFERENT) & (ratio < allowed)):
            first = low + int(i)
            if alike(seen.tiny[first], seen.tiny[first + n]) < SAME_PICTURE:
                # Farther apart is better: of two lines within one dissolve the longer one.
                yield float((1 - ratio[i]) * min(1.0, apart[i] / 60)), first, first + n


def _extended(seen: Film, first: int, last: int) -> tuple[int, int]:
    """On both sides for as long as frames go on along the line at half of its pace or more."""
    rows = seen.pictures(first, last + 1)
    line: NDArray[np.float32] = rows[-1] - rows[0]
    pace = 1.0 / (last - first)
    square = float(line @ line)

    def along(a: int, b: int) -> float:
        pair = seen.pictures(a, b + 1)
        return float((pair[-1] - pair[0]) @ line) / square

    while first > 0 and along(first - 1, first) > 0.5 * pace and last - first < 90:
        first -= 1
    while last < len(seen.times) - 1 and along(last, last + 1) > 0.5 * pace and last - first < 90:
        last += 1
    while last - first > 4 and along(first, first + 1) < 0.5 * pace:
        first += 1
    while last - first > 4 and along(last - 1, last) < 0.5 * pace:
        last -= 1
    return first, last
