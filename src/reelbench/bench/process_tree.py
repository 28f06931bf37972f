"""CPU time of a process and all its descendants, as the kernel counts it, so that no worker needs to be believed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_CPUCLOCK_SCHED = 2


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of ``pid``, of its descendants, and of those that have ended and were waited for.

    Threads that have ended count, too. The process itself is read to the nanosecond, its
    descendants to the tick of the kernel (10 ms). 0 where the process is gone, or where the system
    does not say (Linux only).
    """
    try:
        own = time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except (OSError, OverflowError):
        return 0.0
    _, _, waited_for = _ticks(pid)
    return own + waited_for + sum(sum(_ticks(one)) for one in descendants(pid))


def descendants(pid: int) -> list[int]:
    """The processes that ``pid`` started and those that these started, as far as they are there."""
    found: list[int] = []
    unread = [pid]
    while unread:
        for thread in _threads(unread.pop()):
            with suppress(OSError):  # it has just ended, or this kernel does not list children
                children = [int(word) for word in (thread / "children").read_text().split()]
                found += children
                unread += children
    return found


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _ticks(pid: int) -> tuple[float, float, float]:
    """Seconds in user mode, in the kernel, and of children that were waited for; zeros where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0, 0.0
    user, kernel, *children = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15])
    return user, kernel, sum(children)
