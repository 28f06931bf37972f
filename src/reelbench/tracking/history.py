"""Past runs, read back from MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from reelbench.bench.history import History, HistoryPoint
from reelbench.errors import InputError
from reelbench.masking import masked
from reelbench.tracking.client import connect, sqlite_file, tracking_errors
from reelbench.tracking.payload import COMPARISON_OF_TAG, FIGURES_TAG, RUN_TAG, figures_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 500
"""Runs a request: a page of them with all their metrics stays well below what servers send at once."""


def read_history(uri: str, analyzer: str | None = None) -> History:
    """Every run that ReelBench sent to ``uri``, in whichever experiment, oldest first; of one ``analyzer`` where it is given.

    Raises InputError where there is no such database or it has no such run, TrackingError where MLflow cannot be reached. Nothing
    is written: a database that does not exist is not made.
    """
    shown = masked(uri)
    _must_exist(uri)
    client = connect(uri)
    with tracking_errors(uri):
        points = sorted(
            (_point(run) for run in _search(client, analyzer)), key=lambda point: (point.created, point.run_id)
        )
    if not points:
        what = f"run of analyzer '{analyzer}'" if analyzer else "run"
        raise InputError(f"MLflow at {shown} has no {what} of ReelBench", _known(client, uri, analyzer))
    return History(shown, tuple(points), analyzer or "")


def _must_exist(uri: str) -> None:
    parts = urlsplit(uri)
    backend = parts.scheme.split("+")[0]
    place = sqlite_file(uri) if backend == "sqlite" else Path(unquote(parts.path)) if backend in ("file", "") else None
    if place is not None and not place.exists() and not uri.startswith("databricks"):
        raise InputError(
            f"{masked(uri)}: there is no such database",
            "measure something first (python run.py), or name the address that tracking.uri had",
        )


def _known(client: MlflowClient, uri: str, analyzer: str | None) -> str:
    """A hint: which analyzers there are, or how runs get there."""
    if analyzer:
        with tracking_errors(uri):
            names = sorted({run.data.tags.get("analyzer", "") for run in _search(client, None)} - {""})
        if names:
            return f"it has runs of: {', '.join(names)}"
    return "python run.py measures and sends; reelbench track sync sends what is only on disk"


def _search(client: MlflowClient, analyzer: str | None) -> Iterator[Run]:
    """All runs of ReelBench, page by page."""
    everywhere = list(_experiments(client))
    wanted = f"tags.`{RUN_TAG}` LIKE '%'"
    if analyzer:
        wanted += f" AND tags.analyzer = '{analyzer.replace(chr(39), '')}'"
    token: str | None = None
    while everywhere:
        found = client.search_runs(everywhere, wanted, max_results=_PAGE, page_token=token)
        yield from found
        if not (token := found.token):
            return


def _experiments(client: MlflowClient) -> Iterator[str]:
    token: str | None = None
    while True:
        found = client.search_experiments(page_token=token)
        yield from (str(experiment.experiment_id) for experiment in found)
        if not (token := found.token):
            return


def _point(run: Run) -> HistoryPoint:
    tags, metrics = run.data.tags, run.data.metrics
    metric, reference, quality = _quality(tags, metrics)
    dirty = tags.get("git.dirty")
    return HistoryPoint(
        run_id=tags[RUN_TAG],
        analyzer=tags.get("analyzer", ""),
        requested=tags.get("requested", ""),
        variant=tags.get("effective", ""),
        corpus=tags.get("corpus", ""),
        measure=tags.get("measure", ""),
        machine=tags.get("machine", ""),
        machine_name=tags.get("machine.name", ""),
        created=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        config_hash=tags.get("config_hash", ""),
        clips=tags.get("clips", ""),
        commit=tags.get("git.commit", ""),
        dirty=None if dirty is None else dirty == "true",
        status=tags.get("status", ""),
        invalid=_edited(tags, metrics) or ("" if tags.get("invalid", "no") == "no" else tags["invalid"]),
        x_realtime=metrics.get("x_realtime"),
        total_s=metrics.get("total_s_median"),
        quality=quality,
        quality_metric=metric,
        quality_reference=reference,
        comparison=tags.get(COMPARISON_OF_TAG, ""),
        tracked_id=str(run.info.run_id),
    )


def _edited(tags: Mapping[str, str], metrics: Mapping[str, float]) -> str:
    """Why the figures of a run are not those that were sent; '' where they are, or where it was sent before that was noted."""
    noted, found = tags.get(FIGURES_TAG), figures_digest(metrics, tags)
    if not noted or noted == found:
        return ""
    return (
        f"its figures in MLflow were changed after they were sent (their hash is {found[:12]}, that of what was sent {noted[:12]}): "
        "reelbench track verify says which"
    )


def _quality(tags: Mapping[str, str], metrics: Mapping[str, float]) -> tuple[str, str, float | None]:
    """(metric, reference variant, value): the primary metric against truth, else agreement, F1 before others."""
    primary = tags.get("quality.primary", "")
    if f"quality.{primary}" in metrics:
        return primary, "", metrics[f"quality.{primary}"]
    agreements = sorted(name for name in metrics if name.startswith("agreement."))
    name = next((name for name in agreements if "f1" in name), agreements[0] if agreements else "")
    if not name:
        return primary, "", None
    return name.removeprefix("agreement."), tags.get("quality.reference", ""), metrics[name]
