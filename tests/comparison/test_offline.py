"""Runs that were made before, compared: what is decided, what is refused, and that pairs are used where there are any."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelbench.bench.records import QualityRecord
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.summary import summarize
from reelbench.comparison.calibrated import write_calibration
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.offline.compare import compare_runs, save_comparison
from reelbench.comparison.offline.find import find_run
from reelbench.comparison.records import Calibrated, ComparisonRecord
from reelbench.config import Judging
from reelbench.errors import (
    EXIT_FAILED,
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_REGRESSION,
    EXIT_USAGE,
    ConfigError,
    InputError,
)
from reelbench.report.ab_page import write_ab_page
from support.comparisons import make_comparison
from support.runs import make_config, make_environment, make_quality, make_run

CLIPS = tuple(f"clip{number}" for number in range(8))


@pytest.fixture(autouse=True)
def calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_CALIBRATION", str(tmp_path / "calibrations"))


def calibrate(between: float | None) -> None:
    write_calibration(
        Calibrated(
            created="2026-03-01", fingerprint=str(make_environment()["fingerprint"]), decisions=200, false_alarms=4,
            false_alarm_rate=0.02, false_alarm_low=0.005, false_alarm_high=0.05, floor=0.03, floor_between_runs=between,
        )
    )  # fmt: skip


def two(tmp_path: Path, *, b_s: float = 0.2, clips: tuple[str, ...] = CLIPS, **of_b: Any) -> tuple[Path, Path]:
    a, b = tmp_path / "runs" / "run_a", tmp_path / "runs" / "run_b"
    make_run(a, clips=clips)
    make_run(b, **{"clips": clips, "variant": "optimized", "pass_s": b_s, "seed": 1, **of_b})
    return a, b


def judged(a: Path, b: Path) -> ComparisonRecord:
    return compare_runs(a, b)


def test_without_a_calibration_nothing_is_decided_however_clear_it_looks(tmp_path: Path) -> None:
    record = judged(*two(tmp_path))
    assert record.design == "separate runs" and record.speed is not None and record.speed.effect.high < 0.3
    assert record.verdict == "inconclusive" and record.exit_code == EXIT_INCONCLUSIVE
    assert "tens of per cent" in record.sentence and any("reelbench ab" in note for note in record.notes)
    assert record.speed.minimum_detectable is None and record.speed.pairs_needed is None
    calibrate(None)
    assert judged(*two(tmp_path / "again")).verdict == "inconclusive"


def test_the_interval_is_widened_by_the_drift_between_runs_and_swapping_mirrors_it(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    raw = judged(a, b).speed
    calibrate(0.2)
    there, back = judged(a, b), judged(b, a)
    assert raw is not None and there.speed is not None and back.speed is not None
    assert there.speed.effect.low == pytest.approx(raw.effect.low / 1.2)
    assert there.speed.effect.high == pytest.approx(raw.effect.high * 1.2)
    assert (there.verdict, there.exit_code, back.verdict) == ("faster", EXIT_OK, "slower")
    assert back.speed.effect.low == pytest.approx(1 / there.speed.effect.high)
    assert "8 clips, runs made at different times" in there.sentence


def test_a_difference_that_drift_explains_decides_nothing(tmp_path: Path) -> None:
    calibrate(0.4)
    record = judged(*two(tmp_path, b_s=0.8 * 1.2))
    assert record.speed is not None and record.speed.effect.ratio > 1.1
    assert record.verdict == "inconclusive" and "reelbench ab" in record.sentence


def test_five_clips_are_too_few(tmp_path: Path) -> None:
    calibrate(0.1)
    record = judged(*two(tmp_path, clips=CLIPS[:5]))
    assert record.speed is not None and record.speed.effect.high == inf
    assert record.verdict == "inconclusive" and "too few clips" in record.sentence


def change(file: str, edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(run: Path) -> None:
        path = run / file
        content = yaml.safe_load(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))

    return apply


UNLIKE: list[tuple[Callable[[Path], None], str]] = [
    (change("environment.json", lambda e: e.update(fingerprint="other")), "different machine"),
    (change("environment.json", lambda e: e.pop("fingerprint")), "does not say on which machine"),
    (change("run.json", lambda r: r["clips"][3].update(sha256="ef" * 32)), "different clips: clip3"),
    (change("run.json", lambda r: r["clips"].pop()), "different clips: clip7"),
    (change("run.json", lambda r: r.update(analyzer="faces")), "different analyzer: object_detection and faces"),
    (change("run.json", lambda r: r.update(version=2)), "different run format: 1 and 2"),
    (change("config.yaml", lambda c: c["measure"].update(repetitions_min=9)), "measure.repetitions_min: 3 and 9"),
    (change("config.yaml", lambda c: c.update(media={"limits": {"max_pixels": 5}})), "media.limits.max_pixels: 16777216 and 5"),
    (change("results/clip2.json", lambda r: r.update(schema_version=7)), "different result schema: [1] and [1, 7]"),
]  # fmt: skip


@pytest.mark.parametrize(("apply", "words"), UNLIKE, ids=[words for _, words in UNLIKE])
def test_what_does_not_belong_together_is_refused(tmp_path: Path, apply: Callable[[Path], None], words: str) -> None:
    a, b = two(tmp_path)
    apply(b)
    record = judged(a, b)
    assert record.verdict == "invalid" and record.exit_code == EXIT_USAGE and words in record.invalid


def test_all_reasons_are_named_at_once(tmp_path: Path) -> None:
    a, b = two(tmp_path, effective="baseline", status="failed", failed_clips={"broken": "SIGSEGV"})
    change("environment.json", lambda e: e.update(fingerprint="other"))(b)
    record = judged(a, b)
    for words in (
        "ran baseline",
        "not finished but failed (broken: SIGSEGV)",
        "different machine",
        "different clips: broken",
    ):
        assert words in record.invalid
    assert record.exit_code == EXIT_FAILED and record.sentence.startswith("invalid: ")


def test_a_clip_that_both_runs_failed_on_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    def fail(record: dict[str, Any]) -> None:
        broken = {"name": "broken", "sha256": "b", "status": "failed", "error": "SIGSEGV"}
        record.update(status="failed", clips=[*record["clips"], broken])

    calibrate(0.2)
    a, b = two(tmp_path)
    for run in (a, b):
        change("run.json", fail)(run)
    record = judged(a, b)
    assert record.verdict == "faster" and not record.invalid
    assert "broken: failed in both runs: SIGSEGV; SIGSEGV" in record.notes


def drop_samples(run: Path) -> None:
    """As a run is in which nothing could be measured."""
    (run / "samples.parquet").unlink()
    change("run.json", lambda r: [r.update(summary={}), *(clip.update(repetitions=0) for clip in r["clips"])])(run)


def spoil_a_sample(run: Path) -> None:
    folder = RunFolder.open(run)
    folder.samples[-1]["total_s"] = nan
    folder.record.summary = summarize(folder.samples, folder.frames)
    folder.save()


def spoil_a_score(run: Path) -> None:
    change("run.json", lambda r: r["quality"]["per_clip"]["clip0"].update(map50=nan))(run)


@pytest.mark.parametrize(
    ("apply", "words"),
    [
        (drop_samples, "has no samples"),
        (spoil_a_sample, "clip7 took nan s"),
        (spoil_a_score, "map50 on clip0 is nan"),
        (change("run.json", lambda r: r.update(invalid="the evidence contradicts")), "the evidence contradicts"),
        (change("run.json", lambda r: r.update(status="interrupted")), "not finished but interrupted"),
    ],
)
def test_a_run_that_is_no_good_makes_it_invalid(tmp_path: Path, apply: Callable[[Path], None], words: str) -> None:
    a, b = two(tmp_path)
    apply(b)
    record = judged(a, b)
    assert record.verdict == "invalid" and record.exit_code == EXIT_FAILED and words in record.invalid


def test_other_commits_and_packages_are_compared_and_said(tmp_path: Path) -> None:
    a, b = two(tmp_path, variant="baseline")
    new = {"code": {"commit": "fe" * 20, "dirty": True}, "packages": {"numpy": "9"}}
    change("environment.json", lambda e: e.update(new))(b)
    record = judged(a, b)
    assert record.verdict == "inconclusive" and (record.a.label, record.b.label) == (
        "baseline (0123456789)", "baseline (fefefefefe)",
    )  # fmt: skip
    assert any("fefefefefe with uncommitted changes" in note for note in record.notes)
    assert "different packages: numpy 0.0-fixture → 9" in record.notes


def test_worse_quality_fails_though_it_is_faster(tmp_path: Path) -> None:
    calibrate(0.1)
    scores = {clip: {"map50": 0.7} for clip in CLIPS}
    worse = {clip: {"map50": 0.5} for clip in CLIPS}
    a, b = two(tmp_path, quality=QualityRecord(primary="map50", per_clip=worse, overall={"map50": 0.5}))
    make_run(a, clips=CLIPS, quality=QualityRecord(primary="map50", per_clip=scores, overall={"map50": 0.7}))
    record = judged(a, b)
    assert (record.verdict, record.exit_code) == ("faster", EXIT_REGRESSION)
    assert record.quality is not None and record.quality.verdict == "worse"


def test_agreement_counts_only_with_the_run_that_it_was_measured_against(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    with_reference = judged(a, b).quality
    assert with_reference is not None and with_reference.agreement == pytest.approx(0.92)
    other = tmp_path / "runs" / "run_c"
    make_run(other, clips=CLIPS, variant="exotic", seed=2, quality=make_quality(CLIPS))
    record = judged(other, b)
    assert record.quality is not None and record.quality.agreement is None
    assert any(note.startswith("agreement of A and of B with baseline: agreement_f1 0.920") for note in record.notes)


def interleaved(tmp_path: Path, **settings: Any) -> Path:
    folder = make_comparison(tmp_path / "runs" / "comparisons", **settings)
    for arm in ("a", "b"):
        change("run.json", lambda r: r.update(comparison=folder.name))(folder / arm)
        change("run.json", lambda r, arm=arm: r.update(run_id=f"arm-{arm}"))(folder / arm)  # type: ignore[misc]
    change("comparison.json", lambda r: (r["a"].update(run_id="arm-a"), r["b"].update(run_id="arm-b")))(folder)
    return folder


def test_arms_of_one_comparison_are_judged_by_their_pairs(tmp_path: Path) -> None:
    folder = interleaved(tmp_path, clips=CLIPS[:4])
    change("run.json", lambda r: r["quality"].update(agreement={"f1": 0.5}))(folder / "a")
    original = read_comparison(folder)
    record = judged(folder / "a", folder / "b")
    assert record.design == "interleaved" and record.verdict == original.verdict == "faster"
    assert record.speed is not None and original.speed is not None and record.speed.effect == original.speed.effect
    assert record.pairs == original.pairs and original.id in record.notes[0]
    back = judged(folder / "b", folder / "a")
    assert back.verdict == "slower" and back.speed is not None
    assert back.quality is not None and back.quality.agreement is None
    assert back.speed.effect.low == pytest.approx(1 / record.speed.effect.high)
    assert back.pairs[0].order == original.pairs[0].order.translate(str.maketrans("AB", "BA"))
    stricter = compare_runs(folder / "b", folder / "a", judging=Judging(smallest_change=0.9))
    assert stricter.speed is not None and stricter.speed.delta == 0.9


def test_an_invalid_comparison_stays_invalid(tmp_path: Path) -> None:
    folder = interleaved(tmp_path, invalid="repeated frames were faster")
    record = judged(folder / "a", folder / "b")
    assert record.verdict == "invalid" and record.exit_code == EXIT_FAILED and "repeated frames" in record.invalid


def test_arms_without_their_comparison_are_two_runs(tmp_path: Path) -> None:
    folder = interleaved(tmp_path, clips=CLIPS)
    (folder / "comparison.json").unlink()
    record = judged(folder / "a", folder / "b")
    assert record.design == "separate runs" and any("its pairs are not used" in note for note in record.notes)


@pytest.mark.parametrize("invalid", [False, True])
def test_what_is_kept_has_a_page(tmp_path: Path, invalid: bool) -> None:
    a, b = two(tmp_path)
    if invalid:
        drop_samples(b)
        change("run.json", lambda r: r.update(clips=[]))(b)
    record = judged(a, b)
    folder = save_comparison(record, tmp_path / "runs")
    assert read_comparison(folder) == record
    assert json.loads((folder / "environment.json").read_text()) == make_environment()
    page = write_ab_page(folder).read_text()
    assert ("has no samples" if invalid else "the two runs were made at different times") in page
    assert "back to back" not in page and "in the order measured" not in page


def test_runs_are_found_by_any_name(tmp_path: Path) -> None:
    a, _ = two(tmp_path)
    folder = interleaved(tmp_path)
    runs = tmp_path / "runs"
    change("run.json", lambda r: r.update(mlflow_run_id="ab" * 16))(a)
    assert find_run(a, runs) == find_run("run_a", runs) == find_run("ab" * 16, runs) == a
    assert find_run("arm-b", runs) == folder / "b"
    with pytest.raises(InputError) as caught:
        find_run("runa", runs)
    assert "run_a" in caught.value.hint
    with pytest.raises(InputError, match="no run 'x'"):
        find_run("x", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="itself"):
        compare_runs(a, a)


def test_damaged_settings_are_one_line(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    (b / "config.yaml").write_text(json.dumps({**make_config("optimized", "x", "demo"), "comparison": {"counts": 3}}))
    with pytest.raises(InputError, match=r"config.yaml: counts"):
        compare_runs(a, b)
