"""Runs that are only on disk: listed, and sent to MLflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reelbench.bench.records import RunRecord
from reelbench.bench.run_folder import read_record
from reelbench.errors import InputError
from reelbench.tracking.client import TrackingError
from reelbench.tracking.mlflow_store import MARKER, log_run, log_sweep

OFF = "off"


@dataclass(frozen=True, slots=True)
class Local:
    """A run folder. ``sweep``: the --multirun that it belongs to, with its runs and artifacts, where that could not be sent."""

    folder: Path
    record: RunRecord
    pending: bool
    sweep: str | None = None
    siblings: tuple[Path, ...] = ()
    artifacts: tuple[Path, ...] = ()


@dataclass(slots=True)
class SyncReport:
    """By folder: the MLflow run id of what was sent, and why the rest was not (``failed`` can be tried again)."""

    sent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)


def local_runs(runs_dir: Path) -> tuple[list[Local], dict[str, str]]:
    """All run folders of ``runs_dir``, oldest first, and the damaged ones with the reason. InputError where there is no such folder."""
    if not runs_dir.is_dir():
        raise InputError(f"{runs_dir} is not a folder", "--runs-dir names the folder of the runs")
    runs, damaged = [], {}
    for file in sorted(runs_dir.glob("*/run.json")):
        try:
            runs.append(_local(file.parent))
        except InputError as error:
            damaged[str(file.parent)] = error.message
    return runs, damaged


def sync(runs_dir: Path, uri: str | None = None, experiment: str | None = None, everything: bool = False) -> SyncReport:
    """Send what MLflow does not have yet; with ``everything`` also what was sent before, perhaps to another server (no run is
    there twice). ``uri`` and ``experiment`` default to what each run's own configuration says. An experiment that fails is tried once.
    """
    runs, damaged = local_runs(runs_dir)
    report = SyncReport(damaged=damaged)
    away: dict[tuple[str, str], str] = {}
    for run in runs:
        if str(run.folder) in report.sent or not (run.pending or everything):
            continue
        target, name = _target(run, uri, experiment)
        if run.record.status == "running":
            report.skipped[str(run.folder)] = "it is still running, or was cut off: run it again to finish it"
        elif target == OFF:
            report.skipped[str(run.folder)] = "its configuration says tracking.uri=off; --uri sends it all the same"
        elif (target, name) in away:
            report.failed[str(run.folder)] = away[target, name]
        else:
            _send(run, target, name, report, away)
    return report


def _send(run: Local, uri: str, experiment: str, report: SyncReport, away: dict[tuple[str, str], str]) -> None:
    folders: Sequence[Path] = [run.folder]
    try:
        if run.sweep is None:
            log_run(run.folder, uri, experiment)
        else:
            folders = run.siblings
            log_sweep(folders, uri, experiment, run.sweep, run.artifacts)
    except TrackingError as error:
        away[uri, experiment] = report.failed[str(run.folder)] = error.message
        return
    except InputError as error:
        report.damaged[str(run.folder)] = error.message
        return
    report.sent |= {str(folder): read_record(folder).mlflow_run_id or "" for folder in folders}


def _local(folder: Path) -> Local:
    record = read_record(folder)
    marker = folder / MARKER
    if not marker.is_file():
        return Local(folder, record, pending=record.mlflow_run_id is None)
    try:
        note = json.loads(marker.read_text(encoding="utf-8"))
        sweep, artifacts = note["sweep"], tuple(Path(file) for file in note["artifacts"])
        siblings = tuple(folder.parent / Path(name).name for name in note["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{marker} cannot be read: {error}", "delete it") from error
    return Local(folder, record, True, sweep, tuple(path for path in siblings if path.is_dir()), artifacts)


def _target(run: Local, uri: str | None, experiment: str | None) -> tuple[str, str]:
    import yaml

    tracking: dict[str, str] = {}
    try:
        config = yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8"))
        tracking = dict(config.get("tracking") or {})
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        tracking = {}  # log_run names what is wrong with the folder
    return uri or tracking.get("uri") or OFF, experiment or tracking.get("experiment") or run.record.analyzer
