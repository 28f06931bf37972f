"""The machine and the software that a figure belongs to.

``fingerprint`` is a hash over what must agree before two figures may be compared: processor, its features, cores, memory, operating
system, GPU and driver. Package versions and the commit are recorded beside it: they are what a comparison may be about.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from reelbench import __version__
from reelbench.config import digest
from reelbench.paths import PACKAGE

_FEATURES = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
             "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve")  # fmt: skip
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "CUDA_VISIBLE_DEVICES",
              "OPENCV_FFMPEG_THREADS", "MALLOC_ARENA_MAX", "PYTHONHASHSEED")  # fmt: skip


def environment(*, workspace: bool = True) -> dict[str, Any]:
    """Everything that is kept beside a run, as JSON. Without ``workspace`` the current folder is not looked at: its git settings may
    start programs, and a command that only reports must not."""
    machine = _machine()
    return {
        "fingerprint": digest(machine)[:16],
        "machine": machine,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "load_average": list(os.getloadavg()),
        "python": sys.version.split()[0],
        "packages": dict(sorted({d.name: d.version for d in metadata.distributions() if d.name}.items())),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "reelbench": __version__,
        "code": git_state(PACKAGE),
        "workspace": git_state(Path.cwd()) if workspace else {},
    }


def fingerprint() -> str:
    """The ``fingerprint`` of `environment`, without looking at packages or at the current folder."""
    return digest(_machine())[:16]


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


def _machine() -> dict[str, Any]:
    import psutil

    model, features = _cpu()
    return {
        "cpu": model,
        "features": features,
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "usable_threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "cgroup_cpu_max": _read("/sys/fs/cgroup/cpu.max"),
        "cgroup_memory_max": _read("/sys/fs/cgroup/memory.max"),
        "os": platform.system(),
        "kernel": platform.release(),
        "distribution": _distribution(),
        "architecture": platform.machine(),
        "gpus": gpus(),
    }


def gpus() -> list[dict[str, str]]:
    """Name, memory and driver of each NVIDIA GPU, as nvidia-smi says; empty where there is none."""
    if shutil.which("nvidia-smi") is None:
        return []
    text = _run("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader") or ""
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    return [{"name": row[0], "memory": row[1], "driver": row[2]} for row in rows if len(row) == 3]


def _cpu() -> tuple[str, list[str]]:
    model, flags = platform.processor() or platform.machine(), set[str]()
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            model = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags.update(value.split())
    return model, [name for name in _FEATURES if name in flags]


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
