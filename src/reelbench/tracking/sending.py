"""One payload in MLflow: its run made, completed, or left alone."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.masking import masked_file
from reelbench.tracking.payload import DIGEST_TAG, FIGURES_TAG, Payload, figures_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
_TEXT = (".json", ".jsonl", ".yaml", ".html", ".log", ".md", ".txt", ".csv")


def send_payload(client: MlflowClient, experiment: str, payload: Payload, parent: str | None) -> str:
    """Make, complete or leave alone the MLflow run of ``payload``, a child of the MLflow run ``parent``; returns its id."""
    found = find_run(client, payload.id_tag, payload.run_id)
    if found is not None and found.data.tags.get(DIGEST_TAG) == payload.digest:
        if parent is not None and found.data.tags.get(PARENT_TAG) != parent:
            client.set_tag(found.info.run_id, PARENT_TAG, parent)
        return str(found.info.run_id)
    belongs = {PARENT_TAG: parent} if parent is not None else {}
    if found is None:
        tags = {payload.id_tag: payload.run_id, **belongs}
        found = client.create_run(experiment, payload.started_ms, tags, run_name=payload.name)
    mlflow_run = str(found.info.run_id)
    log_batches(client, mlflow_run, payload.params, payload.metrics, {**payload.tags, **belongs})
    for file, place in payload.artifacts:
        log_file(client, mlflow_run, file, place)
    there = client.get_run(mlflow_run).data  # with what an earlier, unfinished state left there
    client.set_tag(mlflow_run, FIGURES_TAG, figures_digest(there.metrics, there.tags))
    client.set_tag(mlflow_run, DIGEST_TAG, payload.digest)
    client.set_terminated(mlflow_run, payload.status, payload.ended_ms)
    return mlflow_run


def find_run(client: MlflowClient, tag: str, value: str) -> Run | None:
    """The run that carries ``tag``, in whichever experiment."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    quoted = value.replace("'", "")
    found = client.search_runs(everywhere, f"tags.`{tag}` = '{quoted}'", max_results=1)
    return found[0] if found else None


def log_batches(
    client: MlflowClient, mlflow_run: str, params: dict[str, str], metrics: dict[str, float], tags: dict[str, str]
) -> None:
    """As few requests as MLflow's limits allow: 100 parameters, 100 tags and 700 metrics each."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    p = iter([Param(key, value) for key, value in params.items()])
    m = iter([Metric(key, value, now, 0) for key, value in metrics.items()])
    t = iter([RunTag(key, value) for key, value in tags.items()])
    while batch := (list(islice(m, 700)), list(islice(p, 100)), list(islice(t, 100))):
        if not any(batch):
            return
        client.log_batch(mlflow_run, metrics=batch[0], params=batch[1], tags=batch[2])


def log_file(client: MlflowClient, mlflow_run: str, file: Path, place: str = "") -> None:
    """Upload one file; a text that holds the password of an address goes without it."""
    if file.suffix in _TEXT:
        text = file.read_text(encoding="utf-8", errors="replace")
        if (clean := masked_file(file.name, text)) != text:
            client.log_text(mlflow_run, clean, f"{place}/{file.name}".lstrip("/"))
            return
    client.log_artifact(mlflow_run, str(file), place or None)
