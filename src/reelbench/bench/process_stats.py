"""CPU time, run-queue delay and peak memory of this process, as the operating system counts them."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reelbench.bench.process_tree import descendants, tree_cpu_s

_SELF = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time and memory that a process used between two readings. ``cpu_s``: all threads and child processes.
    ``run_queue_s``: summed over threads, the time that they were ready to run
    and waited for a core (second field of /proc/self/task/*/schedstat; None where the kernel does not say).
    ``rss_peak_bytes``: the highest resident size in between, with that of each child process that is there at the end."""

    cpu_s: float
    run_queue_s: float | None
    rss_peak_bytes: int
    vram_peak_bytes: int | None


class UsageMeter:
    """``start()`` … ``stop() -> Usage``, around one pass."""

    def start(self) -> None:
        _reset_peaks()
        self._delays = _delays()
        self._cpu = _cpu_s()

    def stop(self) -> Usage:
        cpu = _cpu_s() - self._cpu
        after = _delays()
        delay: float | None = None
        if after is not None and self._delays is not None:
            delay = sum(value - self._delays.get(thread, 0) for thread, value in after.items()) / 1e9
        return Usage(cpu, delay, rss_peak_bytes() + _children_peak_bytes(), _vram_peak())


def _cpu_s() -> float:
    return tree_cpu_s(os.getpid()) or time.process_time()


def _children_peak_bytes() -> int:
    return sum(_peak_of(Path(f"/proc/{pid}")) for pid in descendants(os.getpid()))


def rss_peak_bytes() -> int:
    """Peak resident size since the last reset (Linux), else since the process began."""
    if found := _peak_of(_SELF):
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_of(process: Path) -> int:
    """Bytes; 0 where the process is gone or the system does not say."""
    with suppress(OSError):
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _reset_peaks() -> None:
    with suppress(OSError):  # not permitted everywhere; the peak then counts from the process's start
        (_SELF / "clear_refs").write_text("5")  # resets VmHWM only (proc(5))
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _delays() -> dict[str, int] | None:
    delays: dict[str, int] = {}
    try:
        for task in (_SELF / "task").iterdir():
            delays[task.name] = int((task / "schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return delays or None  # a thread that ended while we read; or no schedstat in this kernel
    return delays


def _vram_peak() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())
