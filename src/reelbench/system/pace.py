"""How far a run is: each analyzer, the whole, and how long it still takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Protocol, runtime_checkable

from reelbench.system.records import Status
from reelbench.system.tasks import Key, Task, Timings


@dataclass(frozen=True, slots=True)
class Standing:
    """An analyzer, or a built-in task: of ``clips`` so many are ``done``, ``missed`` ended otherwise. ``running``: now."""

    name: str
    done: int
    missed: int
    clips: int
    running: bool = False


@runtime_checkable
class ShowsStandings(Protocol):
    """A `reelbench.bench.progress.Progress` that is told of every analyzer too. ``left_s``: of the whole run, None where
    nobody knows."""

    def standings(self, rows: Sequence[Standing], left_s: float | None) -> None: ...


def standings_of(tasks: Iterable[Task], states: Mapping[Key, Status], running: Iterable[Task]) -> list[Standing]:
    """In the order in which the tasks of a clip are done."""
    keys: dict[str, list[Key]] = {}
    for task in tasks:
        keys.setdefault(task.name, []).append(task.key)
    at_work = {task.name for task in running}
    rows = []
    for name, own in keys.items():
        ended = [states[key] for key in own if key in states]
        done = ended.count("done")
        rows.append(Standing(name, done, len(ended) - done, len(own), name in at_work))
    return rows


@dataclass
class Pace:
    """The time that is left. A task weighs what its timing says (as it is beside others), one that was never measured what its
    analyzer took so far. The seconds that a unit of that weight takes are first those of the prediction (``predicted_s`` for all
    ``tasks``), and the more was done the more those of this session."""

    tasks: Sequence[Task]
    timings: Timings
    predicted_s: float | None = None
    _took: dict[str, list[float]] = field(default_factory=dict, init=False)
    _ended: list[Task] = field(default_factory=list, init=False)

    def ended(self, task: Task, seconds: float) -> None:
        """A task was done, or tried, in this session."""
        self._ended.append(task)
        if task.video_s:
            self._took.setdefault(task.name, []).append(seconds / task.video_s)

    def left_s(self, left: Sequence[Task], running: Mapping[Key, float], elapsed_s: float) -> float | None:
        """``left``: what has not ended, ``running`` among it with the seconds since each began; ``elapsed_s`` since the first task
        began. None as long as there is nothing to go by."""
        done = sum(self._weight(task) for task in self._ended)
        weights = {task.key: self._weight(task) for task in left}
        begun = sum(min(seconds, weights.get(key, 0.0)) for key, seconds in running.items())
        open_ = sum(weights.values()) - begun
        whole = sum(self._weight(task) for task in self.tasks)
        known = self.predicted_s / whole if self.predicted_s and whole else None
        seen = elapsed_s / (done + begun) if self._ended and done + begun else None
        if seen is None or known is None:
            each = seen if known is None else known
            return None if each is None else each * open_
        share = (done + begun) / (done + begun + open_)
        return (share * seen + (1 - share) * known) * open_

    def _weight(self, task: Task) -> float:
        if (timing := self.timings.tasks.get(task.name)) is not None:
            return timing.seconds(task.video_s) * (timing.beside or 1.0)
        took = self._took.get(task.name) or [one for own in self._took.values() for one in own]
        return fmean(took) * task.video_s if took else task.video_s
