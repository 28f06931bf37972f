"""The worker processes of a system run: one for each analyzer, kept between clips, each at home on the cores that it is given."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from reelbench.bench.process import START_TIMEOUT_S, WorkerProcess
from reelbench.bench.process_tree import tree_cpu_s
from reelbench.bench.worker import Job
from reelbench.system import work
from reelbench.system.tasks import BUILT_IN, Task

Step = tuple[str, Any, float]
"""A request, its value, and how many seconds it may take."""

PREPARED_CPU_S = 4.0
"""A process that has used more when its network is prepared really did something (converted, calibrated; imports take less): it is
not kept, for its memory."""


@dataclass(eq=False)
class Hand:
    """One worker process of ``name`` and what it does at the moment.

    It is started under the affinity of its cores (mostly one), ``home``, so that every library in it makes a thread for each, and stays
    there: threads of some libraries go back to where they were made (OpenVINO's do, unseen, whenever they infer), and then two tasks
    share a core while another is idle. Only decoding, which has none of these, goes to any core.
    """

    name: str
    process: WorkerProcess
    home: tuple[int, ...]
    kind: str = "load"
    task: Task | None = None
    cores: tuple[int, ...] = ()
    steps: deque[Step] = field(default_factory=deque)
    awaited: str = "ready"
    began: float = field(default_factory=monotonic)
    deadline: float = field(default_factory=lambda: monotonic() + START_TIMEOUT_S)
    used: float = field(default_factory=monotonic)
    busy: bool = True
    rss_peak: int = 0
    pss: int = 0
    cpu_before: float = 0.0
    waited_before: float = 0.0
    silent_until: float = 0.0
    rested_cpu_s: float | None = None
    idle_cpu_s: float = 0.0
    tasks_done: int = 0

    def step(self) -> bool:
        """Post the next request; False where there is none left. Raises WorkerDied."""
        if not self.steps:
            return False
        request, value, timeout_s = self.steps.popleft()
        self.awaited, self.deadline = request, monotonic() + timeout_s
        self.process.post(request, value)
        return True

    def begin(self, kind: str, task: Task | None, cores: tuple[int, ...], steps: Sequence[Step]) -> None:
        """Take on a piece of work on ``cores``. Raises WorkerDied."""
        self.kind, self.task, self.cores = kind, task, cores
        self.steps = deque(steps)
        self.count_idle()
        self.rested_cpu_s = None
        self.cpu_before, self.waited_before, self.rss_peak = self.cpu_s, queued_s(self.process.pid), 0
        self.began = self.silent_until = monotonic()
        self.busy = True
        self.move(cores)
        self.step()

    def move(self, cores: tuple[int, ...]) -> None:
        for thread in _threads(self.process.pid):
            with suppress(OSError):  # a thread that has just ended
                os.sched_setaffinity(thread, cores)

    def rest(self) -> None:
        """Its task is over."""
        self.busy, self.task, self.used = False, None, monotonic()
        self.rested_cpu_s = self.cpu_s

    def count_idle(self) -> None:
        """Add what it used since its last task was over to ``idle_cpu_s``."""
        if self.rested_cpu_s is not None and (now := self.cpu_s):
            self.idle_cpu_s += max(0.0, now - self.rested_cpu_s)
            self.rested_cpu_s = now

    def observed(self) -> dict[str, float]:
        """What the parent saw of the task that has just ended.

        ``cpu_s``: of the worker and all that it started. ``wall_s``: until its answer was read.
        ``wall_least_s``: for so long there certainly was none, with the time taken out in which the
        worker waited for a core; a parent that was late does not make it longer.
        """
        queued = queued_s(self.process.pid) - self.waited_before
        return {
            "cpu_s": max(0.0, self.cpu_s - self.cpu_before),
            "wall_s": monotonic() - self.began,
            "wall_least_s": max(0.0, self.silent_until - self.began - max(0.0, queued)),
        }

    @property
    def rooted(self) -> bool:
        """Whether it works on its home cores only."""
        return self.name not in BUILT_IN

    def look(self) -> int:
        """The resident size now, kept as the peak where it is one."""
        rss = _statm(self.process.pid)
        self.rss_peak = max(self.rss_peak, rss)
        return rss

    def weigh(self) -> int:
        """The proportional set size now (what is shared with other workers counts once over all of them)."""
        self.pss = pss_of(self.process.pid) or self.pss
        return self.pss

    @property
    def cpu_s(self) -> float:
        """Processor seconds since it was started, of all its threads and all that it started; 0 where it is gone."""
        return tree_cpu_s(self.process.pid)


def start(name: str, job: Job, cores: tuple[int, ...]) -> Hand:
    """A worker process on ``cores``, which is not up yet."""
    with _confined(cores):
        return Hand(name, WorkerProcess(job, wait=False), cores, cores=cores)


def load_steps(*, analyzer: bool, prepare: bool, load_s: float, prepare_s: float) -> list[Step]:
    """What makes a fresh process ready: the built-in tasks have nothing to load."""
    steps: list[Step] = [("call", {"function": work.SETTLE}, load_s)]
    if analyzer and prepare:
        steps.append(("prepare", None, prepare_s))
    if analyzer:
        steps.append(("load", None, load_s))
    return steps


def pss_of(pid: int) -> int:
    """Bytes; 0 where the process is gone or the kernel does not say."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def queued_s(pid: int) -> float:
    """Seconds in which the main thread was ready and waited for a core; 0 where the kernel does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def rss_of(pid: int) -> int:
    return _statm(pid)


def _statm(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - names, not paths
    except OSError:
        return []


@contextmanager
def _confined(cores: tuple[int, ...]) -> Iterator[None]:
    """What is started within inherits this affinity."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
