"""Plans: what is started next. The executor asks whenever a core is free, and carries out what it is told.

A plan is a class with the members of `Plan`; ``conf/plan/<name>.yaml`` names it by ``order._target_``. It sees tasks and measured
timings, never processes or files, so the same object can be asked by a simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from reelbench.errors import ConfigError
from reelbench.system.tasks import BUILT_IN, Key, Machine, Task, Timings, downstream

UNKNOWN_S_PER_VIDEO_S = 0.1
"""What a task is taken to cost that nobody measured yet."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What is free at this moment. ``cores``: numbers of idle processors; ``memory_bytes``: what is left below the cap."""

    cores: tuple[int, ...]
    memory_bytes: int = 0


class Plan(Protocol):
    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        """Told once, before anything is started: all tasks that are to be done."""
        ...

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        """One of ``ready`` (never empty, in the order of the clips) to start now; None: nothing before a running one has ended.

        Asked again after each task that it named until it says None or nothing is left that could be started. All that a ready task
        waits for has ended, a core and its worker are free. Where nothing runs and it says None, the first one is started.
        """
        ...


class OneByOne:
    """One task at a time, in the order of the clips."""

    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        pass

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        return None if running else ready[0]


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    analyzers: frozenset[str]
    at_once: int


class Stages:
    """Stages with a barrier after each, one clip after the other; ``at_once`` tasks of a stage run together.

    What no stage names (the decoding apart, which comes first) belongs to the last stage. Where results are needed that a
    later stage gives, that task waits for them and holds up nothing else.
    """

    def __init__(self, stages: Sequence[Mapping[str, Any]]) -> None:
        try:
            self._stages = [Stage(str(s["name"]), frozenset(s["analyzers"]), int(s["at_once"])) for s in stages]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError("plan.order.stages: each wants name, analyzers and at_once") from error
        if not self._stages or any(stage.at_once < 1 for stage in self._stages):
            raise ConfigError("plan.order.stages: there must be one, and at_once must be at least 1")

    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        pass

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        if running:
            current = min((task.rank, self._stage(task)) for task in running)
            same = [task for task in ready if (task.rank, self._stage(task)) == current]
            return same[0] if same and len(running) < self._at_once(current[1]) else None
        return min(ready, key=lambda task: (task.rank, self._stage(task)))

    def _at_once(self, stage: int) -> int:
        return self._stages[stage].at_once if stage >= 0 else len(BUILT_IN)

    def _stage(self, task: Task) -> int:
        if task.name in BUILT_IN:
            return -1
        found = [at for at, stage in enumerate(self._stages) if task.name in stage.analyzers]
        return found[0] if found else len(self._stages) - 1


@dataclass
class LongestFirst:
    """List scheduling: of what is ready, the task with the longest way to the end.

    The way counts what waits for the task, and the same analyzer's tasks on the clips after it: an analyzer has one worker, so the
    slowest analyzer is a chain of its own. (Kwok and Ahmad, 'Static scheduling algorithms for allocating directed task graphs',
    ACM Computing Surveys 1999: the b-level.)
    """

    ways: dict[Key, float] = field(default_factory=dict, init=False)

    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        self.ways = longest_ways(tasks, timings)

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        return max(ready, key=lambda task: (self.ways.get(task.key, 0.0), -task.rank))


def longest_ways(tasks: Sequence[Task], timings: Timings) -> dict[Key, float]:
    """For each task the seconds from its start to the end of the longest chain that begins with it."""
    waiting = downstream(tasks)
    by_name: dict[str, list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.rank):
        by_name.setdefault(task.name, []).append(task)
    following = {a.key: b for chain in by_name.values() for a, b in pairwise(chain)}
    ways: dict[Key, float] = {}
    for task in _last_first(tasks):
        after = [*waiting[task.key], *([following[task.key]] if task.key in following else [])]
        ways[task.key] = expected_s(task, timings) + max((ways[other.key] for other in after), default=0.0)
    return ways


def expected_s(task: Task, timings: Timings) -> float:
    known = timings.seconds(task)
    return UNKNOWN_S_PER_VIDEO_S * task.video_s if known is None else known


def _last_first(tasks: Sequence[Task]) -> list[Task]:
    """Each task before all that it waits for, the last clips first."""
    by_clip: dict[int, list[Task]] = {}
    for task in tasks:
        by_clip.setdefault(task.rank, []).append(task)
    return [task for rank in sorted(by_clip, reverse=True) for task in _upstream_last(by_clip[rank])]


def _upstream_last(tasks: Sequence[Task]) -> list[Task]:
    names = {task.name: task for task in tasks}
    ordered: dict[str, Task] = {}

    def visit(task: Task) -> None:
        if task.name not in ordered:
            for name in task.waits_for:
                if name in names:
                    visit(names[name])
            ordered[task.name] = task

    for task in tasks:
        visit(task)
    return list(ordered.values())[::-1]
