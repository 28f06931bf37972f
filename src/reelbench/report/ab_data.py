"""A comparison's folder as typed values: its record, both arms with every raw sample, and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reelbench.bench.record_folder import marked
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.records import Arm, ComparisonRecord
from reelbench.errors import InputError
from reelbench.report.run_data import RunData, load_run, read_environment


@dataclass(frozen=True, slots=True)
class ComparisonData:
    """Everything that a page says of a comparison. An arm without a run folder (it never began) is None."""

    folder: Path
    record: ComparisonRecord
    a: RunData | None = None
    b: RunData | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arms(self) -> tuple[tuple[Arm, RunData | None], tuple[Arm, RunData | None]]:
        return (self.record.a, self.a), (self.record.b, self.b)


def load_comparison(folder: Path) -> ComparisonData:
    """Read a comparison's folder. InputError names the folder, the file and what is wrong with it.

    An arm's run folder may be absent only where no pair was finished; then the page says so.
    """
    record = marked(folder, read_comparison(folder))
    return ComparisonData(
        folder=folder,
        record=record,
        a=_arm(folder, record.a, required=bool(record.pairs)),
        b=_arm(folder, record.b, required=bool(record.pairs)),
        environment=read_environment(folder / "environment.json"),
    )


def _arm(folder: Path, arm: Arm, *, required: bool) -> RunData | None:
    path = folder / arm.folder  # an absolute arm.folder replaces ``folder``
    if arm.folder and (path / "run.json").is_file():
        return load_run(path)
    if required:
        hint = "put the arm's run folder back, or compare again"
        raise InputError(f"{folder} is damaged: the run of arm {arm.label} is missing ({path})", hint)
    return None
