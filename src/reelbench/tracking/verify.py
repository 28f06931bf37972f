"""Does MLflow still say of every folder on disk what was measured?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reelbench.bench.manifest import manifest_digest
from reelbench.errors import InputError
from reelbench.tracking.client import TrackingError, connect, tracking_errors
from reelbench.tracking.kinds import OFF, Kind
from reelbench.tracking.payload import MANIFEST_TAG, Payload
from reelbench.tracking.sync import local_folders

if TYPE_CHECKING:
    from mlflow import MlflowClient

Status = Literal["agrees", "differs", "refused", "not sent", "unreachable"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one folder. 'differs': MLflow says something else (``text`` names the first figure with both values); 'refused': the folder
    itself does not follow from what was measured, or is damaged; 'unreachable': MLflow could not be asked."""

    folder: str
    status: Status
    text: str = ""
    mlflow_run: str = ""


def verify(runs_dir: Path, uri: str | None = None) -> list[Answer]:
    """One answer for each folder of every kind in ``runs_dir``, and for what became a child run of it. Nothing is written.

    ``uri`` is by default what each folder's own configuration says. Raises InputError where there is no folder of runs.
    """
    found, damaged = local_folders(runs_dir)
    answers = [Answer(folder, "refused", why) for folder, why in damaged.items()]
    away: dict[str, str] = {}
    for item in found:
        place = uri or item.kind.tracking(item.folder, item.record).uri
        for folder, kind, record in _whole(item.folder, item.kind, item.record):
            answers.append(_ask(folder, kind, record, place, away))
    return answers


def _whole(folder: Path, kind: Kind[Any], record: Any) -> Iterator[tuple[Path, Kind[Any], Any]]:
    """A folder, with the folders inside it that are its child runs in MLflow."""
    yield folder, kind, record
    for part in kind.parts(folder, record):
        yield from _whole(part.folder, part.kind, part.kind.read(part.folder))


def _ask(folder: Path, kind: Kind[Any], record: Any, uri: str, away: dict[str, str]) -> Answer:
    name, mlflow_run = str(folder), record.mlflow_run_id or ""
    if not mlflow_run or uri == OFF:
        return Answer(name, "not sent")
    if uri in away:
        return Answer(name, "unreachable", away[uri], mlflow_run)
    try:
        payload = kind.payload(folder, record)
        client = connect(uri)
        with tracking_errors(uri):
            text = _difference(client, mlflow_run, payload, manifest_digest(folder))
    except TrackingError as error:
        away[uri] = error.message
        return Answer(name, "unreachable", error.message, mlflow_run)
    except InputError as error:
        return Answer(name, "refused", error.message, mlflow_run)
    return Answer(name, "differs" if text else "agrees", text, mlflow_run)


def _difference(client: MlflowClient, mlflow_run: str, payload: Payload, manifest: str) -> str:
    """The first thing that MLflow says otherwise than the folder, in one sentence; '' where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        data = client.get_run(mlflow_run).data
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return f"MLflow has no run {mlflow_run} (any more)"
        raise
    for name, value in sorted(payload.metrics.items()):
        there = data.metrics.get(name)
        if there is None or not isclose(there, value, rel_tol=1e-9, abs_tol=1e-12):
            return f"{name} is {'absent' if there is None else f'{there:.6g}'} in MLflow, and {value:.6g} in the folder"
    for what, here, known in (("tag", payload.tags, data.tags), ("parameter", payload.params, data.params)):
        if text := _first(what, here, known):
            return text
    noted = data.tags.get(MANIFEST_TAG, "")
    if noted != manifest:
        return f"the manifest's sha256 is {noted[:12] or 'absent'} in MLflow, and {manifest[:12] or 'absent'} in the folder"
    return ""


def _first(what: str, here: Mapping[str, str], known: Mapping[str, str]) -> str:
    for name, value in sorted(here.items()):
        if name.startswith("mlflow."):
            continue  # MLflow's own: a note may be edited there
        if (there := known.get(name)) != value:
            return f"{what} {name} is {there!r} in MLflow, and {value!r} in the folder"
    return ""
