"""Kinds of folders that MLflow is told about: a module each, with its ``KIND`` in it; they are named nowhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from reelbench.config import Tracking
from reelbench.errors import InputError
from reelbench.tracking.payload import Payload, read_config

OFF = "off"


class Record(Protocol):
    """What all records have that are sent."""

    @property
    def status(self) -> str: ...
    @property
    def mlflow_run_id(self) -> str | None: ...
    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...
    def model_dump_json(self, *, indent: int | None = None) -> str: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Part:
    """A folder inside another that becomes a child run of it, with ``tags`` of its own."""

    folder: Path
    kind: Kind[Any]
    tags: dict[str, str] = field(default_factory=dict)


class Kind(ABC, Generic[R]):
    """``home``: the folder among the runs in which folders of this kind lie, '' for the runs themselves; ``file``: their record."""

    home: ClassVar[str]
    file: ClassVar[str]

    @abstractmethod
    def read(self, folder: Path) -> R:
        """The record; InputError where the folder is none of this kind, or is damaged."""

    @abstractmethod
    def payload(self, folder: Path, record: R) -> Payload:
        """What MLflow is told; InputError where a file beside the record is damaged."""

    @abstractmethod
    def tracking(self, folder: Path, record: R) -> Tracking:
        """Where the folder's own configuration sends it; OFF where there is none that can be read."""

    @abstractmethod
    def row(self, record: R) -> dict[str, str]:
        """What `reelbench track list` shows: run, analyzer, requested, effective, corpus, status."""

    def parts(self, folder: Path, record: R) -> Iterable[Part]:
        """What becomes a child run."""
        return ()

    def before(self, folder: Path, record: R) -> Mapping[str, Path]:
        """Runs that were made before and stay what they are in MLflow: tags ``<name>.mlflow_run`` lead to them."""
        return {}


@cache
def kinds() -> tuple[Kind[Any], ...]:
    """All kinds, runs first."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return tuple(sorted((module.KIND for module in modules), key=lambda kind: kind.home))


def kind_of(folder: Path) -> Kind[Any]:
    """Of which kind a folder is, by the record in it; InputError where it has none."""
    found = next((kind for kind in kinds() if (folder / kind.file).is_file()), None)
    if found is None:
        raise InputError(f"{folder} holds no record: none of {', '.join(kind.file for kind in kinds())}")
    return found


def asked_for(folder: Path, experiment: str) -> Tracking:
    """``tracking`` in a folder's ``config.yaml``; ``experiment`` where none is named."""
    try:
        found = read_config(folder).get("tracking")
    except InputError:
        found = None  # `Kind.payload` says what is wrong with the folder
    asked = found if isinstance(found, Mapping) else {}
    return Tracking(uri=str(asked.get("uri") or OFF), experiment=str(asked.get("experiment") or experiment))
