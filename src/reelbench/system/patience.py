"""A plan that starts nothing while a disk is full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reelbench.models.space import LowDisk
from reelbench.system.plans import Plan, Resources
from reelbench.system.tasks import Machine, Task, Timings


@dataclass(frozen=True, slots=True)
class Patient:
    """``plan``, but what runs is only let end, and then waited, while there is no room. Nobody is timed out meanwhile: nothing runs.

    Raises OutputError where waiting is not wanted.
    """

    plan: Plan
    disk: LowDisk

    def begin(self, tasks: Sequence[Task], timings: Timings, machine: Machine) -> None:
        self.plan.begin(tasks, timings, machine)

    def next(self, ready: Sequence[Task], running: Sequence[Task], free: Resources) -> Task | None:
        if running and self.disk.low is not None:
            return None
        self.disk.wait()
        return self.plan.next(ready, running, free)
