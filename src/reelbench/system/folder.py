"""The folder of one system run: created, found again after a crash, and written so that no result is ever lost, torn, or twice."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import ValidationError

from reelbench.bench.record_folder import claim_newest, read_record_file, settle_killed, write_record
from reelbench.bench.run_folder import safe_name
from reelbench.errors import InputError
from reelbench.owners import UNFINISHED, Held, claim, new_folder, sweep
from reelbench.paths import describe_os_error, write_text
from reelbench.results import AnalyzerResult
from reelbench.system.records import Span, SystemRecord
from reelbench.system.tasks import Key

if TYPE_CHECKING:
    from filelock import FileLock

RECORD = "system.json"
TIMELINE = "timeline.jsonl"
SCRATCH = "scratch"
_OUTSIDE = "reelbench-"


class SystemFolder:
    """``record`` is the run's state; `save` writes it. ``spans`` are the lines of the timeline."""

    def __init__(self, path: Path, record: SystemRecord, scratch: Path | None = None) -> None:
        self.path = path
        self.record = record
        self.spans: list[Span] = []
        self.scratch = scratch / f"{_OUTSIDE}{record.id}" if scratch is not None else path / SCRATCH
        self._lock: FileLock | None = None
        self._spool: Held | None = None

    @classmethod
    def create(cls, runs_dir: Path, record: SystemRecord, scratch: Path | None) -> SystemFolder:
        """A new folder ``runs_dir``/<id>; OutputError where it cannot be written."""
        path = runs_dir / record.id
        settle_killed(runs_dir, RECORD, SystemRecord)
        sweep_spools(runs_dir, "*", scratch)
        folder = cls(path, record, scratch)
        try:
            with new_folder(path) as made:
                for name in ("results", "logs"):
                    (made / name).mkdir()
                folder._lock = claim(made)
                write_text(made / RECORD, record.model_dump_json(indent=1))
        except OSError as error:
            raise describe_os_error(error, path, "cannot create the run's folder") from error
        return folder

    @classmethod
    def open(cls, path: Path, scratch: Path | None = None) -> SystemFolder:
        """An existing folder with its timeline; InputError where it is none, or damaged."""
        folder = cls(path, read_record_file(path / RECORD, SystemRecord, "the folder of a system run"), scratch)
        folder.spans = read_timeline(path / TIMELINE)
        return folder

    def claim(self) -> bool:
        """Take the folder for this process, until it ends however it ends; False where another live process has it."""
        self._lock = claim(self.path)
        return self._lock is not None

    def save(self) -> None:
        write_record(self.path, RECORD, self.record)

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{safe_name(name)}.log"

    def result_path(self, key: Key) -> Path:
        return result_path(self.path, key)

    def result(self, key: Key) -> AnalyzerResult | None:
        """The result of (clip, analyzer); None where there is none that can be read."""
        return read_result(self.path, key)

    def add(self, span: Span, result: AnalyzerResult | None = None) -> None:
        """Keep a span, and before it the result that it brought. Raises OutputError where the disk is full."""
        if result is not None:
            write_text(self.result_path((span.clip, span.name)), result.model_dump_json(indent=1), exact=True)
        line = (span.model_dump_json() + "\n").encode()
        path = self.path / TIMELINE
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                size = os.fstat(handle).st_size
                if os.write(handle, line) < len(line):
                    os.ftruncate(handle, size)
                    raise OSError(28, os.strerror(28))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise describe_os_error(error, path, "cannot write") from error
        self.spans.append(span)

    def settled(self, clip: str | None = None) -> dict[Key, Span]:
        """The final span of each task, or of those of ``clip``: done with its result in place, or ended for good without one."""
        found: dict[Key, Span] = {}
        for span in self.spans:
            if span.kind != "load" and span.final and clip in (None, span.clip):
                found[span.clip, span.name] = span
        return {key: span for key, span in found.items() if span.status != "done" or self.result(key) is not None}

    def clear_scratch(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def open_scratch(self, clip: str) -> Path:
        """An empty folder for what is decoded of ``clip``; OutputError where it cannot be made."""
        path = self.scratch / safe_name(clip)
        shutil.rmtree(path, ignore_errors=True)
        try:
            if self._spool is None:
                self.scratch.mkdir(parents=True, exist_ok=True)
                self._spool = Held.of(self.scratch)
            path.mkdir(parents=True)
        except OSError as error:
            raise describe_os_error(error, path, "cannot create") from error
        return path


def result_path(folder: Path, key: Key) -> Path:
    """Where the result of (clip, analyzer) lies in the folder of a system run."""
    return folder / "results" / safe_name(key[0]) / f"{safe_name(key[1])}.json"


def read_result(folder: Path, key: Key) -> AnalyzerResult | None:
    """The result of (clip, analyzer); None where there is none that can be read."""
    try:
        return AnalyzerResult.model_validate_json(result_path(folder, key).read_bytes())
    except (OSError, ValidationError):
        return None


def new_id(system: str, plan: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(system)}-{safe_name(plan)}-{uuid4().hex[:6]}"


def find_interrupted(runs_dir: Path, key: str, scratch: Path | None) -> SystemFolder | None:
    """The newest unfinished run with this key that no live process has, claimed, its leftovers cleared."""
    found = claim_newest(
        runs_dir, RECORD, SystemRecord, lambda record: record.key == key and record.status in UNFINISHED
    )
    if found is None:
        return None
    folder = SystemFolder(found[0], found[1], scratch)
    folder._lock = found[2]
    folder.spans = read_timeline(folder.path / TIMELINE, mend=True)
    sweep_spools(runs_dir, "*", scratch)
    return folder


def sweep_spools(home: Path, runs: str, scratch: Path | None = None) -> None:
    """Remove what was decoded for runs whose process is gone: in their folders (``runs`` below ``home``), and in ``scratch``."""
    sweep(home.glob(f"{runs}/{SCRATCH}"))
    if scratch is not None:
        sweep(scratch.glob(f"{_OUTSIDE}*"))


def read_timeline(path: Path, mend: bool = False) -> list[Span]:
    """All whole lines. A line that was being written when the run was killed is left out; with ``mend`` it is cut off."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = text[: text.rfind(b"\n") + 1]
    if mend and len(whole) < len(text):
        os.truncate(path, len(whole))
    try:
        return [Span.model_validate_json(line) for line in whole.splitlines() if line.strip()]
    except ValidationError as error:
        raise InputError(f"{path}: a line is damaged: {error.errors()[0]['msg']}") from error
