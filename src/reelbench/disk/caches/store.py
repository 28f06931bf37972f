"""Our model store: the catalog's artifacts, unfinished downloads, and what somebody else put there. What was derived is `derived`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unfinished, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk

_OWN = frozenset({".locks", "README.md", ".gitignore", ".gitattributes"})
_PARTIAL, _QUARANTINE = ".partial", ".quarantine"


def places(around: Surroundings) -> Iterable[Place]:
    yield Place(around.store)


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    folders = {folder for name in around.catalog.artifacts for folder in _folders(name)}
    waiting = [""]
    while waiting:
        here = waiting.pop()
        for entry in walk.entries(here):
            name = f"{here}/{entry.name}" if here else entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if name in folders and is_folder:
                waiting.append(name)
            elif not here and entry.name in (_PARTIAL, _QUARANTINE) and is_folder:
                yield from _set_aside(walk, around, entry.name)
            elif not here and (entry.name in _OWN or (entry.name.startswith(".") and not is_folder)):
                walk.keep(name, entry)
            else:
                yield from _file(walk, around, here, entry, name)


def _file(walk: Walk, around: Surroundings, folder: str, entry: os.DirEntry[str], name: str) -> Iterator[Item]:
    artifact = around.catalog.artifacts.get(name)
    if artifact is None:
        half = entry.name.startswith(".") and (entry.name.endswith(".tmp") or ".part" in entry.name)
        yield from _download(walk, around, entry, name) if half else unknown(walk, [entry], folder)
        return
    taken = walk.part(name, entry)
    if taken is None:
        return
    part, logical = taken
    note = ""
    if part.kind != "file":
        note = "a link; what it leads to is not looked at" if part.kind == "link" else "a folder where a file should be"
    elif logical != artifact.bytes:
        note = f"damaged: {logical} bytes instead of {artifact.bytes}"
    busy = in_use(around.locked, [part])
    yield item(
        walk,
        name,
        [part],
        "weights",
        artifact.class_,
        names=(f"weights:{name}",),
        logical=logical,
        busy=busy,
        note=note,
    )


def _download(walk: Walk, around: Surroundings, entry: os.DirEntry[str], name: str) -> Iterator[Item]:
    if (taken := walk.part(name, entry)) is not None:
        part, logical = taken
        busy = in_use(around.locked, [part])
        yield item(
            walk, name, [part], "download", "refetchable", logical=logical, busy=busy, note="was not placed to its end"
        )


def _set_aside(walk: Walk, around: Surroundings, folder: str) -> Iterator[Item]:
    """Unfinished downloads, one item a family; and what was found damaged."""
    locked = _locked_families(walk, around) if folder == _PARTIAL else frozenset()
    for name, (part, logical) in walk.parts(folder).items():
        if folder == _QUARANTINE:
            yield item(
                walk,
                part.path,
                [part],
                "orphan",
                "refetchable",
                logical=logical,
                note="its hash was wrong when it was verified",
            )
        else:
            busy = "it is being downloaded" if name in locked else ""
            yield unfinished(walk, part, logical, busy)


def _locked_families(walk: Walk, around: Surroundings) -> frozenset[str]:
    counted = walk.layout
    locks = walk.parts(".locks")
    walk.layout = counted  # the whole folder is counted where it is met
    return frozenset(name.removesuffix(".lock") for name, (part, _) in locks.items() if in_use(around.locked, [part]))


def _folders(name: str) -> Iterator[str]:
    """The folders that lead to an artifact."""
    parts = name.split("/")[:-1]
    for end in range(1, len(parts) + 1):
        yield "/".join(parts[:end])
