"""``reelbench track``: what MLflow lacks is found and sent, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from reelbench.bench.run_folder import read_record
from reelbench.cli.track import command
from reelbench.errors import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, InputError
from reelbench.owners import claim
from reelbench.tracking.client import TrackingError
from reelbench.tracking.folders import MARKER
from reelbench.tracking.mlflow_store import log_run, log_sweep
from reelbench.tracking.sync import sync
from support.runs import make_run


def track(*arguments: str) -> tuple[int, Any]:
    done = CliRunner().invoke(command, [*arguments, "--json"], standalone_mode=False, catch_exceptions=False)
    return done.return_value, json.loads(done.stdout)


def configure(folder: Path, uri: str) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["tracking"]["uri"] = uri
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def test_runs_that_could_not_be_sent_are_sent_later_and_only_once(tmp_path: Path, uri: str, closed_port: str):
    runs = tmp_path / "runs"
    make_run(runs / "one")
    make_run(runs / "two", variant="optimized")
    (tmp_path / "report.html").write_text("<p>", encoding="utf-8")
    make_run(runs / "single")
    with pytest.raises(TrackingError, match="2 runs"):
        log_sweep([runs / "one", runs / "two"], closed_port, "object_detection", "a sweep", [tmp_path / "report.html"])
    with pytest.raises(TrackingError):
        log_run(runs / "single", closed_port, "object_detection")
    code, listed = track("list", "--runs-dir", str(runs))
    assert code == EXIT_OK and [row["mlflow"] for row in listed["runs"]] == [None, None, None]

    code, report = track("sync", "--runs-dir", str(runs))
    assert code == EXIT_OK and set(report["sent"]) == {str(runs / name) for name in ("one", "two", "single")}
    assert not list(runs.glob(f"*/{MARKER}"))
    from mlflow import MlflowClient

    tags = {
        name: MlflowClient(uri).get_run(read_record(runs / name).mlflow_run_id).data.tags
        for name in ("one", "two", "single")
    }
    parent = MlflowClient(uri).get_run(tags["one"]["mlflow.parentRunId"])
    assert parent.info.run_name == "a sweep" and tags["two"]["mlflow.parentRunId"] == parent.info.run_id
    assert "mlflow.parentRunId" not in tags["single"]

    assert track("sync", "--runs-dir", str(runs))[1]["sent"] == {}
    ids = {str(folder): read_record(folder).mlflow_run_id for folder in runs.iterdir()}
    assert track("sync", "--runs-dir", str(runs), "--all")[1]["sent"] == ids
    code, listed = track("list", "--runs-dir", str(runs))
    assert {row["folder"]: row["mlflow"] for row in listed["runs"]} == ids


def test_what_cannot_be_sent_is_named_and_the_rest_goes_on(tmp_path: Path, uri: str, closed_port: str):
    runs = tmp_path / "runs"
    for name, status in (
        ("good", "finished"),
        ("off", "finished"),
        ("away", "finished"),
        ("away2", "failed"),
        ("live", "running"),
        ("killed", "running"),
    ):
        make_run(runs / name, status=status)
    held = claim(runs / "live")
    assert held is not None
    configure(runs / "off", "off")
    configure(runs / "away", closed_port)
    configure(runs / "away2", closed_port)
    (runs / "damaged").mkdir()
    (runs / "damaged" / "run.json").write_text('{"version": 1, "run_', encoding="utf-8")
    code, report = track("sync", "--runs-dir", str(runs))
    assert code == EXIT_UNAVAILABLE
    assert {kind: {Path(folder).name for folder in folders} for kind, folders in report.items()} == {
        "sent": {"good", "killed"},
        "failed": {"away", "away2"},
        "skipped": {"off", "live"},
        "damaged": {"damaged"},
    }
    code, report = track("sync", "--runs-dir", str(runs), "--uri", uri, "--experiment", "elsewhere")
    assert code == EXIT_USAGE
    assert {Path(folder).name for folder in report["sent"]} == {"off", "away", "away2"}
    assert read_record(runs / "live").mlflow_run_id is None


def test_a_server_that_is_away_is_tried_once(tmp_path: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch):
    import requests

    asked: list[str] = []
    get = requests.get
    monkeypatch.setattr(requests, "get", lambda url, **options: asked.append(url) or get(url, **options))
    for index in range(4):
        make_run(tmp_path / f"run{index}")
    assert len(sync(tmp_path, closed_port).failed) == 4
    assert len(asked) == 1


def test_a_folder_of_runs_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="nowhere"):
        sync(tmp_path / "nowhere")
    assert sync(tmp_path).sent == {}


def test_the_tables_for_people(tmp_path: Path, uri: str):
    make_run(tmp_path / "runs/a", invalid="it ran elsewhere")
    shown = CliRunner().invoke(command, ["list", "--runs-dir", str(tmp_path / "runs")], standalone_mode=False).stdout
    assert "not sent" in shown and "invalid" in shown
    told = CliRunner().invoke(command, ["sync", "--runs-dir", str(tmp_path / "runs")], standalone_mode=False).stdout
    assert told.startswith("sent ") and read_record(tmp_path / "runs/a").mlflow_run_id in told
