"""A plan for clips that arrive over time: whoever came first is done first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reelbench.system.plans import Resources, longest_ways
from reelbench.system.tasks import Key, Machine, Task, Timings


@dataclass
class FirstCome:
    """Of what is ready, a task of the clip that is first in order; of its tasks the one with the longest way to the clip's end.

    The longest way over all clips (`reelbench.system.plans.LongestFirst`) is right where only the end of the last clip counts. Where
    each clip is waited for it is not: the last small tasks of a clip have the shortest way of all, and are put off while others come.
    """

    ways: dict[Key, float] = field(default_factory=dict, init=False)

    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        clips: dict[str, list[Task]] = {}
        for task in tasks:
            clips.setdefault(task.clip, []).append(task)
        for own in clips.values():
            self.ways |= longest_ways(own, timings)

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        return min(ready, key=lambda task: (task.rank, -self.ways.get(task.key, 0.0)))
