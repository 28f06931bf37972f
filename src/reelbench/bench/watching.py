"""Measure wall time, queueing and CPU time of a request from the parent, without asking the worker."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from reelbench.bench.process_tree import tree_cpu_s


@dataclass(frozen=True, slots=True)
class Watched:
    """One request as its sender saw it.

    ``wall_s``: from sending it until its answer was there. ``queue_s``: how long, in between, the
    waiting thread or the worker's main thread were ready to run and waited for a core: a busy
    machine's share of ``wall_s``. ``cpu_s``: CPU seconds of the worker and all that it started.
    """

    wall_s: float
    queue_s: float
    cpu_s: float


class Watch:
    """Begins when it is made, just before a request to the worker ``pid``; `stop` when the answer is there."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu_s, self._queue_s = tree_cpu_s(pid), _queue_s(pid)
        self._started = perf_counter()

    def stop(self) -> Watched:
        wall_s = perf_counter() - self._started
        return Watched(
            wall_s,
            queue_s=max(0.0, _queue_s(self._pid) - self._queue_s),
            cpu_s=max(0.0, tree_cpu_s(self._pid) - self._cpu_s),
        )


def _queue_s(pid: int) -> float:
    """Seconds that this thread and the main thread of ``pid`` have waited for a core so far; 0 where the kernel does not say."""
    seconds = 0.0
    for file in (Path("/proc/thread-self/schedstat"), Path(f"/proc/{pid}/schedstat")):
        with suppress(OSError, IndexError, ValueError):
            seconds += int(file.read_text().split()[1]) / 1e9
    return seconds
