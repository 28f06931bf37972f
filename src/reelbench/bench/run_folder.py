"""The folder of one run: created, found again for resuming, and written so that nothing in it is ever half there."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reelbench.bench.record_folder import claim_newest, read_record_file, settle_killed, write_record
from reelbench.bench.records import FRAME_COLUMNS, SAMPLE_COLUMNS, RunRecord
from reelbench.errors import InputError
from reelbench.owners import UNFINISHED, claim, new_folder
from reelbench.paths import atomic_path, describe_os_error, write_text
from reelbench.results import AnalyzerResult

if TYPE_CHECKING:
    from filelock import FileLock

Row = dict[str, Any]
RECORD = "run.json"


class RunFolder:
    """``record`` is the run's state; `save` writes it. Samples and frames are kept in memory and rewritten as Parquet."""

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record
        self.samples: list[Row] = []
        self.frames: list[Row] = []
        self._lock: FileLock | None = None

    @classmethod
    def create(cls, runs_dir: Path, record: RunRecord, name: str = "") -> RunFolder:
        """A new folder for ``record``, named by its run id or by ``name``; OutputError where it cannot be written."""
        path = runs_dir / (name or record.run_id)
        settle_killed(path.parent, RECORD, RunRecord)
        try:
            with new_folder(path) as made:
                (made / "results").mkdir()
                folder = cls(made, record)
                folder.claim()
                folder.save()
        except OSError as error:
            raise describe_os_error(error, path, "cannot create the run folder") from error
        folder.path = path
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Read an existing folder with all its rows; InputError where it is damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = cls(path, read_record(path))
        try:
            for name in ("samples", "frames"):
                file = path / f"{name}.parquet"
                setattr(folder, name, pq.read_table(file).to_pylist() if file.is_file() else [])
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: a table of this run is damaged: {error}") from error
        return folder

    def claim(self) -> bool:
        """Take the folder for this process, until it ends however it ends; False where another live process has it."""
        self._lock = claim(self.path)
        return self._lock is not None

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    def save(self) -> None:
        """Write the tables, the record and, where the run is over, the manifest."""
        if self.samples:
            _write_table(self.path / "samples.parquet", self.samples, SAMPLE_COLUMNS)
        if self.frames:
            _write_table(self.path / "frames.parquet", self.frames, FRAME_COLUMNS)
        write_record(self.path, RECORD, self.record)

    def passes(self) -> Counter[str]:
        """How many timed passes each clip has."""
        return Counter(row["clip"] for row in self.samples if row["kind"] == "timed")

    def add_pass(self, clip: str, kind: str, repetition: int, sample: Row, steps: list[tuple[float, float]]) -> None:
        self.samples.append({"clip": clip, "kind": kind, "repetition": repetition, **sample})
        if kind == "timed":
            self.frames.extend(
                {"clip": clip, "repetition": repetition, "index": index, "pts_s": pts, "step_s": step}
                for index, (pts, step) in enumerate(steps)
            )

    def write_result(self, result: AnalyzerResult) -> None:
        write_text(self.result_path(result.clip), result.model_dump_json(indent=1), exact=True)

    def write_pass_result(self, result: AnalyzerResult, repetition: int) -> None:
        """The result of one pass of an analyzer that is not deterministic."""
        path = self.path / "results" / "passes" / f"{safe_name(result.clip)}.{repetition}.json"
        path.parent.mkdir(exist_ok=True)
        write_text(path, result.model_dump_json(), exact=True)

    def read_pass_results(self) -> list[dict[str, AnalyzerResult]]:
        """What each pass found, one dictionary by clip for each; a clip with fewer passes is in fewer of them."""
        folder, found = self.path / "results" / "passes", list[dict[str, AnalyzerResult]]()
        most = max(self.passes().values(), default=0)
        for repetition in range(most):
            files = {clip.name: folder / f"{safe_name(clip.name)}.{repetition}.json" for clip in self.record.clips}
            one = {
                name: AnalyzerResult.model_validate_json(file.read_bytes())
                for name, file in files.items()
                if file.is_file()
            }
            found += [one] if one else []
        return found

    def result_path(self, clip: str) -> Path:
        return self.path / "results" / f"{safe_name(clip)}.json"

    def read_results(self) -> dict[str, AnalyzerResult]:
        """The results of all clips that have one, by clip."""
        results: dict[str, AnalyzerResult] = {}
        for clip in self.record.clips:
            file = self.result_path(clip.name)
            if file.is_file():
                results[clip.name] = AnalyzerResult.model_validate_json(file.read_bytes())
        return results


def new_run_id(analyzer: str, variant: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(analyzer)}-{safe_name(variant)}-{uuid4().hex[:6]}"


def safe_name(clip: str) -> str:
    """A file name for a clip's name, which may hold folders and anything that a file system allows."""
    from reelbench.config import digest

    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", clip).strip("._") or "clip"
    return plain if plain == clip else f"{plain[:80]}-{digest(clip)[:8]}"


def read_record(path: Path) -> RunRecord:
    """The ``run.json`` of a run folder; InputError where there is none or it cannot be read."""
    return read_record_file(path / RECORD, RunRecord, "a run folder")


def find_interrupted(runs_dir: Path, resume_key: str) -> RunFolder | None:
    """The newest unfinished run of the same configuration, code, corpus and machine that no live process has, claimed."""
    found = claim_newest(
        runs_dir, RECORD, RunRecord, lambda record: record.resume_key == resume_key and record.status in UNFINISHED
    )
    if found is None:
        return None
    folder = RunFolder.open(found[0])
    folder._lock = found[2]
    return folder


def _write_table(path: Path, rows: list[Row], columns: tuple[str, ...]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: [row.get(name) for row in rows] for name in columns})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)
