"""A folder of whichever kind, with what lies in it, to MLflow: sent once; what cannot be sent stays on disk, marked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.errors import OutputError
from reelbench.paths import write_text
from reelbench.tracking.client import TrackingError, connect, experiment_id, tracking_errors
from reelbench.tracking.kinds import Kind, kind_of
from reelbench.tracking.payload import Payload, with_manifest
from reelbench.tracking.sending import send_payload

if TYPE_CHECKING:
    from mlflow import MlflowClient

MARKER = "untracked.json"
"""In a folder: MLflow does not have it as it now is. Holds the --multirun that a run belongs to."""
_HINT = "send it later with: reelbench track sync"


@dataclass(frozen=True, slots=True)
class _Item:
    """A folder as MLflow is told of it. ``parts`` become its child runs; ``before`` are runs of their own that it leads to."""

    folder: Path
    kind: Kind[Any]
    payload: Payload
    parts: list[_Item] = field(default_factory=list)
    before: dict[str, _Item] = field(default_factory=dict)


def log_folder(folder: Path, uri: str, experiment: str, parent: str | None = None) -> str:
    """Send a folder to MLflow and note the MLflow run id in its record; returns that id.

    A run, a comparison, or what else is a kind in `reelbench.tracking.kinds`. What it is made of becomes child runs; runs that were
    made before stay where they are in MLflow (they are sent where they are missing), and the tags ``<name>.mlflow_run`` lead to them.
    What is there already, unchanged, is left alone; what changed since (it was resumed) or was cut off while it was being sent is
    completed. Raises InputError where the folder holds no record, or a damaged one; TrackingError (an UnavailableError) where MLflow
    cannot take it: the folder is then marked for `reelbench.tracking.sync.sync`.
    """
    item = _read(folder, kind_of(folder))
    sent: list[tuple[_Item, str]] = []
    try:
        client = connect(uri)
        with tracking_errors(uri):
            mlflow_run = _send(client, experiment_id(client, uri, experiment), item, parent, sent)
    except TrackingError as error:
        keep_for_later([folder], None, ())
        raise kept(error, [folder]) from error
    others = [other.folder for other in _all_before(item)]
    for one, its_run in sent:
        if one.folder not in others or not (one.folder / MARKER).is_file():  # a marked one still waits for its sweep
            remember(one.folder, its_run, one.kind)
    return mlflow_run


def _read(folder: Path, kind: Kind[Any], tags: dict[str, str] | None = None) -> _Item:
    record = kind.read(folder)
    payload = with_manifest(kind.payload(folder, record), folder)
    return _Item(
        folder,
        kind,
        replace(payload, tags={**payload.tags, **(tags or {})}),
        [_read(part.folder, part.kind, part.tags) for part in kind.parts(folder, record)],
        {name: _read(path, kind_of(path)) for name, path in kind.before(folder, record).items()},
    )


def _send(client: MlflowClient, experiment: str, item: _Item, parent: str | None, sent: list[tuple[_Item, str]]) -> str:
    before = {name: _send(client, experiment, other, None, sent) for name, other in item.before.items()}
    mine = send_payload(client, experiment, item.payload, parent)
    for part in item.parts:
        _send(client, experiment, part, mine, sent)
    for name, mlflow_run in before.items():
        client.set_tag(mine, f"{name}.mlflow_run", mlflow_run)
    sent.append((item, mine))
    return mine


def _all_before(item: _Item) -> Iterator[_Item]:
    yield from item.before.values()
    for part in item.parts:
        yield from _all_before(part)


def remember(folder: Path, mlflow_run: str, kind: Kind[Any] | None = None) -> None:
    """Note the MLflow run id in the record of a folder: it is sent."""
    kind = kind or kind_of(folder)
    record = kind.read(folder)
    try:
        if record.mlflow_run_id != mlflow_run:
            changed = record.model_copy(update={"mlflow_run_id": mlflow_run})
            write_text(folder / kind.file, changed.model_dump_json(indent=1))
        (folder / MARKER).unlink(missing_ok=True)
    except (OutputError, OSError):
        return  # it is in MLflow, and its tag keeps it from being sent twice: a note that cannot be written costs nothing


def keep_for_later(folders: Sequence[Path], sweep: str | None, artifacts: Sequence[Path]) -> None:
    """Mark folders that MLflow could not take, with the sweep that they belong to."""
    note = {
        "sweep": sweep,
        "runs": [str(f.absolute()) for f in folders],
        "artifacts": [str(f.absolute()) for f in artifacts],
    }
    for folder in folders:
        try:
            write_text(folder / MARKER, json.dumps(note, indent=1))
        except OutputError:
            continue  # a folder without an MLflow run id is found without the marker, too


def kept(error: TrackingError, folders: Sequence[Path]) -> TrackingError:
    """``error``, saying where the figures are meanwhile, and how to send them."""
    where = str(folders[0]) if len(folders) == 1 else f"{folders[0].parent} ({len(folders)} runs)"
    return TrackingError(f"{error.message}; kept in {where}", error.hint or _HINT)
