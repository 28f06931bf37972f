"""Which files a live process holds a lock on, as the kernel tells it: asked without taking a lock, which could disturb its owner."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reelbench.disk.walk import Identity

_LINE = re.compile(r" ([0-9a-f]+):([0-9a-f]+):(\d+) \S+ \S+$", re.MULTILINE)


def held(locks: Path = Path("/proc/locks")) -> frozenset[Identity]:
    """Device and inode of every locked file. Empty where the kernel does not tell: a hint; deleting asks for the lock."""
    try:
        text = locks.read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    return frozenset(
        (os.makedev(int(major, 16), int(minor, 16)), int(inode)) for major, minor, inode in _LINE.findall(text)
    )
