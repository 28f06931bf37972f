"""What no schedule can beat, and so what limits a system: its cores, one analyzer's worker, or a chain of analyzers on one clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from reelbench.system.planning.simulate import Setting
from reelbench.system.tasks import Key, Task

CORES = "the cores"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds. ``cores_s``: all work shared out evenly, as slow as it is beside others; ``path_s``: the longest chain of tasks that
    wait for each other; ``worker_s``, by name: what must come before any task of an analyzer, all of its tasks one after the other,
    what must come after."""

    cores_s: float
    path_s: float
    worker_s: Mapping[str, float]

    @property
    def lower_s(self) -> float:
        return max([self.cores_s, self.path_s, *self.worker_s.values()])

    @property
    def limit(self) -> str:
        """What makes the bound: `CORES`, or the name of the analyzer that more cores would not help."""
        name = max(self.worker_s, key=lambda one: self.worker_s[one], default="")
        return name if name and self.worker_s[name] > self.cores_s else CORES


def bounds_of(setting: Setting) -> Bounds:
    """The bounds of the tasks without the loading of workers."""
    tasks = setting.tasks
    takes = {task.key: setting.takes(task) for task in tasks}
    before, after = _longest_ways(tasks, takes)
    worker_s: dict[str, float] = {}
    for name in dict.fromkeys(task.name for task in tasks):
        own = [task.key for task in tasks if task.name == name]
        alone = sum(takes[key] for key in own) / setting.copies.get(name, 1)
        worker_s[name] = min(before[key] for key in own) + alone + min(after[key] for key in own)
    path_s = max((before[key] + seconds + after[key] for key, seconds in takes.items()), default=0.0)
    return Bounds(sum(_held_s(setting, task) for task in tasks), path_s, worker_s)


def _held_s(setting: Setting, task: Task) -> float:
    """What a task adds to any schedule: its share of the cores while all work, or all of them for itself where it is faster so."""
    cores = len(setting.machine.cores)
    return setting.takes(task) * min(setting.beside(task), cores) / cores


def _longest_ways(tasks: Sequence[Task], takes: Mapping[Key, float]) -> tuple[dict[Key, float], dict[Key, float]]:
    """For each task the seconds that must pass before it can start, and after it has ended."""
    needed = {task.key: [(task.clip, name) for name in task.waits_for if (task.clip, name) in takes] for task in tasks}
    order = list(TopologicalSorter(needed).static_order())
    before = dict.fromkeys(order, 0.0)
    after = dict.fromkeys(order, 0.0)
    for key in order:
        before[key] = max((before[other] + takes[other] for other in needed[key]), default=0.0)
    for key in reversed(order):
        for other in needed[key]:
            after[other] = max(after[other], after[key] + takes[key])
    return before, after
