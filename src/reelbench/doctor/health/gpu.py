"""NVIDIA GPUs: driver, memory, clocks, and whether something else uses them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from reelbench.doctor.findings import Finding
from reelbench.engines import nvidia

_ASKED = ("name", "driver_version", "memory.used", "memory.total", "clocks.sm", "clocks.max.sm", "temperature.gpu",
          "utilization.gpu", "persistence_mode", "clocks_event_reasons.active")  # fmt: skip
_HARMLESS = 0x1 | 0x2
"""Bits of the reasons for lower clocks: nothing to do, and clocks that the user set."""
BUSY_PERCENT = 5


def findings() -> Iterator[Finding]:
    if not nvidia.count():
        yield Finding("GPU", "ok", f"{nvidia.gpu().reason}: engines that need one are left out")
        return
    if shutil.which("nvidia-smi") is None:
        yield Finding(
            "GPU", "look", f"{nvidia.count()} GPU, but no nvidia-smi to ask for clocks", "install the driver's tools"
        )
        return
    command = ["nvidia-smi", f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding("GPU", "look", f"nvidia-smi did not answer: {error}", "look at the driver")
        return
    for at, line in enumerate(done.stdout.splitlines()):
        yield read(at, [part.strip() for part in line.split(",")])


def read(at: int, row: list[str]) -> Finding:
    """One line of nvidia-smi, its columns in the order of `_ASKED`."""
    name, driver, used, total, clock, most, heat, busy, persistence, reasons = row
    said = f"{name}, driver {driver}, {used} of {total} MiB used, {clock} of {most} MHz, {heat} °C"
    wrong = []
    if busy.isdigit() and int(busy) > BUSY_PERCENT:
        wrong.append(f"other programs use {busy} % of it")
    if persistence == "Disabled":
        wrong.append("persistence mode is off: the first call after a pause is slow (sudo nvidia-smi -pm 1)")
    lowered = int(reasons, 16) if reasons.startswith("0x") else 0
    if lowered & ~_HARMLESS:
        wrong.append(f"its clocks are being lowered (reasons {reasons}, 'nvidia-smi -q -d PERFORMANCE' names them)")
    if wrong:
        return Finding(f"GPU {at}", "look", f"{said}: {'; '.join(wrong)}")
    return Finding(f"GPU {at}", "ok", said)
