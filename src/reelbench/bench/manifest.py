"""Write the manifest of a finished folder, the sha256 of every file in it, and find what was changed since.

    manifest.json   {"version", "record", "code", "files": {name: sha256}}

A folder inside that has a manifest of its own is listed by that manifest alone, so that one hash stands for a whole tree. Pages, logs
and the mark of what MLflow lacks are left out: they are made anew from the rest. A record is hashed without its ``mlflow_run_id``,
which is noted after the folder was sent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reelbench.errors import InputError
from reelbench.paths import PACKAGE, write_text

MANIFEST = "manifest.json"
_SENT = "mlflow_run_id"
_LEFT_OUT = (".html", ".log", ".md", ".xml")
_NAMES_LEFT_OUT = ("untracked.json", MANIFEST)
_FOLDERS_LEFT_OUT = ("scratch", "logs", "export")


class Manifest(BaseModel):
    """The hashes of a finished folder. ``record``: the file that describes it; ``code``: the hash of the code that
    computed its figures (`code_digest`)."""

    model_config = ConfigDict(extra="forbid")

    version: int = 1
    record: str
    code: str = ""
    files: dict[str, str]


def seal(folder: Path, record: str, code: str = "") -> None:
    """Write the manifest of a folder whose other files are all there. Raises OutputError."""
    hashes = {name: file_digest(folder / name) for name in covered(folder)}
    manifest = Manifest(record=record, code=code, files=dict(sorted(hashes.items())))
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=1), exact=True)


def reseal(folder: Path) -> None:
    """Write the manifest again, where there is one, after its owner added to a finished folder. Raises OutputError."""
    if (known := read_manifest(folder)) is not None:
        seal(folder, known.record, known.code)


def unseal(folder: Path) -> None:
    """Take the manifest away from a folder that is written to again."""
    (folder / MANIFEST).unlink(missing_ok=True)


def read_manifest(folder: Path) -> Manifest | None:
    """None where the folder has none: it is not finished, or older than manifests. InputError where it is damaged."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(f"{folder / MANIFEST} cannot be read: {_reason(error)}") from error


def manifest_digest(folder: Path) -> str:
    """The hash that stands for everything in a finished folder; '' where it has no manifest."""
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return ""


def changed_since(folder: Path, manifest: Manifest) -> str:
    """Return one sentence on which file changed since the folder was finished; empty if none did."""
    there = set(covered(folder))
    for name, noted in manifest.files.items():
        if name not in there:
            return f"{name} is missing: the manifest has it with sha256 {noted[:12]}"
        if (found := file_digest(folder / name)) != noted:
            return (
                f"{name} was changed after it was finished: its sha256 is {found[:12]}, the manifest says {noted[:12]}"
            )
    for name in sorted(there - manifest.files.keys()):
        return f"{name} was added after it was finished: its sha256 is {file_digest(folder / name)[:12]}, the manifest has none"
    for name in manifest.files:
        if Path(name).name == MANIFEST and (inner := read_manifest((folder / name).parent)) is not None:
            part = Path(name).parent
            if what := changed_since(folder / part, inner):
                return f"{part.as_posix()}: {what}"
    return ""


def covered(folder: Path) -> Iterator[str]:
    """Return the names of the files that a manifest of ``folder`` lists, unsorted."""
    for path, folders, names in os.walk(folder):
        place = Path(path).relative_to(folder)
        if place.parts and MANIFEST in names:
            folders.clear()
            yield (place / MANIFEST).as_posix()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _FOLDERS_LEFT_OUT]
        for name in names:
            if not (name.startswith(".") or name.endswith(_LEFT_OUT) or name in _NAMES_LEFT_OUT):
                yield (place / name).as_posix()


def file_digest(file: Path) -> str:
    """The sha256 of a file; of a record without where MLflow has it."""
    try:
        with file.open("rb") as opened:
            if file.suffix != ".json":
                return hashlib.file_digest(opened, "sha256").hexdigest()
            content = opened.read()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    if f'"{_SENT}"'.encode() in content:
        try:
            value = json.loads(content)
        except ValueError:
            value = None  # no record: hashed as it is
        if isinstance(value, dict):
            value.pop(_SENT, None)
            content = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


@cache
def code_digest(patterns: tuple[str, ...]) -> str:
    """The hash of those of the package's own files that ``patterns`` name; '' for no pattern."""
    files = sorted({file for pattern in patterns for file in PACKAGE.glob(pattern)})
    parts = [
        f"{file.relative_to(PACKAGE).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else ""


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    return str(error)
