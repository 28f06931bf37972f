"""The processor: governor, turbo, heat. Virtual machines often show none of it, and then it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reelbench.doctor.findings import Finding
from reelbench.machine import read_line

CPU = Path("/sys/devices/system/cpu")
HOT_C = 90.0


def findings(root: Path = CPU) -> Iterator[Finding]:
    yield _governor(root)
    yield _turbo(root)
    yield _heat(root)


def _governor(root: Path) -> Finding:
    found = {read_line(str(path)) or "?" for path in root.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    if not found:
        return Finding("governor", "ok", "the system shows no frequency governor (usual on virtual machines)")
    names = ", ".join(sorted(found))
    if found == {"performance"}:
        return Finding("governor", "ok", names)
    return Finding(
        "governor",
        "look",
        f"{names}: clocks follow the load, so short passes are slower than long ones",
        "sudo cpupower frequency-set -g performance",
    )


def _turbo(root: Path) -> Finding:
    intel, other = read_line(str(root / "intel_pstate/no_turbo")), read_line(str(root / "cpufreq/boost"))
    if intel is None and other is None:
        return Finding("turbo", "ok", "the system does not say whether clocks are boosted")
    if intel == "1" or other == "0":
        return Finding("turbo", "ok", "off")
    where = "intel_pstate/no_turbo (1)" if intel is not None else "cpufreq/boost (0)"
    text = "on: clocks depend on heat and on how many cores are busy"
    return Finding("turbo", "look", text, f"for figures that must repeat write {root}/{where}")


def _heat(root: Path) -> Finding:
    import psutil

    counts = [read_line(str(path)) for path in root.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    throttled = sum(int(count) for count in counts if count and count.isdigit())
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    hottest = max((one.current for group in sensors.values() for one in group), default=None)
    said = "no temperature sensor" if hottest is None else f"hottest sensor {hottest:.0f} °C"
    if throttled or (hottest is not None and hottest >= HOT_C):
        text = f"{said}, clocks were lowered for heat {throttled} times since the start"
        return Finding("heat", "look", text, "let it cool down, look at its fans, or measure with fewer cores")
    return Finding("heat", "ok", said if hottest is not None or counts else f"{said} and no counter of lowered clocks")
