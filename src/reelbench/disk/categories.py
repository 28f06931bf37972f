"""An inventory by cache: what is needed, what could go, what stays because it cannot be had again, what nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from reelbench.disk.inventory import freed, occupied
from reelbench.disk.records import Inventory, Item, Reason

Standing = Literal["in use", "reclaimable", "kept", "unknown", "unresolved"]
STANDINGS: tuple[Standing, ...] = ("in use", "reclaimable", "kept", "unknown", "unresolved")


class Needs(Protocol):
    """What is asked of `reelbench.disk.references`."""

    def reasons(self, item: Item) -> tuple[Reason, ...]: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """An item and how it stands, in one word and in a sentence ('' where there is nothing to say)."""

    item: Item
    standing: Standing
    why: str


@dataclass(frozen=True, slots=True)
class Category:
    """One cache, in bytes on the disk. ``shared`` would not go free with the reclaimable items, because others have it too; None where
    nobody can say what is needed."""

    cache: str
    roots: tuple[Path, ...]
    items: int
    total: int
    in_use: int
    reclaimable: int | None
    shared: int | None
    kept: int
    unknown: int


def judge(inventory: Inventory, references: Needs | None) -> list[Judged]:
    """How each item stands. Without references (they could not be resolved) nothing is called reclaimable."""
    blocked = {problem.root for problem in inventory.problems}
    return [_judge(item, references, item.root in blocked) for item in inventory.items]


def _judge(item: Item, references: Needs | None, blocked: bool) -> Judged:
    if item.kind == "unknown":
        return Judged(item, "unknown", item.note or "no layout knows it")
    if item.kind == "housekeeping":
        return Judged(item, "kept", "")
    reasons = () if references is None else references.reasons(item)
    for reason in reasons:
        if reason.kind != "source":
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            chain = [link for link in reason.chain if link not in item.names] or list(reason.chain)
            return Judged(item, "in use", " → ".join(chain) + more)
    if item.busy:
        return Judged(item, "in use", item.busy)
    if item.class_ == "irreplaceable" or reasons:
        return Judged(item, "kept", item.note or "it cannot be had again")
    if blocked:
        return Judged(item, "kept", "something beside it could not be read")
    if references is None:
        return Judged(item, "unresolved", item.note)
    return Judged(item, "reclaimable", f"nothing needs it{': ' + item.note if item.note else ''}")


def categories(inventory: Inventory, judged: Sequence[Judged]) -> list[Category]:
    """One row a cache that has a root, the largest first."""
    by_cache: dict[str, list[Judged]] = {root.cache: [] for root in inventory.roots}
    for one in judged:
        by_cache[one.item.root.cache].append(one)
    rows = [_category(cache, found, inventory) for cache, found in by_cache.items()]
    return sorted(rows, key=lambda row: (-row.total, row.cache))


def told(rows: Iterable[Category]) -> list[Category]:
    """The rows that have anything to tell; a workspace in which a cache has nothing is none."""
    return [row for row in rows if row.items or row.total]


def whole(inventory: Inventory, judged: Sequence[Judged]) -> Category:
    """All caches together; what two of them share counts once."""
    return _category("all", judged, inventory)


def _category(cache: str, judged: Sequence[Judged], inventory: Inventory) -> Category:
    groups: Mapping[Standing, list[Item]] = {name: [] for name in STANDINGS}
    for one in judged:
        groups[one.standing].append(one.item)
    roots = dict.fromkeys(root.path for root in inventory.roots if cache in (root.cache, "all"))
    going, unresolved = groups["reclaimable"], bool(groups["unresolved"])
    frees = freed(going, inventory)
    return Category(
        cache=cache,
        roots=tuple(roots),
        items=sum(1 for one in judged if one.item.kind != "housekeeping"),
        total=occupied(one.item for one in judged),
        in_use=occupied(groups["in use"]),
        reclaimable=None if unresolved else frees,
        shared=None if unresolved else occupied(going) - frees,
        kept=occupied(groups["kept"]),
        unknown=occupied(groups["unknown"]),
    )


def largest(judged: Iterable[Judged], count: int) -> list[Judged]:
    """The largest items, largest first."""
    return sorted(judged, key=lambda one: (-one.item.bytes, one.item.id))[:count]
