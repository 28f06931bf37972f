"""Folders that one JSON file, the record, describes: claim, write, read and find them.

`read_record_file` and `newest_records` are the only readers of records of every kind (run, system run, comparison, load run,
calibration, gate), so that 'running' is said nowhere of a run whose process is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from reelbench.bench.integrity import Checked, check
from reelbench.bench.manifest import code_digest, seal, unseal
from reelbench.errors import InputError, OutputError
from reelbench.owners import UNFINISHED, claim, claimed, new_folder, status_of, sweep
from reelbench.paths import describe_os_error, write_text

if TYPE_CHECKING:
    from filelock import FileLock


class _Record(Protocol):
    id: str

    def model_dump_json(self, *, indent: int | None = None) -> str: ...


R = TypeVar("R", bound=_Record)
M = TypeVar("M", bound=BaseModel)
_RUNNING = b'"status": "running"'


def read_record_file(file: Path, model: type[M], what: str) -> M:
    """The record in ``file``, with the status that holds now; InputError where there is none, it is damaged, or the folder is finished
    and a figure of it does not follow from what was measured (`reelbench.bench.integrity.check`).

    ``what`` names the folder ('the folder of a comparison').
    """
    try:
        record = _current(file, model)
    except FileNotFoundError:
        raise InputError(f"{file.parent} is not {what}: it has no {file.name}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{file}: {where}: {first['msg']}") from error
    remarks_on(file.parent, record)
    return record


def remarks_on(folder: Path, record: BaseModel) -> tuple[str, ...]:
    """What a reader of a finished folder must know ('no manifest …'). InputError where a figure does not follow."""
    known: Any = record
    return check(folder, record) if isinstance(record, Checked) and known.status not in UNFINISHED else ()


def marked(folder: Path, record: M) -> M:
    """Return the record for a page, with remarks about the folder added to its notes."""
    known: Any = record
    remarks = [text for text in remarks_on(folder, record) if text not in known.notes]
    return record.model_copy(update={"notes": [*known.notes, *remarks]}) if remarks else record


def write_record(folder: Path, file: str, record: BaseModel) -> None:
    """Write the record and, where the work is over, the manifest behind it. Raises OutputError."""
    known: Any = record
    unseal(folder)
    write_text(folder / file, record.model_dump_json(indent=1))
    if known.status not in UNFINISHED:
        seal(folder, file, code_digest(record.CODE) if isinstance(record, Checked) else "")


def newest_records(folder: Path, file: str, model: type[M]) -> Iterator[tuple[Path, M]]:
    """The folders in ``folder`` whose record can be read, with it, the newest first."""
    for found in sorted(folder.glob(f"*/{file}"), reverse=True):
        try:
            yield found.parent, _current(found, model)
        except (ValidationError, OSError):
            continue  # not ours, or damaged


def claim_newest(
    folder: Path, file: str, model: type[M], wanted: Callable[[M], bool]
) -> tuple[Path, M, FileLock] | None:
    """The newest folder whose record is ``wanted`` and that no live process has, claimed, with its record."""
    for path, record in newest_records(folder, file, model):
        if not wanted(record) or (lock := claim(path)) is None:
            continue
        # Read again now that the folder is ours: its owner may have finished it meanwhile.
        if wanted(now := _current(path / file, model)):
            return path, now, lock
        lock.release()
    return None


def settle_killed(folder: Path, file: str, model: type[BaseModel]) -> None:
    """Put 'interrupted' into the records in ``folder`` whose process is gone, and clear what it left half written.

    Called before another folder is made there, since not every killed run is gone on with.
    """
    for found in folder.glob(f"*/{file}"):
        if not claimed(found.parent):  # also a finished run may have been killed, while its pages were written
            sweep(part for depth in ("", "*/") for part in found.parent.glob(f"{depth}.*.part*"))
        try:
            if _RUNNING not in found.read_bytes() or (lock := claim(found.parent)) is None:
                continue
            try:
                record: Any = model.model_validate_json(found.read_bytes())
                if record.status == "running":
                    record.status = "interrupted"
                    write_text(found, record.model_dump_json(indent=1))
            finally:
                lock.release()
        except (ValidationError, OSError, OutputError):
            continue  # damaged, or not ours to write: readers find out all the same


def _current(file: Path, model: type[M]) -> M:
    alive = claimed(file.parent)
    record = model.model_validate_json(file.read_bytes())
    known: Any = record
    known.status = status_of(known.status, alive)
    return record


class RecordFolder(Generic[R]):
    """``record`` is the state; `save` writes it. A subclass says in which folder of the runs its folders lie, and what is in them."""

    HOME: ClassVar[str]
    FILE: ClassVar[str]
    MODEL: ClassVar[type[Any]]
    WHAT: ClassVar[str]

    def __init__(self, path: Path, record: R) -> None:
        self.path = path
        self.record = record
        self._lock: FileLock | None = None

    @classmethod
    def create(cls, runs_dir: Path, record: R) -> Self:
        """``runs_dir``/HOME/<id>, claimed, with record and environment in it; OutputError where it cannot be written."""
        from reelbench.bench.environment import environment

        path = runs_dir / cls.HOME / record.id
        settle_killed(path.parent, cls.FILE, cls.MODEL)
        try:
            with new_folder(path) as made:
                folder = cls(made, record)
                folder.claim()
                write_text(made / "environment.json", json.dumps(environment(), indent=1))
                folder.save()
        except OSError as error:
            raise describe_os_error(error, path, f"cannot create the folder of {cls.WHAT}") from error
        folder.path = path
        return folder

    def claim(self) -> bool:
        """Take the folder for this process, until it ends however it ends; False where another live process has it."""
        self._lock = claim(self.path)
        return self._lock is not None

    def save(self) -> None:
        record: Any = self.record
        write_record(self.path, self.FILE, record)

    @classmethod
    def read(cls, path: Path) -> R:
        """The record of a folder; InputError where there is none, or it is damaged."""
        record: R = read_record_file(path / cls.FILE, cls.MODEL, f"the folder of {cls.WHAT}")
        return record

    @classmethod
    def newest(cls, runs_dir: Path) -> Iterator[Self]:
        """The folders that can be read, the newest first. None of them is claimed."""
        for path, record in newest_records(runs_dir / cls.HOME, cls.FILE, cls.MODEL):
            yield cls(path, record)

    @classmethod
    def unfinished(cls, runs_dir: Path, wanted: Callable[[R], bool]) -> Self | None:
        """The newest folder whose record is ``wanted`` and that no live process has, claimed."""
        found = claim_newest(runs_dir / cls.HOME, cls.FILE, cls.MODEL, wanted)
        if found is None:
            return None
        folder = cls(found[0], found[1])
        folder._lock = found[2]
        return folder
