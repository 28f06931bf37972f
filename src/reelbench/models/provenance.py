"""What a derived folder was made from: ``.source.json`` in it. With that record, whatever the folder holds can be made again.

It is written when the folder is filled (`recorded`), not by each engine: which artifacts were read and which folders were asked for is
seen at the store.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.errors import OutputError
from reelbench.paths import write_text

if TYPE_CHECKING:
    from reelbench.models.store import ModelStore

FILE = ".source.json"

_SCHEMA = 1
# What builds, converts or calibrates networks: its version decides what comes out.
_TOOLS = (
    "openvino",
    "nncf",
    "onnx",
    "onnxslim",
    "onnxruntime",
    "tensorrt",
    "torch",
    "ultralytics",
    "safetensors",
    "ctranslate2",
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """``artifacts``: id → sha256 of what was read; ``versions``: of the packages that were loaded; ``made_by``: in words."""

    made_by: str
    artifacts: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)


def write(folder: Path, made_by: str, artifacts: dict[str, str], packages: Iterable[str] | None = None) -> None:
    """Record what a folder is made from; ``packages`` are those whose versions count (None: the known tools that are loaded)."""
    tools = [name for name in _TOOLS if name in sys.modules] if packages is None else packages
    versions = {name: found for name in ("reelbench", *tools) if (found := _version(name))}
    made = asdict(Provenance(made_by, dict(sorted(artifacts.items())), versions))
    write_text(folder / FILE, json.dumps({"schema": _SCHEMA, "class": "regenerable", **made}, indent=2) + "\n")


def read(folder: Path) -> Provenance | None:
    """What the folder was made from, or None where nobody wrote it down (or it cannot be read)."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if found["schema"] != _SCHEMA:
            return None
        return Provenance(str(found["made_by"]), dict(found["artifacts"]), dict(found["versions"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Recorder:
    """A store that notes what is asked of it. It has what analyzers know of a store: ``path`` and ``derived``."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self.read: dict[str, str] = {}
        self.folders: dict[Path, None] = {}

    def path(self, artifact: str) -> Path:
        found = self._store.path(artifact)
        self.read[artifact] = self._store.catalog[artifact].sha256
        return found

    def derived(self, key: str) -> Path:
        folder = self._store.derived(key)
        if not any(folder.iterdir()):
            self.folders[folder] = None
        return folder


@contextmanager
def recorded(store: ModelStore, made_by: str) -> Iterator[Recorder]:
    """While the block fills empty derived folders through the recorder, note from what. A folder that was filled before keeps the
    record that it has, or none: what was read then is not known."""
    recorder = Recorder(store)
    yield recorder
    for folder in recorder.folders:
        if any(folder.iterdir()) and read(folder) is None:
            try:
                write(folder, made_by, recorder.read)
            except OutputError:
                continue  # a read-only or full store still serves what it holds


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
