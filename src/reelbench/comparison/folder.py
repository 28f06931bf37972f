"""The folder of one comparison: created, found again for resuming, written so that nothing in it is ever half there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import uuid4

from reelbench.bench.record_folder import RecordFolder
from reelbench.bench.run_folder import safe_name
from reelbench.comparison.records import ArmName, ComparisonRecord
from reelbench.owners import UNFINISHED

FILE = "comparison.json"


class ComparisonFolder(RecordFolder[ComparisonRecord]):
    HOME, FILE, MODEL, WHAT = "comparisons", FILE, ComparisonRecord, "a comparison"

    def arm_folder(self, name: ArmName) -> Path:
        """The run folder of an arm; one that was made before lies elsewhere and is named by its whole path."""
        return self.path / self.record.arm(name).folder


def comparisons_dir(runs_dir: Path) -> Path:
    return runs_dir / ComparisonFolder.HOME


def new_id(analyzer: str, a: str, b: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(analyzer)}-{safe_name(a)}-{safe_name(b)}-{uuid4().hex[:6]}"


def read_comparison(path: Path) -> ComparisonRecord:
    """The ``comparison.json`` of a folder; InputError where there is none or it cannot be read."""
    return ComparisonFolder.read(path)


def find_interrupted(runs_dir: Path, resume_key: str) -> ComparisonFolder | None:
    """The newest unfinished comparison with this key that no live process has, claimed."""
    return ComparisonFolder.unfinished(
        runs_dir, lambda record: record.resume_key == resume_key and record.status in UNFINISHED
    )
