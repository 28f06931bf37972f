"""The folder of a comparison of two systems: created, found again for resuming, written whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import uuid4

from reelbench.bench.record_folder import RecordFolder
from reelbench.bench.run_folder import safe_name
from reelbench.owners import UNFINISHED
from reelbench.system.ab.records import SystemComparison
from reelbench.system.folder import sweep_spools

_RUNS = "*/*[ab]/system/*"


class SystemComparisonFolder(RecordFolder[SystemComparison]):
    HOME, FILE, MODEL = "system_comparisons", "system_comparison.json", SystemComparison
    WHAT = "a comparison of systems"

    @classmethod
    def create(cls, runs_dir: Path, record: SystemComparison) -> SystemComparisonFolder:
        """As `RecordFolder.create`; what was decoded for killed ones is removed."""
        sweep_spools(runs_dir / cls.HOME, _RUNS)
        return super().create(runs_dir, record)


def new_id(a: str, b: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(a)}-{safe_name(b)}-{uuid4().hex[:6]}"


def read_system_comparison(path: Path) -> SystemComparison:
    """The record of a folder; InputError where there is none, or it is damaged."""
    return SystemComparisonFolder.read(path)


def find_interrupted(runs_dir: Path, resume_key: str) -> SystemComparisonFolder | None:
    """The newest comparison with this key that was cut off, or ended before its rule had decided, and that no live process has."""
    sweep_spools(runs_dir / SystemComparisonFolder.HOME, _RUNS)
    return SystemComparisonFolder.unfinished(
        runs_dir,
        lambda record: record.resume_key == resume_key and (record.status in UNFINISHED or record.ended_early),
    )
