"""What else the machine does: load, memory, swap, and the priority and cores that this process was given."""

from __future__ import annotations

import os
from collections.abc import Iterator

from reelbench.doctor.findings import Finding
from reelbench.machine import read_line

BUSY = 0.25
"""Runnable tasks for each core, averaged over a minute, from which on others are noticed."""
FREE_MEMORY = 0.15


def findings() -> Iterator[Finding]:
    yield load(os.getloadavg()[0], _cores(), read_line("/proc/pressure/cpu") or "")
    yield _memory()
    yield _priority(os.nice(0))
    yield _affinity()


def load(average: float, cores: int, pressure: str) -> Finding:
    """``pressure``: /proc/pressure/cpu, which says for what share of time something waited for a processor."""
    waiting = next((part[6:] for part in pressure.split() if part.startswith("avg60=")), "")
    said = f"{average:.2f} runnable tasks on {cores} cores in the last minute"
    said += f", {float(waiting):.0f} % of it with something waiting" if waiting else ""
    if average / cores < BUSY:
        return Finding("load", "ok", said)
    return Finding("load", "look", f"{said}: other programs take part in what is measured", "stop them, or wait")


def _memory() -> Finding:
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    said = (
        f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available, {swap.used / 1e6:.0f} MB swapped out"
    )
    if memory.available / memory.total < FREE_MEMORY or swap.used > 100e6:
        return Finding(
            "memory and swap", "look", f"{said}: passes may wait for the disk", "free memory; sudo swapoff -a"
        )
    return Finding("memory and swap", "ok", said)


def _priority(niceness: int) -> Finding:
    if niceness <= 0:
        return Finding("niceness", "ok", str(niceness))
    text = f"{niceness}: every other program goes first"
    return Finding("niceness", "look", text, "start it without nice")


def _affinity() -> Finding:
    usable, there = _cores(), os.cpu_count() or 1
    if usable == there:
        return Finding("cores", "ok", f"all {there}")
    text = f"this process may use {usable} of {there} cores"
    return Finding("cores", "look", text, "figures belong to so many cores; start it without taskset to use all")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
