"""The machine: what must agree before two figures may be compared, and the hash that stands for it.

That is the processor, its features, cores, memory, operating system, GPU and driver.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FEATURES = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
             "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve")  # fmt: skip


_INSTRUCTIONS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ORT_DISABLE_ALL_SIMD")
"""Variables that forbid a library some of the processor's instructions."""


def fingerprint(facts: Mapping[str, Any] | None = None) -> str:
    """Sixteen hex digits that stand for `machine`, or for what it said before."""
    return _digest(machine() if facts is None else facts)


def arithmetic() -> str:
    """Sixteen hex digits that stand for what the numbers of a network may depend on, runtimes apart.

    That is the processor, its features, which of them are forbidden to libraries, GPUs and drivers. It does not depend on the
    cores that this process may use, as `fingerprint` does: a worker that is bound to one core computes the same.
    """
    model, features = cpu()
    forbidden = {name: os.environ[name] for name in _INSTRUCTIONS if name in os.environ}
    return _digest({"cpu": model, "features": features, "gpus": gpus(), "variables": forbidden})


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def machine() -> dict[str, Any]:
    """What the machine is, as JSON."""
    import psutil

    model, features = cpu()
    return {
        "cpu": model,
        "features": features,
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "usable_threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "cgroup_cpu_max": read_line("/sys/fs/cgroup/cpu.max"),
        "cgroup_memory_max": read_line("/sys/fs/cgroup/memory.max"),
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
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]
    return [{"name": row[0], "memory": row[1], "driver": row[2]} for row in rows if len(row) == 3]


def cpu() -> tuple[str, list[str]]:
    """The processor's name, and which features it has of those that matter to networks."""
    model, flags = platform.processor() or platform.machine(), set[str]()
    for line in (read_line("/proc/cpuinfo") or "").splitlines():
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


def read_line(path: str) -> str | None:
    """A small file of the system without its end of line; None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
