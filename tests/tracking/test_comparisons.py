"""Comparisons in a real MLflow database: one parent with both arms, sent once, and never lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.run_folder import read_record
from reelbench.comparison.folder import comparisons_dir, read_comparison
from reelbench.comparison.records import ComparisonRecord
from reelbench.errors import EXIT_UNAVAILABLE, InputError
from reelbench.owners import claim
from reelbench.tracking.client import TrackingError
from reelbench.tracking.folders import MARKER, log_folder
from reelbench.tracking.kinds.comparison import COMPARISON_TAG
from reelbench.tracking.mlflow_store import log_sweep
from reelbench.tracking.sync import local_folders, sync
from support.runs import make_run
from support.tracked import tracked_comparison


def found(uri: str, wanted: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(everywhere, wanted))


def write(folder: Path, record: ComparisonRecord) -> None:
    (folder / "comparison.json").write_text(record.model_dump_json(), encoding="utf-8")


def test_a_comparison_is_a_parent_with_both_arms_and_says_its_verdict(tmp_path: Path, uri: str):
    folder = tracked_comparison(tmp_path, "whole", ratio=0.25)
    (folder / "report.html").write_text("<p>", encoding="utf-8")
    parent = log_folder(folder, uri, "object_detection")
    record = read_comparison(folder)
    assert record.mlflow_run_id == parent and record.speed is not None and record.quality is not None
    [run] = found(uri, f"tags.`{COMPARISON_TAG}` = 'whole'")
    assert run.info.run_id == parent and run.info.status == "FINISHED"
    said = {
        "verdict": "faster",
        "quality.verdict": "not worse",
        "design": "interleaved",
        "analyzer": "object_detection",
        "a": record.a.label,
        "b": record.b.label,
        "machine": record.fingerprint,
        "mlflow.note.content": record.sentence,
        "git.commit": "0123456789abcdef0123456789abcdef01234567",
    }
    assert said.items() <= run.data.tags.items()
    figures = {
        "speed_ratio": record.speed.effect.ratio,
        "speed_low": record.speed.effect.low,
        "speed_high": record.speed.effect.high,
        "times_faster": 1 / record.speed.effect.ratio,
        "pairs": len(record.pairs),
        "quality_difference": record.quality.difference,
        "quality_low": record.quality.low,
        "minimum_detectable": record.speed.minimum_detectable,
        "parent_cpu_share": record.parent_cpu_share,
    }
    assert {name: run.data.metrics[name] for name in figures} == pytest.approx(figures)
    assert record.calibration is not None
    assert run.data.metrics["false_alarm_rate"] == pytest.approx(record.calibration.false_alarm_rate)
    children = found(uri, f"tags.`mlflow.parentRunId` = '{parent}'")
    assert {child.data.tags["reelbench.run_id"] for child in children} == {"whole-a", "whole-b"}
    assert {child.data.tags["reelbench.arm_of"] for child in children} == {"whole"}
    assert read_record(folder / "a").mlflow_run_id in {child.info.run_id for child in children}
    from mlflow import MlflowClient

    assert {file.path for file in MlflowClient(uri).list_artifacts(parent)} >= {"comparison.json", "report.html"}


def test_the_same_comparison_is_never_sent_twice_and_one_that_went_on_is_renewed(tmp_path: Path, uri: str):
    folder = tracked_comparison(tmp_path, "again", status="interrupted", pairs=6)
    parent = log_folder(folder, uri, "object_detection")
    assert log_folder(folder, uri, "elsewhere") == parent
    assert len(found(uri, f"tags.`{COMPARISON_TAG}` = 'again'")) == 1
    write(folder, read_comparison(folder).model_copy(update={"status": "finished", "seconds": 77.0}))
    assert log_folder(folder, uri, "object_detection") == parent
    [run] = found(uri, f"tags.`{COMPARISON_TAG}` = 'again'")
    assert run.info.status == "FINISHED" and run.data.metrics["seconds"] == 77
    assert len(found(uri, f"tags.`mlflow.parentRunId` = '{parent}'")) == 2


def test_an_unbounded_interval_is_left_out(tmp_path: Path, uri: str):
    folder = tracked_comparison(tmp_path, "unbounded")
    record = read_comparison(folder)
    assert record.speed is not None
    record.speed.effect.low, record.speed.effect.high = 0.0, float("inf")
    write(folder, record)
    log_folder(folder, uri, "object_detection")
    [run] = found(uri, f"tags.`{COMPARISON_TAG}` = 'unbounded'")
    assert "speed_high" not in run.data.metrics and "speed_ratio" in run.data.metrics


def test_a_comparison_that_could_not_be_sent_is_kept_and_sent_later_with_its_arms(
    tmp_path: Path, uri: str, closed_port: str
):
    folder = tracked_comparison(comparisons_dir(tmp_path), "late")
    with pytest.raises(TrackingError, match="late") as caught:
        log_folder(folder, closed_port, "object_detection")
    assert caught.value.exit_code == EXIT_UNAVAILABLE and "track sync" in caught.value.hint
    assert read_comparison(folder).mlflow_run_id is None and (folder / MARKER).is_file()
    running = tracked_comparison(comparisons_dir(tmp_path), "live", status="running")
    held = claim(running)
    assert held is not None
    (comparisons_dir(tmp_path) / "broken").mkdir()
    (comparisons_dir(tmp_path) / "broken" / "comparison.json").write_text("{", encoding="utf-8")

    report = sync(tmp_path, uri)
    sent = read_comparison(folder).mlflow_run_id
    assert report.sent == {str(folder): sent} and list(report.skipped) == [str(running)]
    assert list(report.damaged) == [str(comparisons_dir(tmp_path) / "broken")]
    assert not (folder / MARKER).exists() and not local_folders(tmp_path)[0][0].pending
    for letter in ("a", "b"):
        [arm] = found(uri, f"tags.`reelbench.run_id` = 'late-{letter}'")
        assert arm.data.tags["mlflow.parentRunId"] == sent
    assert sync(tmp_path, uri).sent == {}
    assert sync(tmp_path, uri, everything=True).sent == {str(folder): sent}
    assert len(found(uri, f"tags.`{COMPARISON_TAG}` = 'late'")) == 1


def test_runs_that_were_made_before_stay_what_they_are(tmp_path: Path, uri: str, closed_port: str):
    """`reelbench compare` of two runs of a sweep: they keep their parent, even one that is still to be sent."""
    folder = tracked_comparison(tmp_path, "before", b="optimized")
    for name in ("early-one", "early-two"):
        make_run(tmp_path / name, variant=name)
    with pytest.raises(TrackingError):
        log_sweep([tmp_path / "early-one", tmp_path / "early-two"], closed_port, "object_detection", "a sweep")
    record = read_comparison(folder)
    record.a.folder, record.b.folder = str(tmp_path / "early-one"), str(tmp_path / "early-two")
    record.design, record.pairs, record.speed, record.verdict = "separate runs", [], None, None
    write(folder, record)
    for letter in ("a", "b"):
        shutil.rmtree(folder / letter)
    parent = log_folder(folder, uri, "object_detection")
    [run] = found(uri, f"tags.`{COMPARISON_TAG}` = 'before'")
    [one] = found(uri, "tags.`reelbench.run_id` = 'early-one'")
    assert run.data.tags["a.mlflow_run"] == one.info.run_id
    assert not found(uri, f"tags.`mlflow.parentRunId` = '{parent}'")
    sync(tmp_path, uri)
    [one] = found(uri, "tags.`reelbench.run_id` = 'early-one'")
    [sweep] = found(uri, f"attributes.run_id = '{one.data.tags['mlflow.parentRunId']}'")
    assert sweep.info.run_name == "a sweep"


def test_an_arm_that_never_began_does_not_keep_the_comparison_back(tmp_path: Path, uri: str):
    folder = tracked_comparison(tmp_path, "half", invalid="arm B crashed before its first pass", status="failed")
    shutil.rmtree(folder / "b")
    parent = log_folder(folder, uri, "object_detection")
    [run] = found(uri, f"tags.`{COMPARISON_TAG}` = 'half'")
    assert (run.info.status, run.data.tags["verdict"]) == ("FAILED", "invalid")
    assert len(found(uri, f"tags.`mlflow.parentRunId` = '{parent}'")) == 1


def test_a_folder_that_is_no_comparison_is_refused(tmp_path: Path, uri: str):
    with pytest.raises(InputError, match=r"comparison\.json"):
        log_folder(tmp_path, uri, "object_detection")
