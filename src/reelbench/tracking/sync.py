"""What is only on disk, of every kind: listed, and sent to MLflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reelbench.config import Tracking
from reelbench.errors import InputError
from reelbench.tracking.client import TrackingError
from reelbench.tracking.folders import MARKER, log_folder
from reelbench.tracking.kinds import OFF, Kind, kinds
from reelbench.tracking.mlflow_store import log_sweep


@dataclass(frozen=True, slots=True)
class Local:
    """A folder and its record. ``sweep``: the --multirun that it belongs to, with its runs and artifacts, where that could not be
    sent."""

    folder: Path
    kind: Kind[Any]
    record: Any
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


def local_folders(runs_dir: Path) -> tuple[list[Local], dict[str, str]]:
    """All folders of every kind in ``runs_dir``, kind by kind, oldest first, and the damaged ones with the reason. What a folder is
    made of lies too deep to be one of its own. InputError where there is no folder of runs."""
    if not runs_dir.is_dir():
        raise InputError(f"{runs_dir} is not a folder", "--runs-dir names the folder of the runs")
    found: list[Local] = []
    damaged: dict[str, str] = {}
    for kind in kinds():
        for file in sorted((runs_dir / kind.home).glob(f"*/{kind.file}")):
            try:
                found.append(_local(file.parent, kind))
            except InputError as error:
                damaged[str(file.parent)] = error.message
    return found, damaged


def sync(runs_dir: Path, uri: str | None = None, experiment: str | None = None, everything: bool = False) -> SyncReport:
    """Send what MLflow does not have yet; with ``everything`` also what was sent before, perhaps to another server (nothing is
    there twice). ``uri`` and ``experiment`` default to what each folder's own configuration says. An experiment that fails is tried
    once.
    """
    found, damaged = local_folders(runs_dir)
    report = SyncReport(damaged=damaged)
    away: dict[Tracking, str] = {}
    for item in found:
        if str(item.folder) not in report.sent and (item.pending or everything):
            own = item.kind.tracking(item.folder, item.record)
            target = Tracking(uri=uri or own.uri, experiment=experiment or own.experiment)
            _attempt(item, target, report, away)
    return report


def _attempt(item: Local, target: Tracking, report: SyncReport, away: dict[Tracking, str]) -> None:
    """Send one folder (a run with its sweep), or note why it is not sent."""
    folder = str(item.folder)
    if item.record.status == "running":
        report.skipped[folder] = "it is still running"
    elif target.uri == OFF:
        report.skipped[folder] = "its configuration says tracking.uri=off; --uri sends it all the same"
    elif target in away:
        report.failed[folder] = away[target]
    else:
        try:
            report.sent |= _send(item, target)
        except TrackingError as error:
            away[target] = report.failed[folder] = error.message
        except InputError as error:
            report.damaged[folder] = error.message


def _send(item: Local, target: Tracking) -> dict[str, str]:
    if item.sweep is None:
        return {str(item.folder): log_folder(item.folder, target.uri, target.experiment)}
    folders: Sequence[Path] = item.siblings
    log_sweep(folders, target.uri, target.experiment, item.sweep, item.artifacts)
    return {str(folder): item.kind.read(folder).mlflow_run_id or "" for folder in folders}


def _local(folder: Path, kind: Kind[Any]) -> Local:
    record = kind.read(folder)
    marker = folder / MARKER
    if not marker.is_file():
        return Local(folder, kind, record, pending=record.mlflow_run_id is None)
    try:
        note = json.loads(marker.read_text(encoding="utf-8"))
        sweep, artifacts = note["sweep"], tuple(Path(file) for file in note["artifacts"])
        siblings = tuple(folder.parent / Path(name).name for name in note["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{marker} cannot be read: {error}", "delete it") from error
    return Local(folder, kind, record, True, sweep, tuple(path for path in siblings if path.is_dir()), artifacts)
