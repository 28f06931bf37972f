"""Limits of the control group: how much processor time and memory this process may take, and whether it was held back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from reelbench.doctor.findings import Finding
from reelbench.machine import read_line

CGROUP = Path("/sys/fs/cgroup")
LEAST_MEMORY = 4e9


def findings(root: Path = CGROUP) -> Iterator[Finding]:
    yield _processor(root)
    yield _memory(root)


def _processor(root: Path) -> Finding:
    limit = (read_line(str(root / "cpu.max")) or "max").split()
    held_back = _number(root / "cpu.stat", "nr_throttled")
    if limit[0] == "max" or len(limit) < 2:
        return Finding("cgroup processor limit", "ok", "none")
    cores = int(limit[0]) / int(limit[1])
    said = f"{cores:.2f} cores of {os.cpu_count()}, held back {held_back} times"
    text = f"{said}: passes are stopped for milliseconds when the share is used up"
    return Finding("cgroup processor limit", "look", text, "give the container whole cores (cpuset) instead of a share")


def _memory(root: Path) -> Finding:
    limit, used = read_line(str(root / "memory.max")), read_line(str(root / "memory.current"))
    if limit is None or not limit.isdigit():
        return Finding("cgroup memory limit", "ok", "none")
    killed = _number(root / "memory.events", "oom_kill")
    free = int(limit) - int(used or 0)
    said = f"{int(limit) / 1e9:.1f} GB, {free / 1e9:.1f} GB of it unused, {killed} processes killed for it"
    if int(limit) < LEAST_MEMORY or killed:
        return Finding("cgroup memory limit", "look", said, "give the container more memory")
    return Finding("cgroup memory limit", "ok", said)


def _number(path: Path, name: str) -> int:
    for line in (read_line(str(path)) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0
