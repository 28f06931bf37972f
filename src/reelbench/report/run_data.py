"""A run folder as typed values: what every page and table reads, with a clear error where the folder is damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from reelbench.bench.record_folder import marked
from reelbench.bench.records import FRAME_COLUMNS, PHASES, SAMPLE_COLUMNS, RunRecord
from reelbench.bench.run_folder import read_record
from reelbench.errors import InputError
from reelbench.results import AnalyzerResult

_HINT = "measure it again, or leave this folder out"
Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One pass over a clip. ``phases`` are seconds by `reelbench.bench.records.PHASES`; ``started`` is Unix time."""

    clip: str
    kind: Literal["warmup", "timed"]
    repetition: int
    started: float
    total_s: float
    phases: Mapping[str, float]
    cpu_s: float | None
    run_queue_s: float | None
    frames_sampled: int | None
    frames_inferred: int | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything that one run folder holds. ``steps`` are milliseconds per sampled frame of all timed passes, by clip."""

    folder: Path
    record: RunRecord
    samples: tuple[Sample, ...] = ()
    steps: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    results: Mapping[str, AnalyzerResult] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""

    def timed(self, clip: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.clip == clip and sample.kind == "timed"]


def load_run(folder: Path) -> RunData:
    """Read a run folder. InputError names the folder, the file and what is wrong with it.

    A table may be absent only where nothing would be in it; the environment, the configuration and the results may be
    absent (a run that was cut off has none), and the page then says so.
    """
    record = marked(folder, read_record(folder))
    measured = any(clip.status == "measured" for clip in record.clips)
    samples = _read_table(folder / "samples.parquet", SAMPLE_COLUMNS, required=measured)
    frames = _read_table(folder / "frames.parquet", FRAME_COLUMNS, required="frame_ms_p50" in record.summary)
    config = folder / "config.yaml"
    return RunData(
        folder=folder,
        record=record,
        samples=_samples(samples, folder),
        steps=_steps(frames, folder),
        results=_results(folder),
        environment=read_environment(folder / "environment.json"),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
    )


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']}"


def _read_table(path: Path, columns: tuple[str, ...], *, required: bool) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        if required:
            raise InputError(f"{path.parent} is damaged: {path.name} is missing", _HINT)
        return {name: [] for name in columns}
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged: {error}", _HINT) from error
    if absent := [name for name in columns if name not in table.column_names]:
        raise InputError(f"{path} is damaged: it has no column {', '.join(absent)}", _HINT)
    return {name: table.column(name).to_pylist() for name in columns}


def _samples(table: Columns, folder: Path) -> tuple[Sample, ...]:
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    try:
        return tuple(
            Sample(
                clip=str(row["clip"]),
                kind="timed" if row["kind"] == "timed" else "warmup",
                repetition=int(row["repetition"]),
                started=float(row["started"]),
                total_s=float(row["total_s"]),
                phases={phase: float(row[f"{phase}_s"]) for phase in PHASES},
                cpu_s=row["cpu_s"],
                run_queue_s=row["run_queue_s"],
                frames_sampled=row["frames_sampled"],
                frames_inferred=row["frames_inferred"],
                duration_s=row["duration_s"],
            )
            for row in rows
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / 'samples.parquet'} is damaged: {error}", _HINT) from error


def _steps(table: Columns, folder: Path) -> dict[str, NDArray[np.float64]]:
    by_clip: dict[str, list[float]] = {}
    try:
        for clip, step_s in zip(table["clip"], table["step_s"], strict=True):
            by_clip.setdefault(str(clip), []).append(1000.0 * float(step_s))
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / 'frames.parquet'} is damaged: {error}", _HINT) from error
    return {clip: np.asarray(values, dtype=np.float64) for clip, values in by_clip.items()}


def _results(folder: Path) -> dict[str, AnalyzerResult]:
    found: dict[str, AnalyzerResult] = {}
    for path in sorted((folder / "results").rglob("*.json")):
        try:
            result = AnalyzerResult.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise InputError(f"{path} is damaged: {_first(error)}", _HINT) from error
        found[result.clip] = result
    return found


def read_environment(path: Path) -> dict[str, Any]:
    """An ``environment.json``; empty where there is none, InputError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}", _HINT) from error
    if not isinstance(raw, dict):
        raise InputError(f"{path} is damaged: it is not a mapping", _HINT)
    return raw
