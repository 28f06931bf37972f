"""Describe the machine and the software on which a figure was measured.

``fingerprint`` (`reelbench.machine`) stands for what must agree before two figures may be compared. Package
versions and the commit are recorded beside it: they are what a comparison may be about.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from reelbench import __version__
from reelbench.config import digest
from reelbench.machine import fingerprint, machine, read_line
from reelbench.paths import PACKAGE

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "CUDA_VISIBLE_DEVICES",
              "OPENCV_FFMPEG_THREADS", "MALLOC_ARENA_MAX", "PYTHONHASHSEED")  # fmt: skip


def environment(*, workspace: bool = True) -> dict[str, Any]:
    """Everything that is kept beside a run, as JSON. Without ``workspace`` the current folder is not looked at: its git settings may
    start programs, and a command that only reports must not."""
    here = machine()
    return {
        "fingerprint": fingerprint(here),
        "machine": here,
        "governor": read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "load_average": list(os.getloadavg()),
        "python": sys.version.split()[0],
        "packages": dict(sorted({d.name: d.version for d in metadata.distributions() if d.name}.items())),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "reelbench": __version__,
        "code": git_state(PACKAGE),
        "workspace": git_state(Path.cwd()) if workspace else {},
    }


def git_state(folder: Path) -> dict[str, Any]:
    """Commit, dirty flag and a digest of the uncommitted change of the checkout around ``folder``; empty outside of one."""
    # A repository's own settings can name programs for git to start: a monitor of its files, or one that shows differences.
    git = ("git", "-C", str(folder), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
    commit = _run(*git, "rev-parse", "HEAD")
    if not commit:
        return {}
    changes = _run(*git, "status", "--porcelain") or ""
    diff = _run(*git, "diff", "--no-ext-diff", "--no-textconv", "HEAD") or ""
    state: dict[str, Any] = {"commit": commit, "dirty": bool(changes)}
    if changes:
        state["change"] = digest([changes, diff])[:16]
    return state


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
