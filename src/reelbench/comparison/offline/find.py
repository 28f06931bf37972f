"""Find a run on disk by any of its names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from reelbench.bench.records import RunRecord
from reelbench.errors import InputError


def find_run(name: str | Path, runs_dir: Path) -> Path:
    """The run folder that ``name`` means: a folder, a run id (also of an arm of a comparison), or the MLflow run id that a run
    on disk remembers. InputError with the nearest names where there is none."""
    if (found := look_for(str(name), runs_dir)) is not None:
        return found
    known = sorted({folder.name if folder.parent == runs_dir else record.run_id for folder, record in _runs(runs_dir)})
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or known[-3:]
    hint = (
        f"near it: {', '.join(near)}" if near else f"{runs_dir} holds no run: --runs-dir names the folder of the runs"
    )
    raise InputError(f"there is no run '{name}'", hint)


def look_for(name: str, runs_dir: Path) -> Path | None:
    """As `find_run`, but None where there is none."""
    for folder in (Path(name).expanduser(), runs_dir / name):
        if (folder / "run.json").is_file():
            return folder
    return next((folder for folder, record in _runs(runs_dir) if name in (record.run_id, record.mlflow_run_id)), None)


def _runs(runs_dir: Path) -> Iterator[tuple[Path, RunRecord]]:
    """All runs, and the arms of all comparisons."""
    for pattern in ("*/run.json", "comparisons/*/*/run.json"):
        for file in sorted(runs_dir.glob(pattern)):
            try:
                yield file.parent, RunRecord.model_validate_json(file.read_bytes())
            except (ValidationError, OSError):
                continue  # not ours, or damaged: it has no name to be found by
