"""What `reelbench doctor` says of a machine, read from files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

from reelbench.doctor.health import gpu, limits, load, processor


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _levels(found) -> dict[str, str]:  # type: ignore[no-untyped-def]
    return {one.name: one.level for one in found}


def test_governor_turbo_and_heat(tmp_path: Path) -> None:
    quiet = _write(
        tmp_path / "quiet", {"cpu0/cpufreq/scaling_governor": "performance\n", "intel_pstate/no_turbo": "1\n"}
    )
    levels = _levels(processor.findings(quiet))
    assert (levels["governor"], levels["turbo"]) == ("ok", "ok")
    files = {
        "cpu0/cpufreq/scaling_governor": "performance\n",
        "cpu1/cpufreq/scaling_governor": "powersave\n",
        "cpufreq/boost": "1\n",
        "cpu0/thermal_throttle/core_throttle_count": "7\n",
    }
    assert set(_levels(processor.findings(_write(tmp_path / "laptop", files))).values()) == {"look"}


def test_limits_of_the_control_group(tmp_path: Path) -> None:
    free = _write(tmp_path / "free", {"cpu.max": "max 100000\n", "memory.max": "max\n"})
    assert set(_levels(limits.findings(free)).values()) == {"ok"}
    files = {
        "cpu.max": "150000 100000\n",
        "cpu.stat": "nr_periods 10\nnr_throttled 4\n",
        "memory.max": "1000000000\n",
        "memory.current": "400000000\n",
    }
    processor_, memory = limits.findings(_write(tmp_path / "small", files))
    assert (processor_.level, memory.level) == ("look", "look")
    assert "1.50 cores" in processor_.text and "held back 4 times" in processor_.text
    assert "0.6 GB of it unused" in memory.text


def test_load_counts_for_each_core() -> None:
    assert load.load(1.0, 8, "").level == "ok"
    busy = load.load(1.0, 2, "some avg10=1.00 avg60=40.00 avg300=0.00 total=5")
    assert busy.level == "look" and "40 %" in busy.text


def test_clocks_that_are_lowered_are_named() -> None:
    row = ["H200", "570.1", "4", "143771", "1980", "1980", "40", "0", "Enabled", "0x0000000000000001"]
    assert gpu.read(0, row).level == "ok"
    hot = gpu.read(0, [*row[:-1], "0x0000000000000020"])
    assert hot.level == "look" and "clocks are being lowered" in hot.text
    assert "other programs use 60 %" in gpu.read(0, [*row[:7], "60", *row[8:]]).text
