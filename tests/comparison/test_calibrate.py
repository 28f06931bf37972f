"""A calibration measures: real workers, a real delay, real decisions, kept and found again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import exp
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from reelbench.bench.effective import preflight
from reelbench.bench.setup import open_clips
from reelbench.comparison.arms import ArmPlan
from reelbench.comparison.calibrated import delta, read_calibration
from reelbench.comparison.calibration import calibrate as module
from reelbench.comparison.calibration.calibrate import CalibrationState, calibrate
from reelbench.comparison.calibration.figures import between_stretches, calibrated, quantile, quantile_bounds
from reelbench.comparison.calibration.stretch import Decision, Stretches
from reelbench.comparison.records import Pair
from reelbench.comparison.rule import Rule
from reelbench.config import RunConfig
from reelbench.errors import AnalyzerError, ConfigError, InputError
from reelbench.models.store import ModelStore
from reelbench.report.calibration_table import lines
from support.clips import make_clip
from support.run_configs import Told, brightness_config

PAIRS = {"looks": [4], "slice_s": 0.0, "slice_max": 1, "restart_every": 4}


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_CALIBRATION", str(tmp_path / "kept"))
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4"):
        make_clip(folder / name, frames=20 if name != "d.mp4" else 200)
    return folder


@pytest.fixture
def composed(clips: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """`calibrate` measures the tests' own analyzer."""
    config = brightness_config(clips, clips.parent / "runs", measure={"pairs": PAIRS})

    def planned(name: Any, spec: str, common: Sequence[str]) -> ArmPlan:
        return ArmPlan(name, spec, config, preflight(config, []), (), ())

    monkeypatch.setattr(module, "compose", lambda settings: config)
    monkeypatch.setattr(module, "plan", planned)
    return config


def test_an_injected_delay_really_slows_the_passes(clips: Path) -> None:
    config = brightness_config(clips, clips.parent / "runs", measure={"pairs": PAIRS})
    arms = [ArmPlan(name, "plain", config, preflight(config, []), (), ()) for name in ("a", "b")]
    opened = open_clips(config, [], ModelStore(), Told())
    bed = Stretches(arms[0], arms[1], opened, ModelStore(), "test", Told())
    (clip,) = bed.scout(clips.parent / "scouting", 1)
    assert clip != "d.mp4"  # ten times as long as the others
    bed.recent = {clip: [{"total_s": 0.1, "frames_sampled": 10}]}
    rule = Rule(looks=(4,))
    found = bed.measure(clips.parent / "decision", "seed", 2.0, rule, pairs=4)
    assert found.delays_s == {clip: pytest.approx(0.02)}
    assert len(found.pairs) == 4
    for pair in found.pairs:
        assert pair.b_s > 0.2  # ten frames of 20 ms each
    rows = {arm: pq.read_table(clips.parent / "decision" / arm / "samples.parquet").to_pylist() for arm in "ab"}
    assert median(r["cpu_s"] for r in rows["b"]) > median(r["cpu_s"] for r in rows["a"]) + 0.15  # burnt, not slept
    assert {row["kind"] for row in rows["a"]} == {"warmup", "timed"}
    assert bed.recent[clip][-1]["total_s"] == rows["a"][-1]["total_s"]  # undelayed passes set the next delays


def test_a_calibration_is_kept_for_the_machine_and_read_by_verdicts(composed: RunConfig, clips: Path) -> None:
    told = Told()
    found, file, folder = calibrate([], "reelbench calibrate", told, decisions=2)
    assert found == read_calibration(found.fingerprint)
    assert file.parent == clips.parent / "kept"
    assert found.decisions == 2 and set(found.power) == {"0.1", "0.05"}
    assert found.false_alarm_low <= found.false_alarm_rate <= found.false_alarm_high
    assert found.power_bounds["0.1"].decisions == 1 and found.power_bounds["0.1"].high > 0.9
    smallest, source = delta(0.0, found)
    assert smallest == found.floor and "own floor" in source
    state = CalibrationState.model_validate_json((folder / "calibration.json").read_bytes())
    assert state.status == "finished" and "d.mp4" not in state.clips
    raw = [Decision.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("*/decision.json"))]
    assert [one.slow_down for one in raw] == state.slow_downs
    assert sum(len(one.pairs) for one in raw) == 4 * len(raw)
    assert (folder / "0000" / "b" / "samples.parquet").is_file()
    assert any(clip.startswith("decision 1: ") for clip, _ in told.updates)


def test_an_interrupted_calibration_goes_on_where_it_was(
    composed: RunConfig, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, whole = [], Stretches.measure

    def interrupted(self: Stretches, path: Path, *args: Any) -> Decision:
        if len(measured) == 2:
            path.mkdir()  # it had begun
            raise KeyboardInterrupt
        measured.append(path.name)
        return whole(self, path, *args)

    monkeypatch.setattr(Stretches, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate([], "test", Told(), decisions=2)
    (folder,) = (clips.parent / "runs" / "calibrations").iterdir()
    before = (folder / "0001" / "decision.json").read_bytes()
    with pytest.raises(ConfigError, match="no interrupted calibration"):
        calibrate([], "test", Told(), decisions=3, resume=True)  # another plan

    monkeypatch.setattr(Stretches, "measure", whole)
    found, _, again = calibrate([], "test", Told(), decisions=2, resume=True)
    assert again == folder
    assert (folder / "0001" / "decision.json").read_bytes() == before
    assert found.decisions == 2
    with pytest.raises(ConfigError, match="no interrupted calibration"):
        calibrate([], "test", Told(), decisions=2, resume=True)  # it is finished


def test_a_quick_look_does_not_replace_what_rests_on_more(composed: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    full, file, _ = calibrate([], "test", Told(), decisions=2)
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "decisions": 50}))
    told = Told()
    calibrate([], "test", told, decisions=1, quick=True)
    known = read_calibration(full.fingerprint)
    assert known is not None and known.decisions == 50
    assert any("not kept" in message for message in told.messages)


