"""Folders of runs: what was measured. Nothing can make it again, so nothing here goes unless the user asks for runs to go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.records import Item, Part
from reelbench.disk.walk import Walk
from reelbench.owners import claimed, status_of

_RECORDS = (
    "run.json", "system.json", "load.json", "comparison.json", "system_comparison.json",
    "gate.json", "calibration.json", "baseline.json",
)  # fmt: skip
_GROUPS = frozenset({"system", "load", "comparisons", "system_comparisons", "gates", "calibrations", "reference"})
_STATUS = re.compile(r'^ "status": "(\w+)"', re.MULTILINE)
_HEAD = 1 << 16


def places(around: Surroundings) -> Iterable[Place]:
    for folder in around.runs_dirs:
        yield Place(folder, several=True)


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    for entry in walk.entries():
        if entry.name in _GROUPS and entry.is_dir(follow_symlinks=False):
            for inner in walk.entries(entry.name):
                yield from _run(walk, around, inner, f"{entry.name}/{inner.name}")
        else:
            yield from _run(walk, around, entry, entry.name)


def _run(walk: Walk, around: Surroundings, entry: os.DirEntry[str], path: str) -> Iterator[Item]:
    alive = claimed(walk.path(path))
    record = _record(walk, path) if entry.is_dir(follow_symlinks=False) else None
    if record is None and not (path.startswith("reference/") and entry.is_dir(follow_symlinks=False)):
        yield from unknown(walk, [entry], path.rpartition("/")[0])
        return
    if (taken := walk.part(path, entry)) is None:
        return
    part, logical = taken
    yield item(
        walk,
        path,
        [part],
        "run",
        "regenerable" if path.startswith("reference/") else "irreplaceable",
        names=(f"run:{entry.name}",),
        logical=logical,
        busy=_busy(walk, around, part),
        note="" if record in (None, "done") else status_of(f"{record}", alive),
    )


def _record(walk: Walk, path: str) -> str | None:
    """The status that the folder's record gives; '' where it gives none, None where there is no record."""
    for name in _RECORDS:
        try:
            with open(walk.path(f"{path}/{name}"), encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 (a path of any bytes)
                found = _STATUS.search(stream.read(_HEAD))
        except OSError:
            continue  # not this kind of run; what cannot be read at all is the walk's to report
        return found[1] if found else ""
    return None


def _busy(walk: Walk, around: Surroundings, part: Part) -> str:
    """A run holds the lock in its folder until its process ends."""
    if not around.locked:
        return ""
    try:
        lock = os.lstat(walk.path(f"{part.path}/.lock"))
    except OSError:
        return in_use(around.locked, [part])
    return "it is running" if (lock.st_dev, lock.st_ino) in around.locked else in_use(around.locked, [part])
