"""Check that the figures of a finished folder follow from what was measured.

`check` computes them again from samples, pairs and results, and holds every file against the manifest. It is asked by the reader of
all records (`record_folder.read_record_file`), so that no page, verdict, claim or table shows a figure that was edited.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isnan
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from reelbench.bench.manifest import MANIFEST, changed_since, code_digest, read_manifest
from reelbench.errors import InputError

NO_MANIFEST = "no manifest: this folder is older than manifests, or its manifest was removed"
_HINT = "measure it again, or put back the folder as it was when it was finished"
_TOLERANCE = 1e-9
"""Sums of floating-point numbers may differ in their last digits between versions of NumPy."""

Signature = tuple[tuple[str, int, int, int], ...]
_checked: dict[str, tuple[Signature, tuple[str, ...]]] = {}
"""What this process has checked already, with sizes, times and inodes of the files at that time."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as it is recorded, and as it is computed again. ``lasting``: its definition has not changed since the first version, so
    that it must agree whichever code recorded it; others must where the code that computes them is the same."""

    name: str
    recorded: object
    computed: object
    lasting: bool = False

    @property
    def agrees(self) -> bool:
        return _same(self.recorded, self.computed)

    @property
    def sentence(self) -> str:
        return f"{self.name} is recorded as {_word(self.recorded)}, but what was measured gives {_word(self.computed)}"


class Checked(BaseModel):
    """A record whose figures can be computed again from what lies beside it. ``CODE``: the package's files that compute them."""

    CODE: ClassVar[tuple[str, ...]] = ()

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        """Every figure that can be computed again. Raises InputError where a file that it rests on is damaged."""
        return ()


def check(folder: Path, record: Checked) -> tuple[str, ...]:
    """What a reader must know of a finished folder ('no manifest …'). InputError names the first figure that does not follow, with the
    recorded and the computed value, or the first file that was changed."""
    place, signature = os.path.realpath(folder), _signature(folder)
    known = _checked.get(place)
    if known is not None and known[0] == signature:
        return known[1]
    manifest = read_manifest(folder)
    same_code = manifest is not None and manifest.code == code_digest(type(record).CODE)
    remarks = [] if manifest is not None else [NO_MANIFEST]
    for figure in record.recomputed(folder):
        if figure.agrees:
            continue
        if figure.lasting or same_code:
            raise InputError(f"{folder} does not follow from what was measured: {figure.sentence}", _HINT)
        remarks.append(f"cannot be confirmed by this version of the code: {figure.sentence}")
    if manifest is not None and (changed := changed_since(folder, manifest)):
        raise InputError(f"{folder}: {changed}", _HINT)
    _checked[place] = signature, tuple(remarks)
    return tuple(remarks)


def differing(name: str, recorded: object, computed: object, *, lasting: bool = False) -> Iterator[Figure]:
    """The parts of two values in which they differ, each as a figure. What only one of two models or mappings knows is passed over
    where it is None or empty."""
    if isinstance(recorded, BaseModel):
        recorded = recorded.model_dump()
    if isinstance(computed, BaseModel):
        computed = computed.model_dump()
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        for key in sorted({*recorded, *computed}):
            yield from differing(
                f"{name}.{key}" if name else key, recorded.get(key), computed.get(key), lasting=lasting
            )
    elif _is_list(recorded) and _is_list(computed) and len(recorded) == len(computed):  # type: ignore[arg-type]
        for index, (one, other) in enumerate(zip(recorded, computed, strict=True)):  # type: ignore[call-overload]
            yield from differing(f"{name}[{index}]", one, other, lasting=lasting)
    elif not _same(recorded, computed) and not (_empty(recorded) and _empty(computed)):
        yield Figure(name, recorded, computed, lasting)


def _same(recorded: object, computed: object) -> bool:
    if _is_number(recorded) and _is_number(computed):
        one, other = float(recorded), float(computed)  # type: ignore[arg-type]
        return (isnan(one) and isnan(other)) or isclose(one, other, rel_tol=_TOLERANCE, abs_tol=1e-12)
    return recorded == computed


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _empty(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, Mapping | Sequence) and not value)


def _word(value: object) -> str:
    if _is_number(value):
        return f"{value:.6g}"
    if _is_list(value) or isinstance(value, Mapping):
        return f"{len(value)} values"  # type: ignore[arg-type]
    return "nothing" if value is None else f"'{value}'"


def _signature(folder: Path) -> Signature:
    """Tells whether any file of the folder was written since it was checked."""
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name == MANIFEST or not name.startswith("."):
                entry = os.stat(os.path.join(path, name), follow_symlinks=False)  # noqa: PTH116, PTH118
                found.append((os.path.join(path, name), entry.st_size, entry.st_mtime_ns, entry.st_ino))  # noqa: PTH118
    return tuple(sorted(found))
