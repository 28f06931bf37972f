"""MLflow's client: made quiet, told to give up soon, and asked first whether anybody is there."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reelbench.errors import UnavailableError
from reelbench.masking import MASK, masked, original, usable
from reelbench.tracking.naming import cut, safe_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONNECT_S = 4.0
ANSWER_S = 6.0
"""Together the longest that anybody waits for a server that is away."""
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow's own are 7 retries and 120 s: minutes of silence in front of a server that is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # Asked for by its address, so wanted: MLflow refuses its folder store unless told.
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


class TrackingError(UnavailableError):
    """MLflow cannot be reached, or refuses. What was to be sent is kept on disk."""


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server or database ``uri``, after a look whether it answers; TrackingError where it does not.

    Settings that the user made through MLflow's environment variables are respected. ``uri`` may be one of a record, where its
    password is masked: then the real one must be known to this process (`reelbench.masking.original`).
    """
    uri = usable(original(uri))
    if MASK in uri:
        raise TrackingError(
            f"MLflow at {uri}: records do not keep the password of this address",
            "give the whole address: --uri=…, tracking.uri=…, or MLFLOW_TRACKING_URI in the environment",
        )
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with tracking_errors(uri):
        _look(uri)
        if uri.startswith("sqlite:"):
            _make_database(sqlite_path(uri))
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri)


@contextmanager
def tracking_errors(uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database or its server raises into one TrackingError."""
    try:
        yield
    except TrackingError:
        raise
    except (OSError, ImportError, sqlite3.Error) as error:
        raise _typed(uri, error) from error
    except Exception as error:
        # Told apart by name: importing their classes would cost as much as MLflow itself.
        if type(error).__module__.split(".")[0] not in ("mlflow", "requests", "urllib3", "sqlalchemy", "alembic"):
            raise
        raise _typed(uri, error) from error


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """The experiment called ``name``, made where there is none yet. For a database its artifacts go to ``mlartifacts`` beside it."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=_artifact_location(uri, name)))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # somebody else made it just now
    if found is None or found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"MLflow at {masked(uri)}: experiment '{name}' was deleted",
            "restore it with mlflow experiments restore, or choose another tracking.experiment",
        )
    return str(found.experiment_id)


def _typed(uri: str, error: Exception) -> TrackingError:
    text = cut(masked(" ".join(str(error).split()) or type(error).__name__), 240)
    return TrackingError(f"MLflow at {masked(uri)}: {text}")


def _look(uri: str) -> None:
    """One attempt, a few seconds at most. MLflow itself tries a database that does not open again and again, for an hour."""
    parts = urlsplit(uri)
    backend = parts.scheme.split("+")[0]
    if backend in ("http", "https"):
        _look_http(uri)
    elif backend == "sqlite":
        if _is_database(path := sqlite_path(uri)):
            with closing(sqlite3.connect(path, timeout=CONNECT_S)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.rollback()
    elif backend in _PORTS:
        if parts.hostname:
            socket.create_connection((parts.hostname, parts.port or _PORTS[backend]), CONNECT_S).close()
        _open_database(uri)


def _look_http(uri: str) -> None:
    import requests

    verify = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("1", "true")
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=(CONNECT_S, ANSWER_S), verify=verify)
    except requests.exceptions.SSLError:
        return  # it is there; MLflow has certificate settings of its own, and its own words when they fail
    except requests.RequestException as error:
        reason = "no answer in time" if isinstance(error, requests.Timeout) else _innermost(error)
        raise TrackingError(f"MLflow at {masked(uri)} cannot be reached: {reason}") from error
    if answer.status_code in (502, 503, 504):
        raise TrackingError(f"MLflow at {masked(uri)} cannot be reached: its proxy answers {answer.status_code}")


def _innermost(error: BaseException) -> str:
    """'Connection refused' instead of three nested representations of it."""
    text = " ".join(str(error).split())
    found = re.search(r"\[Errno -?\d+\] ([^'\")\]]+)", text)
    return found[1] if found else cut(masked(text), 160)


def _open_database(uri: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _make_database(path: Path) -> None:
    """Make the tables under another name and rename the file into place, one process at a time.

    MLflow makes them in dozens of separate migrations: two processes at once, or one that is killed meanwhile, leave a
    database that never opens again.
    """
    if _is_database(path):
        return
    from filelock import FileLock
    from mlflow import MlflowClient

    with FileLock(path.with_name(f"{path.name}.lock"), timeout=60):
        if not _is_database(path):
            unfinished = path.with_name(f"{path.name}.part")
            unfinished.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"sqlite:///{unfinished}")
            unfinished.replace(path)


def _is_database(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def sqlite_path(uri: str) -> Path:
    """The file of a ``sqlite:///…`` address, in a folder that is there."""
    path = sqlite_file(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def sqlite_file(uri: str) -> Path:
    """The file of a ``sqlite:///…`` address; a relative one belongs to the current folder."""
    name = uri.partition("://")[2].removeprefix("/").split("?")[0]
    if not name:
        raise TrackingError(f"{uri} names no file", "write tracking.uri=sqlite:///mlflow.db")
    return Path(name).absolute()


def _artifact_location(uri: str, experiment: str) -> str | None:
    backend = urlsplit(uri).scheme.split("+")[0]
    if backend == "sqlite":
        folder = sqlite_path(uri).parent
    elif backend in _PORTS:
        folder = Path.cwd()
    else:
        return None  # a server, or a folder store, has its own place
    return (folder / "mlartifacts" / safe_key(experiment)).as_uri()
