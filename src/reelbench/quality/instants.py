"""Which instants are judged, and what a result says at each. Never a function of how the judged variant samples."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from reelbench.corpus.clip import TruthFrame
from reelbench.results import AnalyzerResult, Box

_TINY = 1e-9


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """One box at one instant. Truth has ``score`` 1; ``ignore`` is only ever set on truth."""

    label: str
    box: Box
    score: float = 1.0
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Instant:
    """What should be there and what was found, at one instant of one clip."""

    expected: tuple[Seen, ...]
    found: tuple[Seen, ...]


def choose(frames: Sequence[TruthFrame], per_s: float) -> list[TruthFrame]:
    """At most ``per_s`` annotated frames a second: the one nearest to the middle of each slot of 1/``per_s`` seconds.

    Middles, so that the judged instants do not fall together with the first frame of a regular sampling.
    """
    slots: dict[int, tuple[float, float, TruthFrame]] = {}
    for frame in frames:
        slot = floor(frame.t_s * per_s + _TINY)
        rank = (abs(frame.t_s - (slot + 0.5) / per_s), frame.t_s, frame)
        if slot not in slots or rank[:2] < slots[slot][:2]:
            slots[slot] = rank
    return [slots[slot][2] for slot in sorted(slots)]


def grid(duration_s: float, per_s: float) -> list[float]:
    """The middles of all slots of 1/``per_s`` seconds that begin within the clip; at least one."""
    return [(slot + 0.5) / per_s for slot in range(max(1, ceil(duration_s * per_s - _TINY)))]


def looked_at(reference: AnalyzerResult, per_s: float) -> list[float]:
    """Where a reference may be taken for right: the instants that it was shown, since in between it only holds or interpolates.

    A result that does not say which those were is asked on the grid.
    """
    return sorted(reference.sampled_s) or grid(reference.duration_s, per_s)


def found_at(result: AnalyzerResult, times: Sequence[float]) -> list[tuple[Seen, ...]]:
    """For each of the ascending ``times`` the boxes of all events there, in an order that does not depend on the events' order."""
    seen: list[list[Seen]] = [[] for _ in times]
    for event in result.events:
        first, last = bisect_left(times, event.start_s), bisect_right(times, event.end_s)
        for index in range(first, last):
            at = event.box_at(times[index])
            if at is not None:
                seen[index].append(Seen(event.label, at.box, at.score))
    return [tuple(sorted(boxes, key=lambda one: (-one.score, one))) for boxes in seen]


def expected_of(frame: TruthFrame) -> tuple[Seen, ...]:
    return tuple(sorted(Seen(thing.label, thing.box, ignore=thing.ignore) for thing in frame.objects))
