"""What the readers of caches share: the surroundings they look around in, and how an item is put together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from reelbench import paths
from reelbench.disk.held import held
from reelbench.disk.records import Item, ItemKind, Part
from reelbench.disk.walk import Walk
from reelbench.models.catalog import Catalog, Class


class Workspace(Protocol):
    @property
    def path(self) -> Path: ...
    @property
    def conf(self) -> Path: ...
    @property
    def distrust(self) -> str: ...


class Registered(Protocol):
    """What the inventory needs of `reelbench.disk.registry`; ``root`` is the model store."""

    @property
    def root(self) -> Path: ...
    @property
    def workspaces(self) -> Sequence[Workspace]: ...
    @property
    def runs_dirs(self) -> Sequence[Path]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that a cache lies in. ``whole``: all of it is the cache's; else only what the reader picks, as in a workspace.
    ``several``: the cache may lie in more than one, so that an item's id needs the whole path."""

    path: Path
    whole: bool = True
    several: bool = False


class Surroundings:
    """Where caches are looked for: the registry's folders, and the environment that each tool obeys."""

    def __init__(self, registry: Registered) -> None:
        self.store = registry.root
        self.workspaces = tuple(dict.fromkeys(workspace.path for workspace in registry.workspaces))
        self.runs_dirs = tuple(dict.fromkeys(registry.runs_dirs))
        # A catalog says what can be had again, and is then deleted more easily: only one that is trusted may say so.
        self._configurations = [workspace.conf for workspace in registry.workspaces if not workspace.distrust]

    def setting(self, *names: str) -> Path | None:
        """The first of these environment variables that is set and not empty, as a path; ``~`` and ``$NAME`` are filled in."""
        for name in names:
            if value := os.environ.get(name):
                return _expanded(os.path.expandvars(value))
        return None

    @property
    def home(self) -> Path:
        return _expanded("~")

    @property
    def cache_home(self) -> Path:
        return self.setting("XDG_CACHE_HOME") or self.home / ".cache"

    @cached_property
    def catalog(self) -> Catalog:
        """The shipped catalog and those of the workspaces. Raises ConfigError where one of them is broken."""
        shipped = Catalog.load()
        families = dict(shipped.families)
        for conf in self._configurations:
            if (conf / "weights").is_dir() and not conf.samefile(paths.conf_dir()):
                families |= Catalog.load(conf).families
        return Catalog(families.values()) if len(families) > len(shipped.families) else shipped

    @cached_property
    def known_hashes(self) -> dict[str, str]:
        """The catalog's ids by sha256."""
        return {artifact.sha256: artifact.id for artifact in self.catalog.artifacts.values()}

    @cached_property
    def locked(self) -> frozenset[tuple[int, int]]:
        return held()


def _expanded(path: str) -> Path:
    """With ``~`` filled in where there is such a user; `Path.expanduser` would fail where there is none."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def item(
    walk: Walk,
    name: str,
    parts: Iterable[Part],
    kind: ItemKind,
    class_: Class,
    *,
    title: str = "",
    names: tuple[str, ...] = (),
    logical: int = 0,
    busy: str = "",
    note: str = "",
) -> Item:
    """An item of the root that ``walk`` reads; its sizes are those of its parts, each inode once."""
    parts = tuple(parts)
    total = modified = 0
    linked: dict[tuple[int, int], int] = {}
    for part in parts:
        total += part.bytes
        if part.modified_ns > modified:
            modified = part.modified_ns
        if part.linked:
            linked.update(((one.device, one.inode), one.bytes) for one in part.linked)
    if walk.nested and (inner := [walk.nested[part.path] for part in parts if part.path in walk.nested]):
        busy = busy or f"{inner[0]} lies in it, which is looked after on its own"
    return Item(
        id=f"{walk.root.cache}:{walk.prefix}{name}",
        root=walk.root,
        title=title or name,
        kind=kind,
        class_=class_,
        parts=parts,
        names=names,
        bytes=total + sum(linked.values()),
        logical_bytes=logical,
        modified_ns=modified,
        busy=busy,
        note=note,
    )


def unfinished(walk: Walk, part: Part, logical: int, busy: str) -> Item:
    """A download that was broken off, or is under way where ``busy`` says so."""
    return item(
        walk, part.path, [part], "download", "refetchable", logical=logical, busy=busy, note="an unfinished download"
    )


def unknown(walk: Walk, entries: Iterable[os.DirEntry[str]], relative: str = "") -> Iterable[Item]:
    """What no layout knows, one item for each entry of a folder: shown, and never deleted by itself."""
    for entry in entries:
        if (taken := walk.part(f"{relative}/{entry.name}" if relative else entry.name, entry)) is not None:
            yield item(walk, taken[0].path, [taken[0]], "unknown", "irreplaceable", logical=taken[1])


def in_use(locked: frozenset[tuple[int, int]], parts: Iterable[Part]) -> str:
    """Why these parts cannot go now: a live process holds a lock on one of them."""
    if locked:
        inodes = {inode for _, inode in locked}  # compared first: there may be 100,000 parts, and hardly a lock
        if any((part.device, part.inode) in locked for part in parts if part.inode in inodes):
            return "in use by a live process"
    return ""
