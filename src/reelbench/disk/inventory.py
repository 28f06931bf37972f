"""What lies on the disk: every cache's items, what deleting some of them would free, and what could not be read.

The file system is asked anew each time and nothing is written. A tool's folder that is not there is no root.
"""

from __future__ import annotations

import gc
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from reelbench.disk.caches import readers
from reelbench.disk.caches.base import Place, Registered, Surroundings, item
from reelbench.disk.records import Inventory, Item, Linked, Part, Problem, Root
from reelbench.disk.walk import TRASH, Identity, Walk
from reelbench.errors import UsageError
from reelbench.models.usage import Usage

_PATH: Callable[[Part], str] = attrgetter("path")
_BYTES: Callable[[Part], int] = attrgetter("bytes")
_LINKED: Callable[[Part], tuple[Linked, ...]] = attrgetter("linked")


def take(registry: Registered, caches: Collection[str] | None = None) -> Inventory:
    """Look into every cache, or into those named. UsageError for a cache that nobody knows; ConfigError for a broken catalog."""
    with _uncollected():
        return _take(registry, caches)


def _take(registry: Registered, caches: Collection[str] | None) -> Inventory:
    known = readers()
    if unknown := sorted(set(caches or ()) - known.keys()):
        raise UsageError(f"there is no cache '{unknown[0]}'", f"there are: {', '.join(known)}")
    around = Surroundings(registry)
    roots, problems = _roots(around)
    whole = {(root.device, root.inode) for root, place in roots if place.whole}
    items: list[Item] = []
    taken: list[Root] = []
    trashed: set[Identity] = set()
    for root, place in roots:
        if caches is not None and root.cache not in caches:
            continue
        walk = Walk(root, whole, f"{root.path}/" if place.several else "")
        found = list(known[root.cache].read(walk, around))
        if (root.device, root.inode) not in trashed:
            trashed.add((root.device, root.inode))
            found.extend(_trash(walk))
        if place.whole:
            found.append(
                replace(
                    item(walk, ".", [], "housekeeping", "irreplaceable", title="folders and locks"), bytes=walk.layout
                )
            )
        taken.append(root)
        items.extend(found)
        problems.extend(walk.problems)
    chosen = [problem for problem in problems if caches is None or problem.root.cache in caches]
    return Inventory(tuple(taken), tuple(_used(items, Usage(around.store).last())), tuple(chosen))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing here makes cycles, and the collector would look through 100,000 parts again and again while they are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def freed(items: Collection[Item], inventory: Inventory) -> int:
    """The bytes that deleting exactly these items frees: a part goes when all items that name it go, and the bytes of an inode when all
    of its names go.
    """
    chosen = {one.id for one in items}
    going: dict[str, dict[str, Part]] = {}
    for one in items:
        going.setdefault(str(one.root.path), {}).update(zip(map(_PATH, one.parts), one.parts, strict=True))
    for one in inventory.items:
        if one.id not in chosen and (here := going.get(str(one.root.path))):
            for part in one.parts:
                here.pop(part.path, None)
    return bytes_of(part for here in going.values() for part in here.values())


def bytes_of(parts: Iterable[Part]) -> int:
    """The bytes that deleting these parts frees, each given once. Of an inode with a name elsewhere nothing is freed."""
    parts = tuple(parts)
    here, linked = Counter[Identity](), dict[Identity, Linked]()
    for part in filter(_LINKED, parts):
        for one in part.linked:
            here[one.device, one.inode] += one.here
            linked[one.device, one.inode] = one
    return sum(map(_BYTES, parts)) + sum(one.bytes for inode, one in linked.items() if here[inode] >= one.names)


def occupied(items: Iterable[Item]) -> int:
    """The bytes on the disk of all these items together: what they share counts once."""
    total, found, linked = 0, dict[str, dict[str, Part]](), dict[Identity, int]()
    for one in items:
        total += one.bytes if not one.parts else 0
        found.setdefault(str(one.root.path), {}).update(zip(map(_PATH, one.parts), one.parts, strict=True))
    for here in found.values():
        total += sum(map(_BYTES, here.values()))
        for part in filter(_LINKED, here.values()):
            linked.update(((other.device, other.inode), other.bytes) for other in part.linked)
    return total + sum(linked.values())


def _roots(around: Surroundings) -> tuple[list[tuple[Root, Place]], list[Problem]]:
    """Every cache's folders that are there, each folder once."""
    roots: list[tuple[Root, Place]] = []
    problems: list[Problem] = []
    seen: set[tuple[str, Identity]] = set()
    for name, reader in readers().items():
        for place in reader.places(around):
            path = Path(os.path.realpath(place.path))
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                problems.append(Problem(Root(name, path, 0, 0), "", error.strerror or str(error)))
                continue
            if not stat.S_ISDIR(found.st_mode):
                problems.append(Problem(Root(name, path, found.st_dev, found.st_ino), "", "is no folder"))
                continue
            key = ("" if place.whole else name, (found.st_dev, found.st_ino))
            if key not in seen:
                seen.add(key)
                roots.append((Root(name, path, found.st_dev, found.st_ino), place))
    return roots, problems


def _used(items: list[Item], last: Mapping[str, float]) -> Iterable[Item]:
    """The items with the last use that ReelBench recorded under one of their names."""
    for one in items:
        times = [last[name] for name in one.names if name in last] if last else []
        yield replace(one, used_ns=round(max(times) * 1e9)) if times else one


def _trash(walk: Walk) -> Iterable[Item]:
    """What was pruned from this root and can still be brought back, one item a plan."""
    for entry in walk.trash():
        taken = walk.part(f"{TRASH}/{entry.name}", entry)
        if taken is not None:
            part, logical = taken
            yield item(
                walk,
                part.path,
                [part],
                "housekeeping",
                "irreplaceable",
                title=_trash_title(entry.name),
                logical=logical,
            )


def _trash_title(name: str) -> str:
    return "reserve for a full disk" if name.startswith(".") else f"trash of {name}"
