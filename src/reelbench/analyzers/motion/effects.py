"""What an editor did to the picture, by rules over the numbers of `motion.statistics`: each rule is one function, its
limits beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.motion.statistics import Seen, alike, hard_cuts, runs
from reelbench.analyzers.motion.transitions import Transition, transitions

STILL = 0.004
"""A smaller share of changed pixels means that the same picture is shown again."""
FLASH_ABOVE, FLASH_LEVEL, FLASH_MOST_S = 40.0, 170.0, 0.35
FREEZE_LEAST_S, FREEZE_MOVING, FREEZE_ABRUPT, FREEZE_SHARE = 0.4, 0.02, 0.35, 0.85
SLOW_LEAST_S, SLOW_REPEATS = 0.4, (2, 3, 4)
SLOW_ALWAYS = 0.8
"""A clip that repeats frames for more than this share of its length has a low frame rate and no slow motion."""
BLUR_LEAST_S, BLUR_AT_START_S, BLUR_BELOW, BLUR_DEEP, BLUR_SAME = 0.3, 1.0, 0.5, 0.35, 0.8
FILTER_LEAST_S = 0.3
GRAY_TINT, GRAY_STRAY = 0.04, (2.5, 6.0)
SEPIA_TINT, SEPIA_STRAY = ((0.07, 0.17), (0.16, 0.29)), (6.5, 10.0)
"""The usual matrix of editors gives slopes of 0.127 and 0.229; light places are clipped to less."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Frames ``first`` … ``last`` − 1 of the clip."""

    first: int
    last: int
    label: str
    score: float
    attributes: dict[str, Any] = field(default_factory=dict)


def effects(seen: Seen) -> list[Effect]:
    """All effects in time order. They may overlap: a grey picture can be frozen."""
    if len(seen.times) < 4:
        return []
    moved = np.array(seen.moved)
    luma = seen.luma()
    cuts = hard_cuts(seen)
    between = transitions(seen)
    flashes = list(_flashes(seen, luma))
    hidden = _covered(
        len(moved), [*((one.first, one.last) for one in between), *((one.first, one.last) for one in flashes)]
    )
    blurs = list(_blurs(seen, cuts, hidden))
    # What moves little cannot be seen to move when it is blurred.
    hazy = hidden | _covered(len(moved), [(one.first, one.last) for one in blurs])
    found = [
        *(_of_transition(one) for one in between),
        *flashes,
        *_freezes(seen, moved, cuts, hazy),
        *_slow_motion(seen, moved),
        *blurs,
        *_filters(seen, luma),
    ]
    return sorted(found, key=lambda one: (one.first, one.last, one.label))


def _of_transition(one: Transition) -> Effect:
    return Effect(one.first, one.last, one.kind, one.score, {"through": one.through} if one.through else {})


