"""Whether a part is still what it was: the same inode with the same bytes, nothing in it newer, and no mount in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from reelbench.disk.beneath import Refused
from reelbench.disk.records import Item, Part, Root
from reelbench.disk.walk import Walk


def same(before: Sequence[Part], after: Sequence[Part]) -> bool:
    """Whether two looks at an item saw the same parts in the same order."""
    return [_key(part) for part in before] == [_key(part) for part in after]


def require_unchanged(item: Item, roots: Iterable[Root]) -> None:
    """Look at every part once more. Refused where one is another than in ``item``, or cannot be read whole."""
    walk = Walk(item.root, [(root.device, root.inode) for root in roots])
    for part in item.parts:
        entry = _Entry(walk.path(part.path))
        found = walk.part(part.path, cast("os.DirEntry[str]", entry))
        if walk.problems:
            raise Refused(f"{walk.problems[0].path}: {walk.problems[0].reason}")
        if found is None or not same([part], [found[0]]):
            raise Refused(f"{part.path} changed")
        if part.path in walk.nested:
            raise Refused(f"{walk.nested[part.path]} lies in it, which is looked after on its own")


class _Entry:
    """What `Walk.part` asks of a directory entry, for a path that is known."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = path.rpartition("/")[2]

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return Path(self.path).stat(follow_symlinks=follow_symlinks)


def _key(part: Part) -> tuple[object, ...]:
    return part.path, part.kind, part.device, part.inode, part.bytes, part.modified_ns, frozenset(part.linked)
