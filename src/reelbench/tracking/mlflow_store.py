"""Runs and sweeps in MLflow: the runs of a --multirun are the children of one parent run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.config import digest
from reelbench.tracking.client import TrackingError, connect, experiment_id, tracking_errors
from reelbench.tracking.folders import keep_for_later, kept, log_folder, remember
from reelbench.tracking.naming import safe_key
from reelbench.tracking.payload import KIND_TAG, Payload, read_payload, with_manifest
from reelbench.tracking.sending import find_run, log_batches, log_file, send_payload

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SWEEP_TAG = "reelbench.sweep_id"
_SHOWN = (
    "x_realtime",
    "frames_per_s",
    "frame_ms_p50",
    "frame_ms_p95",
    "total_s_median",
    "rss_peak_bytes",
    "cold_start_s",
)


def log_run(folder: Path, uri: str, experiment: str, parent: str | None = None) -> str:
    """Send one run folder; see `reelbench.tracking.folders.log_folder`."""
    return log_folder(folder, uri, experiment, parent)


def log_sweep(folders: Sequence[Path], uri: str, experiment: str, name: str, artifacts: Sequence[Path] = ()) -> str:
    """Send the runs of one --multirun as the children of one parent run; returns the parent's id. Raises as `log_run`.

    The parent shows each variant's main figures as ``<variant>.<figure>`` and holds ``artifacts`` (the comparison page).
    """
    payloads = [with_manifest(read_payload(folder), folder) for folder in folders]
    try:
        client = connect(uri)
        with tracking_errors(uri):
            where = experiment_id(client, uri, experiment)
            parent = _start(client, where, name, digest(sorted(payload.run_id for payload in payloads))[:16])
            children = [send_payload(client, where, payload, parent) for payload in payloads]
            _compare(client, parent, payloads)
            _finish(client, parent, artifacts, "FINISHED")
    except TrackingError as error:
        keep_for_later(folders, name, artifacts)
        raise kept(error, folders) from error
    for folder, child in zip(folders, children, strict=True):
        remember(folder, child)
    return parent


def start_parent(uri: str, experiment: str, name: str) -> str:
    """Begin a parent run; give its id to `log_run` as ``parent`` and then to `finish_parent`."""
    client = connect(uri)
    with tracking_errors(uri):
        return _start(client, experiment_id(client, uri, experiment), name, name)


def finish_parent(uri: str, parent: str, artifacts: Sequence[Path] = (), status: str = "FINISHED") -> None:
    """End a parent run with its artifacts. ``status``: FINISHED, FAILED or KILLED."""
    client = connect(uri)
    with tracking_errors(uri):
        _finish(client, parent, artifacts, status)


def _start(client: MlflowClient, experiment: str, name: str, sweep_id: str) -> str:
    found = find_run(client, _SWEEP_TAG, sweep_id)
    if found is None:
        found = client.create_run(experiment, tags={_SWEEP_TAG: sweep_id, KIND_TAG: "sweep"}, run_name=name)
    return str(found.info.run_id)


def _compare(client: MlflowClient, parent: str, payloads: Sequence[Payload]) -> None:
    """The children's main figures on the parent, valid runs only."""
    metrics: dict[str, float] = {}
    for payload in payloads:
        if payload.tags["invalid"] == "no":
            shown = (*_SHOWN, f"quality.{payload.tags.get('quality.primary', '')}", "agreement.f1")
            variant = safe_key(payload.tags["effective"])
            metrics |= {f"{variant}.{name}": payload.metrics[name] for name in shown if name in payload.metrics}
    variants = ", ".join(dict.fromkeys(payload.tags["requested"] for payload in payloads))
    tags = {"variants": variants}
    tags |= {name: payloads[0].tags[name] for name in ("analyzer", "corpus", "git.commit") if name in payloads[0].tags}
    log_batches(client, parent, {}, metrics, tags)


def _finish(client: MlflowClient, parent: str, artifacts: Sequence[Path], status: str) -> None:
    for file in artifacts:
        if file.is_file():
            log_file(client, parent, file)
    client.set_terminated(parent, status)
