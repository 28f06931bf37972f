"""The folder of a load run, and the search for one that was made before."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from reelbench.bench.run_folder import safe_name
from reelbench.errors import InputError
from reelbench.load.records import LoadRecord, Memory, Query
from reelbench.paths import describe_os_error, write_text

RECORD = "load.json"


class LoadFolder:
    """``record`` is the run's state; `save` writes it, and its tables beside it."""

    def __init__(self, path: Path, record: LoadRecord) -> None:
        self.path = path
        self.record = record

    @classmethod
    def create(cls, runs_dir: Path, record: LoadRecord) -> LoadFolder:
        """``runs_dir``/load/<id>; OutputError where it cannot be written."""
        path = runs_dir / "load" / record.id
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise describe_os_error(error, path, "cannot create the run's folder") from error
        folder = cls(path, record)
        folder.save()
        return folder

    def save(self) -> None:
        write_text(self.path / RECORD, self.record.model_dump_json(indent=1))
        write_text(self.path / "queries.csv", _table(Query, self.record.queries))
        write_text(self.path / "memory.csv", _table(Memory, self.record.memory))


def new_id(scenario: str, system: str, plan: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{scenario}-{safe_name(system)}-{safe_name(plan)}-{uuid4().hex[:6]}"


def read_load(path: Path) -> LoadRecord:
    """The ``load.json`` of a folder; InputError where there is none, or it is damaged."""
    try:
        return LoadRecord.model_validate_json((path / RECORD).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is no folder of a load run: it has no {RECORD}") from None
    except ValidationError as error:
        raise InputError(f"{path / RECORD}: {error.errors()[0]['msg']}") from error


def newest_offline(runs_dir: Path, system_key: str) -> LoadRecord | None:
    """The newest offline run of this very system that came to its end; None where there is none."""
    for file in sorted((runs_dir / "load").glob(f"*/{RECORD}"), reverse=True):
        try:
            record = LoadRecord.model_validate_json(file.read_bytes())
        except (ValidationError, OSError):
            continue  # not ours, or damaged
        if (record.scenario, record.status, record.system_key) == ("offline", "finished", system_key):
            return record
    return None


def _table(model: type[BaseModel], rows: Sequence[BaseModel]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(model.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump(mode="json") for row in rows)
    return written.getvalue()
