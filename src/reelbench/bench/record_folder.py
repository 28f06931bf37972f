"""A folder that is told by one JSON file in it, its record: created, claimed, written whole, and found again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import ValidationError

from reelbench.errors import InputError
from reelbench.paths import claim, describe_os_error, write_text

if TYPE_CHECKING:
    from filelock import FileLock


class _Record(Protocol):
    id: str

    def model_dump_json(self, *, indent: int | None = None) -> str: ...


R = TypeVar("R", bound=_Record)


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
        """``runs_dir``/HOME/<id>, claimed, with the environment in it; OutputError where it cannot be written."""
        from reelbench.bench.environment import environment

        path = runs_dir / cls.HOME / record.id
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise describe_os_error(error, path, f"cannot create the folder of {cls.WHAT}") from error
        folder = cls(path, record)
        folder.claim()
        write_text(path / "environment.json", json.dumps(environment(), indent=1))
        return folder

    def claim(self) -> bool:
        """Take the folder for this process, until it ends however it ends; False where another live process has it."""
        self._lock = claim(self.path)
        return self._lock is not None

    def save(self) -> None:
        write_text(self.path / self.FILE, self.record.model_dump_json(indent=1))

    @classmethod
    def read(cls, path: Path) -> R:
        """The record of a folder; InputError where there is none, or it is damaged."""
        try:
            record: R = cls.MODEL.model_validate_json((path / cls.FILE).read_bytes())
        except FileNotFoundError:
            raise InputError(f"{path} is no folder of {cls.WHAT}: it has no {cls.FILE}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"{path / cls.FILE}: {where}: {first['msg']}") from error
        return record

    @classmethod
    def newest(cls, runs_dir: Path) -> Iterator[Self]:
        """The folders that can be read, the newest first. None of them is claimed."""
        for file in sorted((runs_dir / cls.HOME).glob(f"*/{cls.FILE}"), reverse=True):
            try:
                record: R = cls.MODEL.model_validate_json(file.read_bytes())
            except (ValidationError, OSError):
                continue  # not ours, or damaged
            yield cls(file.parent, record)
