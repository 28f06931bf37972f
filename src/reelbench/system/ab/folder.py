"""The folder of a comparison of two systems: created, found again for resuming, written whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import uuid4

from reelbench.bench.record_folder import RecordFolder
from reelbench.bench.run_folder import safe_name
from reelbench.system.ab.records import SystemComparison


class SystemComparisonFolder(RecordFolder[SystemComparison]):
    HOME, FILE, MODEL = "system_comparisons", "system_comparison.json", SystemComparison
    WHAT = "a comparison of systems"

    @classmethod
    def create(cls, runs_dir: Path, record: SystemComparison) -> SystemComparisonFolder:
        """As `RecordFolder.create`, with the record in it."""
        folder = super().create(runs_dir, record)
        folder.save()
        return folder


def new_id(a: str, b: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(a)}-{safe_name(b)}-{uuid4().hex[:6]}"


def read_system_comparison(path: Path) -> SystemComparison:
    """The record of a folder; InputError where there is none, or it is damaged."""
    return SystemComparisonFolder.read(path)


def find_interrupted(runs_dir: Path, resume_key: str) -> SystemComparisonFolder | None:
    """The newest comparison with this key that was cut off, or ended before its rule had decided, and that no live process has."""
    for folder in SystemComparisonFolder.newest(runs_dir):
        record = folder.record
        unfinished = record.status in ("running", "interrupted") or record.ended_early
        if record.resume_key == resume_key and unfinished and folder.claim():
            return folder
    return None
