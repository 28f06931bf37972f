"""CPU time of a process and all its descendants, as the kernel counts it, so that no worker needs to be believed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
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


def started_by(pid: int) -> list[int]:
    """A handle of each descendant, which stays its own when the number is given to another process; see `end_all`."""
    found: list[int] = []
    for one in descendants(pid):
        with suppress(OSError, AttributeError):  # it has just ended; or the system has no such handles
            found.append(os.pidfd_open(one))
    return found


def end_all(handles: Sequence[int]) -> None:
    """Kill what `started_by` found and is still there."""
    for handle in handles:
        with suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """How the kernel treats a process's main thread: niceness, policy, and the processors that it may use."""

    nice: int
    policy: int
    processors: frozenset[int]

    @classmethod
    def of(cls, pid: int) -> Scheduling | None:
        """None where the process is gone, or the system does not say."""
        try:
            return cls(
                os.getpriority(os.PRIO_PROCESS, pid),
                os.sched_getscheduler(pid),
                frozenset(os.sched_getaffinity(pid)),
            )
        except (OSError, AttributeError):
            return None


def was_stopped(pid: int) -> bool:
    """Whether a child of this process was stopped, or stopped and continued, since this was asked last."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG) is not None
    except (OSError, AttributeError):
        return False


def at_work(pid: int) -> bool:
    """Whether a thread of ``pid`` or of its descendants runs or is ready to run, as the kernel says just now."""
    return any(_state(thread) == "R" for one in (pid, *descendants(pid)) for thread in _threads(one))


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""  # it has just ended


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
