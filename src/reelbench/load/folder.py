"""The folder of a load run, and the search for one that was made before."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

from reelbench.bench.record_folder import RecordFolder, remarks_on
from reelbench.bench.run_folder import safe_name
from reelbench.errors import InputError
from reelbench.load.records import LoadRecord, Memory, Query
from reelbench.paths import write_text
from reelbench.system.folder import sweep_spools

QUERIES, MEMORY = "queries.csv", "memory.csv"


class LoadFolder(RecordFolder[LoadRecord]):
    HOME, FILE, MODEL, WHAT = "load", "load.json", LoadRecord, "a load run"

    @classmethod
    def create(cls, runs_dir: Path, record: LoadRecord) -> LoadFolder:
        """As `RecordFolder.create`; what was decoded for killed ones is removed."""
        sweep_spools(runs_dir / cls.HOME, "*/system/*")
        return super().create(runs_dir, record)

    def save(self) -> None:
        """The record's tables, then the record: the manifest that may follow it lists them."""
        write_text(self.path / QUERIES, table(Query, self.record.queries))
        write_text(self.path / MEMORY, table(Memory, self.record.memory))
        super().save()


def new_id(scenario: str, system: str, plan: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{scenario}-{safe_name(system)}-{safe_name(plan)}-{uuid4().hex[:6]}"


def read_load(path: Path) -> LoadRecord:
    """The ``load.json`` of a folder; InputError where there is none, or it is damaged."""
    return LoadFolder.read(path)


def newest_offline(runs_dir: Path, system_key: str) -> LoadRecord | None:
    """The newest offline run of this very system that came to its end; None where there is none."""
    for folder in LoadFolder.newest(runs_dir):
        record = folder.record
        if (record.scenario, record.status, record.system_key) == ("offline", "finished", system_key):
            try:
                remarks_on(folder.path, record)
            except InputError:
                continue  # its figures do not follow from what was measured
            return record
    return None


def table(model: type[BaseModel], rows: Sequence[BaseModel]) -> str:
    """The rows as CSV, a column for each field."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(model.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump(mode="json") for row in rows)
    return written.getvalue()