def _flashes(seen: Seen, luma: NDArray[np.float64]) -> Iterator[Effect]:
    """Far lighter than the half second before and after, and only for a moment."""
    gap = _gap(seen)
    reach = max(2, round(0.5 / gap))
    padded = np.pad(luma, reach, mode="edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    for first, last in runs((luma > usual + FLASH_ABOVE) & (luma > FLASH_LEVEL)):
        if _seconds(seen, first, last) <= FLASH_MOST_S and first > 0 and last < len(luma):
            yield Effect(first, last, "flash", min(1.0, float((luma[first:last] - usual[first:last]).max()) / 128))


def _freezes(seen: Seen, moved: NDArray[np.float64], cuts: list[int], hidden: NDArray[np.bool_]) -> Iterator[Effect]:
    """The same picture again and again, and just before and after things move within the same shot: a camera that
    comes to rest slows down first, and a still shot has no motion around it. (So what is frozen until the shot ends
    is taken for a still.)"""
    still = moved < STILL
    barred = hidden.copy()
    barred[[0, *cuts]] = True
    for first, last in runs(_closed(still, 1) & ~barred):
        if _seconds(seen, first, last) < FREEZE_LEAST_S or float(still[first:last].mean()) < FREEZE_SHARE:
            continue
        shot = slice(
            max([0, *(cut for cut in cuts if cut < first)]), min([len(moved), *(cut for cut in cuts if cut >= last)])
        )
        usual = float(np.median(moved[shot][moved[shot] >= STILL])) if (moved[shot] >= STILL).any() else 0.0
        beside = [
            moved[at]
            for at in (*range(first - 3, first), *range(last, last + 3))
            if 0 < at < len(moved) and not barred[at]
        ]
        if len(beside) >= 4 and min(beside) > max(FREEZE_MOVING, FREEZE_ABRUPT * usual):
            # The frozen picture was shown for the first time one frame earlier.
            yield Effect(first - 1, last, "freeze", 1.0 - float(np.median(moved[first:last])) / STILL / 2)


def _slow_motion(seen: Seen, moved: NDArray[np.float64]) -> Iterator[Effect]:
    """Each picture twice, three or four times, in a steady beat."""
    changes = np.flatnonzero(moved >= STILL)
    steps = np.diff(changes)
    found = []
    for repeat in SLOW_REPEATS:
        for a, b in runs(steps == repeat):
            first, last = int(changes[a]), min(len(moved), int(changes[b]))
            if b - a >= 4 and _seconds(seen, first, last) >= SLOW_LEAST_S:
                found.append(Effect(first, last, "slow_motion", min(1.0, 0.5 + (b - a) / 40), {"repeat": repeat}))
    if sum(_seconds(seen, one.first, one.last) for one in found) <= SLOW_ALWAYS * (seen.times[-1] - seen.times[0]):
        yield from found


def _blurs(seen: Seen, cuts: list[int], hidden: NDArray[np.bool_]) -> Iterator[Effect]:
    """Far less sharp than the rest of the shot, while the picture as a whole is the same."""
    sharp = np.array(seen.sharp)
    edges = [0, *cuts, len(sharp)]
    for start, end in pairwise(edges):
        usable = ~hidden[start:end]
        if usable.sum() < 4:
            continue
        usual = float(np.percentile(sharp[start:end][usable], 75))
        for a, b in runs((sharp[start:end] < BLUR_BELOW * usual) & usable):
            first, last = start + a, start + b
            depth = float(sharp[first:last].min()) / usual
            if _seconds(seen, first, last) < BLUR_LEAST_S or depth > BLUR_DEEP:
                continue
            # An encoder that starts with little to spend blurs the first frames by itself.
            if first == 0 and _seconds(seen, first, last) < BLUR_AT_START_S:
                continue
            outside = [at for at in (first - 1, last) if start <= at < end and not hidden[at]]
            within = {first - 1: min(last - 1, first + 3), last: max(first, last - 4)}
            if any(alike(seen.tiny[at], seen.tiny[within[at]]) > BLUR_SAME for at in outside):
                yield Effect(first, last, "blur", 1.0 - depth, {"sharpness": round(depth, 3)})


def _filters(seen: Seen, luma: NDArray[np.float64]) -> Iterator[Effect]:
    """All colours on one line: through grey, or through a warm brown. What is nearly black or white tells nothing and
    is taken along."""
    tint, stray = np.array(seen.tint), np.array(seen.stray)
    (low_red, high_red), (low_green, high_green) = SEPIA_TINT
    warm = (tint > (low_red, low_green)).all(axis=1) & (tint < (high_red, high_green)).all(axis=1)
    tells = (luma > 12) & (luma < 240)
    kinds = {
        "grayscale": (stray < GRAY_STRAY).all(axis=1) & (np.abs(tint) < GRAY_TINT).all(axis=1),
        "sepia": (stray < SEPIA_STRAY).all(axis=1) & warm,
    }
    for label, flag in kinds.items():
        for first, last in runs(_closed(flag & tells, 1)):
            if _seconds(seen, first, last) >= FILTER_LEAST_S:
                yield Effect(first, last, label, 1.0 - float(np.median(stray[first:last, 0])) / (2 * SEPIA_STRAY[0]))


def _closed(flag: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """With gaps of up to ``most`` frames closed: a text that comes up, a key frame of the encoder."""
    closed = flag.copy()
    for first, last in runs(~flag):
        if first > 0 and last < len(flag) and last - first <= most:
            closed[first:last] = True
    return closed


def _covered(count: int, spans: list[tuple[int, int]]) -> NDArray[np.bool_]:
    flags = np.zeros(count, bool)
    for first, last in spans:
        flags[max(0, first - 1) : last + 1] = True
    return flags


def _gap(seen: Seen) -> float:
    return max(1e-3, float(np.median(np.diff(seen.times))))


def _seconds(seen: Seen, first: int, last: int) -> float:
    """From frame ``first`` until frame ``last`` comes, or the clip ends."""
    return (
        seen.times[last] - seen.times[first]
        if last < len(seen.times)
        else seen.times[-1] - seen.times[first] + _gap(seen)
    )
