"""The self-contained page of the disk: a treemap of every cache, who needs what, and what could go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reelbench.disk.categories import STANDINGS, Judged, largest, told
from reelbench.disk.seen import Seen
from reelbench.paths import write_text
from reelbench.report.render import render
from reelbench.report.treemap import Group, Leaf, treemap
from reelbench.report.wording import size

HEIGHT = 520
SHOWN = 200
"""Rows in the table of items."""
_SMALLEST = 0.002
"""Share of the map below which items of a cache that stand alike are drawn as one."""
LEVELS = {"in use": "finished", "reclaimable": "interrupted", "unknown": "failed"}


def write_disk_page(seen: Seen, target: Path) -> Path:
    """Write the page and return where it is. OutputError: it cannot be written."""
    items = [one for one in seen.judged if one.item.kind != "housekeeping"]
    html = render(
        "disk.html.j2",
        title="What lies on the disk",
        seen=seen,
        total=seen.total,
        caches=told(seen.categories),
        height=HEIGHT,
        groups=_map(seen),
        kinds=[name for name in STANDINGS if any(one.standing == name for one in seen.judged)],
        levels=LEVELS,
        rows=largest(items, SHOWN),
        rest=max(0, len(items) - SHOWN),
        problems=[
            (f"{one.root.path}/{one.path}".rstrip("/"), one.reason, one.root.cache) for one in seen.inventory.problems
        ],
    )
    write_text(target, html)
    return target


def _map(seen: Seen) -> list[Group]:
    own = own_bytes(seen.judged)
    total = sum(own) or 1
    groups = []
    for row in seen.categories:
        mine = [(one, bytes_) for one, bytes_ in zip(seen.judged, own, strict=True) if one.item.root.cache == row.cache]
        large = [_leaf(one, bytes_) for one, bytes_ in mine if bytes_ >= _SMALLEST * total]
        small = [(one, bytes_) for one, bytes_ in mine if bytes_ < _SMALLEST * total]
        for standing in STANDINGS:
            alike = [bytes_ for one, bytes_ in small if one.standing == standing]
            if alike:
                label = f"{len(alike)} smaller"
                large.append(Leaf(label, sum(alike), standing, f"{row.cache}: {label}, {standing}, {size(sum(alike))}"))
        groups.append((Leaf(f"{row.cache} {size(row.total)}", row.total, "", ""), large))
    return treemap(groups, HEIGHT)


def _leaf(one: Judged, bytes_: int) -> Leaf:
    item = one.item
    shared = f", of which {size(item.bytes - bytes_)} are drawn with what shares them" if item.bytes > bytes_ else ""
    why = f": {one.why}" if one.why else ""
    return Leaf(item.title, bytes_, one.standing, f"{item.title} · {size(item.bytes)}{shared} · {one.standing}{why}")


def own_bytes(judged: Sequence[Judged]) -> list[int]:
    """The bytes of each item, in the order given, each part and inode with one item only: with the first that is needed."""
    order = sorted(range(len(judged)), key=lambda at: (STANDINGS.index(judged[at].standing), at))
    parts: dict[str, set[str]] = {}
    inodes: set[tuple[int, int]] = set()
    found = [0] * len(judged)
    for at in order:
        item = judged[at].item
        if not item.parts:
            found[at] = item.bytes
        seen = parts.setdefault(str(item.root.path), set())
        for part in item.parts:
            if part.path in seen:
                continue
            seen.add(part.path)
            found[at] += part.bytes
            for one in part.linked:
                if (one.device, one.inode) not in inodes:
                    inodes.add((one.device, one.inode))
                    found[at] += one.bytes
    return found
