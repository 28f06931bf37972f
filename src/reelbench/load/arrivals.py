"""When the clips of a load run are handed over, and which."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from time import monotonic

from reelbench.system.arrivals import Arrivals


@dataclass(frozen=True, slots=True)
class Query:
    """A clip that is handed over, the ``number``-th time. To the system each is another clip, so that nothing is taken from before."""

    clip: str
    number: int
    warmup: bool = False

    @property
    def name(self) -> str:
        return f"{self.clip}#{self.number}"


def draw(clips: Sequence[str], count: int | None, warmup: int, seed: int) -> list[Query]:
    """``warmup`` queries, and after them ``count`` (None: one a clip): rounds over all clips, each in an order of its own."""
    chance = random.Random(f"order {seed}")
    seen = dict.fromkeys(clips, 0)
    queries: list[Query] = []
    for place in range(warmup + (count or len(clips))):
        warm = place < warmup
        at = (place if warm else place - warmup) % len(clips)
        if at == 0:
            order = chance.sample(list(clips), len(clips))
        seen[order[at]] += 1
        queries.append(Query(order[at], seen[order[at]], warm))
    return queries


def poisson(count: int, per_min: float, seed: int) -> list[float]:
    """Seconds at which ``count`` clips arrive: independent exponential gaps, ``per_min`` clips a minute in the long run."""
    chance = random.Random(f"arrivals {seed}")
    at, times = 0.0, []
    for _ in range(count):
        at += chance.expovariate(per_min / 60)
        times.append(at)
    return times


class Watched(Arrivals):
    """Knows when the clock of the session began (``origin``, as `time.monotonic` tells it), once a clip has ended; and on that clock
    when the counted queries begin (``begin_s``; infinite while the warm-up goes on)."""

    origin: float | None = None
    begin_s: float = inf

    def ended(self, clip: str, at_s: float) -> None:
        if self.origin is None:
            self.origin = monotonic() - at_s


class Timetable(Watched):
    """Each query at its time (seconds), counted from the moment at which the last of ``warmup`` ended; those are there at once."""

    def __init__(self, times: Mapping[str, float], warmup: Iterable[str]) -> None:
        self._times, self._warm = dict(times), set(warmup)
        self._left = set(self._warm)
        self.begin_s = inf if self._left else 0.0

    def at(self, clip: str) -> float:
        return 0.0 if clip in self._warm else self.begin_s + self._times[clip]

    def ended(self, clip: str, at_s: float) -> None:
        super().ended(clip, at_s)
        self._left.discard(clip)
        if not self._left and self.begin_s == inf:
            self.begin_s = at_s


class OneAfterAnother(Watched):
    """Each query when the one before it has ended; the first ``warmup`` are not counted."""

    def __init__(self, queries: Sequence[str], warmup: int = 0) -> None:
        self._next = dict(pairwise(queries))
        self._times = {queries[0]: 0.0}
        self._first = queries[warmup]
        self.begin_s = inf if warmup else 0.0

    def at(self, clip: str) -> float:
        return self._times.get(clip, inf)

    def ended(self, clip: str, at_s: float) -> None:
        super().ended(clip, at_s)
        if clip in self._next:
            self._times.setdefault(self._next[clip], at_s)
            self.begin_s = self._times.get(self._first, inf)
