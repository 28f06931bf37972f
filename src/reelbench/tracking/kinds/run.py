"""A run of one analyzer."""

from __future__ import annotations

from pathlib import Path

from reelbench.bench.records import RunRecord
from reelbench.bench.run_folder import read_record
from reelbench.config import Tracking
from reelbench.tracking.kinds import Kind, asked_for
from reelbench.tracking.payload import Payload, read_payload


class RunKind(Kind[RunRecord]):
    home, file = "", "run.json"

    def read(self, folder: Path) -> RunRecord:
        return read_record(folder)

    def payload(self, folder: Path, record: RunRecord) -> Payload:
        return read_payload(folder)

    def tracking(self, folder: Path, record: RunRecord) -> Tracking:
        return asked_for(folder, record.analyzer)

    def row(self, record: RunRecord) -> dict[str, str]:
        return {
            "run": record.run_id,
            "analyzer": record.analyzer,
            "requested": record.requested,
            "effective": record.effective,
            "corpus": record.corpus,
            "status": "invalid" if record.invalid else record.status,
        }


KIND = RunKind()
