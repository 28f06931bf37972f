"""A run folder back from MLflow."""

from __future__ import annotations

import re
from pathlib import Path

from reelbench.bench.run_folder import read_record, safe_name
from reelbench.errors import InputError
from reelbench.masking import masked
from reelbench.tracking.client import connect, sqlite_file, tracking_errors
from reelbench.tracking.payload import RUN_TAG

_MLFLOW_ID = re.compile(r"[0-9a-f]{32}")


def is_mlflow_id(text: str) -> bool:
    return _MLFLOW_ID.fullmatch(text) is not None


def fetch_run(mlflow_run: str, uri: str, runs_dir: Path) -> Path | None:
    """The folder of the run that MLflow knows as ``mlflow_run``: the one that lies in ``runs_dir``, else its artifacts,
    downloaded there.

    None where MLflow knows no such run. Raises InputError where it is no run of ReelBench's, TrackingError where MLflow cannot be
    reached. No database is made where there is none.
    """
    if uri.startswith("sqlite:") and not sqlite_file(uri).is_file():
        return None
    client = connect(uri)
    with tracking_errors(uri):
        from mlflow.exceptions import MlflowException

        try:
            run = client.get_run(mlflow_run)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        name = run.data.tags.get(RUN_TAG)
        if not name:
            raise InputError(f"{mlflow_run} in MLflow at {masked(uri)} is not a run of ReelBench")
        folder = runs_dir / safe_name(name)
        if not (folder / "run.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            client.download_artifacts(mlflow_run, "", str(folder))
    read_record(folder)
    return folder