def test_a_variant_that_fails_is_one_line_and_keeps_nothing(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = brightness_config(
        clips,
        clips.parent / "runs",
        measure={"pairs": PAIRS},
        faults=dict.fromkeys(("a.mp4", "b.mp4", "c.mp4", "d.mp4"), "raise"),
    )
    monkeypatch.setattr(module, "compose", lambda settings: config)
    monkeypatch.setattr(
        module, "plan", lambda name, spec, common: ArmPlan(name, spec, config, preflight(config, []), (), ())
    )
    with pytest.raises(AnalyzerError, match="told to fail"):
        calibrate([], "test", Told(), decisions=1)
    assert not (clips.parent / "kept").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--decisions", "0"], "at least one decision"),
        (["variant=nosuch"], "has no variant 'nosuch'"),
        (["nosuch=1"], "nosuch"),
        (["--config-dir", "nowhere"], "no such folder"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], said: str) -> None:
    from reelbench.cli import cli
    from reelbench.errors import ReelBenchError

    done = CliRunner().invoke(cli, ["calibrate", *arguments])
    assert isinstance(done.exception, ReelBenchError) and done.exception.exit_code == 2
    assert said in str(done.exception)


def decision(index: int, ratio: float, slow_down: float = 0.0, drift: float = 1.0) -> Decision:
    """30 pairs whose B takes ``ratio`` times as long, exactly, judged as in a comparison."""
    wobble = [1 + 0.001 * (i % 3) for i in range(30)]
    pairs = [
        Pair(index=i, clip="c", order="AB", repetitions=(i, i + 1), a_s=drift * w, b_s=drift * w * ratio)
        for i, w in enumerate(wobble)
    ]
    look = Rule(looks=(30,)).look([pair.log_ratio for pair in pairs])
    return Decision(slow_down=slow_down, started=10.0 * index, seconds=10.0, delays_s={}, pairs=pairs, looks=[look])


def test_the_figures_count_alarms_power_and_floor() -> None:
    made = [decision(i, 1 + 0.001 * (i % 5)) for i in range(99)] + [decision(99, 1.08)]
    made += [decision(100, 1.1, 0.1), decision(101, 1.1, 0.1), decision(102, 1.02, 0.05)]
    found = calibrated(made, created="2026-01-01", fingerprint="f", smallest_change=0.03, what="w")
    assert (found.decisions, found.false_alarms) == (100, 1)
    # Clopper-Pearson for 1 of 100, as in published tables
    assert (found.false_alarm_low, found.false_alarm_high) == (
        pytest.approx(0.000253, abs=1e-6),
        pytest.approx(0.05446, abs=1e-5),
    )
    assert found.power == {"0.1": 1.0, "0.05": 0.0}
    assert found.measured_slow_down["0.1"] == pytest.approx(0.1)
    assert found.floor == pytest.approx(0.004)
    assert found.floor_low is not None and found.floor_high is not None
    assert found.floor_low <= found.floor <= found.floor_high
    assert not any("a gate refuses" in line for line in lines(found))
    noisy = calibrated(
        [decision(i, 1.08) for i in range(9)], created="", fingerprint="f", smallest_change=0.03, what=""
    )
    assert any("a gate refuses" in line for line in lines(noisy))
    with pytest.raises(InputError, match="identical"):
        calibrated(made[100:], created="", fingerprint="f", smallest_change=0.03, what="")


def test_the_floor_between_runs_sees_the_drift_that_pairs_cancel() -> None:
    drifting = [decision(i, 1.0, drift=exp(0.1 * i)) for i in range(4)]
    assert between_stretches(drifting) == [pytest.approx(exp(0.1) - 1)] * 3
    assert quantile([abs(one.last.effect.ratio - 1) for one in drifting], 0.95) == pytest.approx(0.0, abs=1e-9)


def test_bounds_of_a_quantile_are_ordered_values() -> None:
    values = [float(i) for i in range(1, 101)]
    assert quantile(values, 0.95) == 95
    low, high = quantile_bounds(values, 0.95)
    assert (low, high) == (
        90.0,
        100.0,
    )  # Bin(100, 0.95): P(<= 89) = 0.0115, P(<= 90) = 0.028; P(<= 98) = 0.963, P(<= 99) = 0.994
    assert quantile_bounds(values[:71], 0.95)[1] is None and quantile_bounds(values[:72], 0.95)[1] == 72.0


def test_a_clip_that_fails_is_passed_over(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {"a.mp4": "segfault"}
    config = brightness_config(clips, clips.parent / "runs", measure={"pairs": PAIRS}, faults=faults)
    monkeypatch.setattr(module, "compose", lambda settings: config)
    monkeypatch.setattr(
        module, "plan", lambda name, spec, common: ArmPlan(name, spec, config, preflight(config, []), (), ())
    )
    told = Told()
    found, _, _ = calibrate([], "test", told, decisions=1)
    assert "b.mp4" in found.what and "a.mp4" not in found.what
    assert any(line.startswith("a.mp4: failed: ") and "SIGSEGV" in line for line in told.messages)
