"""The folder of a comparison of two systems: created, found again for resuming, written whole."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import ValidationError

from reelbench.bench.environment import environment
from reelbench.bench.run_folder import safe_name
from reelbench.errors import InputError
from reelbench.paths import claim, describe_os_error, write_text
from reelbench.system.ab.records import SystemComparison

if TYPE_CHECKING:
    from filelock import FileLock

FILE = "system_comparison.json"


class SystemComparisonFolder:
    """``record`` is the comparison's state; `save` writes it."""

    def __init__(self, path: Path, record: SystemComparison) -> None:
        self.path = path
        self.record = record
        self._lock: FileLock | None = None

    @classmethod
    def create(cls, runs_dir: Path, record: SystemComparison) -> SystemComparisonFolder:
        """``runs_dir``/system_comparisons/<id>; OutputError where it cannot be written."""
        path = _home(runs_dir) / record.id
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise describe_os_error(error, path, "cannot create the comparison's folder") from error
        folder = cls(path, record)
        folder.claim()
        write_text(path / "environment.json", json.dumps(environment(), indent=1))
        folder.save()
        return folder

    def claim(self) -> bool:
        """Take the folder for this process; False where another live process has it."""
        self._lock = claim(self.path)
        return self._lock is not None

    def save(self) -> None:
        write_text(self.path / FILE, self.record.model_dump_json(indent=1))


def _home(runs_dir: Path) -> Path:
    return runs_dir / "system_comparisons"


def new_id(a: str, b: str) -> str:
    """Sorts by time, says what it is, and is unique."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(a)}-{safe_name(b)}-{uuid4().hex[:6]}"


def read_system_comparison(path: Path) -> SystemComparison:
    """The record of a folder; InputError where there is none, or it is damaged."""
    try:
        return SystemComparison.model_validate_json((path / FILE).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is no folder of a comparison of systems: it has no {FILE}") from None
    except ValidationError as error:
        raise InputError(f"{path / FILE}: {error.errors()[0]['msg']}") from error


def find_interrupted(runs_dir: Path, resume_key: str) -> SystemComparisonFolder | None:
    """The newest comparison with this key that was cut off, or ended before its rule had decided, and that no live process has."""
    for file in sorted(_home(runs_dir).glob(f"*/{FILE}"), reverse=True):
        try:
            record = SystemComparison.model_validate_json(file.read_bytes())
        except (ValidationError, OSError):
            continue  # not ours, or damaged: nothing to go on with
        unfinished = record.status in ("running", "interrupted") or record.ended_early
        if record.resume_key == resume_key and unfinished:
            folder = SystemComparisonFolder(file.parent, record)
            if folder.claim():
                return folder
    return None
