"""Past runs read back from a real MLflow database. It is shared with other tests: the analyzers' names are this module's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.records import QualityRecord
from reelbench.errors import EXIT_UNAVAILABLE, EXIT_USAGE, InputError
from reelbench.tracking import history
from reelbench.tracking.client import TrackingError
from reelbench.tracking.folders import log_folder
from reelbench.tracking.history import read_history
from reelbench.tracking.mlflow_store import log_run
from support.runs import make_environment, make_run
from support.tracked import tracked_comparison


def sent(
    folder: Path, uri: str, created: str, experiment: str = "history", analyzer: str = "watched", **options: Any
) -> None:
    make_run(folder, analyzer=analyzer, **options)
    file = folder / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "created": created}), encoding="utf-8")
    log_run(folder, uri, experiment)


def test_points_hold_what_the_runs_measured_oldest_first_from_every_experiment(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(history, "_PAGE", 2)
    sent(tmp_path / "third", uri, "2026-03-03T12:00:00+00:00", variant="trt", effective="baseline")
    sent(tmp_path / "first", uri, "2026-03-01T12:00:00+00:00", experiment="another")
    sent(tmp_path / "second", uri, "2026-03-02T14:00:00+02:00", invalid="it ran elsewhere")
    agreement = QualityRecord(primary="map50", reference="baseline", agreement={"agreement_f1": 0.9})
    sent(tmp_path / "fourth", uri, "2026-03-04T12:00:00+00:00", analyzer="other", quality=agreement)
    log_folder(tracked_comparison(tmp_path, "arms", analyzer="compared"), uri, "history")

    points = read_history(uri, "watched").points
    assert [point.run_id for point in points] == ["first", "second", "third"]
    record = make_run(tmp_path / "first", analyzer="watched")
    first, second, third = points
    assert (first.x_realtime, first.total_s) == (record.summary["x_realtime"], record.summary["total_s_median"])
    assert (first.quality, first.quality_metric, first.quality_reference) == (0.71, "map50", "")
    assert (first.corpus, first.measure, first.config_hash) == ("demo", "quick", record.config_hash)
    environment = make_environment()
    assert (first.machine, first.machine_name) == (environment["fingerprint"], "Fixture CPU, 2 threads")
    assert (first.commit, first.dirty) == (environment["code"]["commit"], False)
    assert second.created == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert (second.invalid, second.usable, first.usable) == ("it ran elsewhere", False, True)
    assert (third.requested, third.variant) == ("trt", "baseline")
    [fourth] = read_history(uri, "other").points
    assert (fourth.quality, fourth.quality_metric, fourth.quality_reference) == (0.9, "f1", "baseline")
    arms = read_history(uri, "compared").points
    assert len(arms) == 2 and not any(arm.usable for arm in arms) and all(arm.comparison for arm in arms)
    assert {"watched", "other", "compared"} <= {point.analyzer for point in read_history(uri).points}


def test_an_unknown_analyzer_is_refused_with_those_that_there_are(tmp_path: Path, uri: str):
    sent(tmp_path / "known", uri, "2026-03-01T12:00:00+00:00")
    with pytest.raises(InputError, match="'typo'") as caught:
        read_history(uri, "typo")
    assert "watched" in caught.value.hint


@pytest.mark.parametrize("scheme", ["sqlite:///", "file://", ""])
def test_a_database_that_is_not_there_is_refused_and_not_made(tmp_path: Path, scheme: str):
    with pytest.raises(InputError, match="no such database") as caught:
        read_history(f"{scheme}{tmp_path / 'typo'}")
    assert caught.value.exit_code == EXIT_USAGE
    assert list(tmp_path.iterdir()) == []


def test_a_folder_store_is_read_too(tmp_path: Path):
    sent(tmp_path / "in_a_folder", f"file://{tmp_path / 'store'}", "2026-03-01T12:00:00+00:00")
    [point] = read_history(f"file://{tmp_path / 'store'}", "watched").points
    assert point.run_id == "in_a_folder"


def test_a_server_that_is_away_is_named(closed_port: str):
    with pytest.raises(TrackingError, match="cannot be reached") as caught:
        read_history(closed_port)
    assert caught.value.exit_code == EXIT_UNAVAILABLE
