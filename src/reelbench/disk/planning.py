"""What would go, and why; what stays, and why. Looks at an inventory and at references, touches nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from reelbench.disk.policy import Policy, age, last_use_ns, newest
from reelbench.disk.records import Inventory, Item, Reason, Root
from reelbench.disk.walk import Identity
from reelbench.errors import UsageError


class Needs(Protocol):
    """What the planner asks of `reelbench.disk.references`."""

    def reasons(self, item: Item) -> tuple[Reason, ...]: ...

    def mentioned(self, item: Item) -> tuple[Reason, ...]: ...


@dataclass(frozen=True, slots=True)
class Planned:
    """An item that goes. ``frees``: the bytes that it frees after all items before it in the plan are gone."""

    item: Item
    why: str
    frees: int


@dataclass(frozen=True, slots=True)
class Kept:
    """An item that stays, its bytes on the disk, and why."""

    item: str
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    id: str
    store: Path
    policy: Policy
    items: tuple[Planned, ...]
    kept: tuple[Kept, ...] = ()

    @property
    def bytes(self) -> int:
        """What it frees as a whole; less goes free where an item must stay that shares something."""
        return sum(planned.frees for planned in self.items)


def make(
    inventory: Inventory,
    references: Needs,
    policy: Policy,
    store: Path,
    free: Callable[[Path], int],
    now_ns: int | None = None,
) -> Plan:
    """The plan for this policy. ``free`` gives the free bytes of a path's file system. UsageError where ``only`` names
    nothing."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    _refuse_unknown(policy, inventory.items)
    kept: list[Kept] = []
    candidates: list[Item] = []
    broken = {problem.root: f"{problem.root.path}/{problem.path}: {problem.reason}" for problem in inventory.problems}
    young = newest(inventory.items, policy.keep_last) if policy.keep_last is not None else set()
    for item in inventory.items:
        if why := stays(item, references, policy, broken, young, now_ns):
            kept.append(Kept(item.id, item.bytes, why))
        elif policy.selects(item):
            candidates.append(item)
        else:
            kept.append(Kept(item.id, item.bytes, "not selected"))
    candidates.sort(key=lambda item: (last_use_ns(item), item.id))
    chosen = _enough(candidates, inventory, policy, free)
    ids = {planned.id for planned, _ in chosen}
    kept += [Kept(item.id, item.bytes, _limit(policy)) for item in candidates if item.id not in ids]
    items = tuple(Planned(item, _why(item, references, now_ns), frees) for item, frees in chosen)
    stamp = datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y%m%d-%H%M%S")
    return Plan(f"{stamp}-{token_hex(4)}", store, policy, items, tuple(kept))


def stays(item: Item, references: Needs, policy: Policy, broken: dict[Root, str], young: set[str], now_ns: int) -> str:
    """Why an item cannot go; '' where it may."""
    if item.root in broken:
        return f"its cache could not be read whole: {broken[item.root]}"
    if reasons := references.reasons(item):
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return "needed: " + " → ".join(reasons[0].chain) + more
    if why := policy.may(item):
        return why
    if not item.parts:
        return "it has no files of its own"
    if item.busy:
        return item.busy
    idle_s = (now_ns - last_use_ns(item)) / 1e9
    if idle_s < policy.grace_s:  # a time in the future counts as now: never older than it says
        return "changed or used within the grace period"
    if policy.older_than_s is not None and idle_s < policy.older_than_s:
        return "not old enough"
    if item.id in young:
        return f"among the newest {policy.keep_last}"
    return ""


def _why(item: Item, references: Needs, now_ns: int) -> str:
    """Why it goes: who names it without needing it is said, too."""
    off = references.mentioned(item)
    more = f" (and {len(off) - 1} more)" if len(off) > 1 else ""
    named = f" (switched off: {' → '.join(off[0].chain)}{more})" if off else ""
    return f"nobody needs it{named}; unused for {age(item, now_ns)}"


class Freed:
    """Counts what deleting items one after the other frees: a part goes with the last item that names it, the bytes of
    an inode with its last name."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._named = Counter((one.root.path, part.path) for one in items for part in one.parts)
        self._linked: dict[Identity, int] = {}

    def last(self, item: Item) -> tuple[int, ...]:
        """The indices of its parts that no other item names which is still there."""
        return tuple(index for index, part in enumerate(item.parts) if self._named[item.root.path, part.path] == 1)

    def by(self, item: Item) -> int:
        """The bytes that deleting it would free now."""
        return self._count(item)[0]

    def drop(self, item: Item) -> int:
        """It is deleted; the bytes that this frees."""
        freed, linked = self._count(item)
        self._linked.update(linked)
        self._named.subtract((item.root.path, part.path) for part in item.parts)
        return freed

    def _count(self, item: Item) -> tuple[int, dict[Identity, int]]:
        freed, linked = 0, dict[Identity, int]()
        for part in (item.parts[index] for index in self.last(item)):
            freed += part.bytes
            for one in part.linked:
                inode = (one.device, one.inode)
                linked[inode] = linked.get(inode, self._linked.get(inode, one.names)) - one.here
                if linked[inode] == 0:
                    freed += one.bytes
        return freed, linked


def _enough(
    candidates: Sequence[Item], inventory: Inventory, policy: Policy, free: Callable[[Path], int]
) -> list[tuple[Item, int]]:
    """The candidates in order until every limit is met, each with what it frees."""
    freed = Freed(inventory.items)
    if policy.least_recently_used is not None:
        candidates = candidates[: policy.least_recently_used]
    over = _over_budget(inventory, policy)
    lacking = _lacking(inventory, policy, free)
    chosen: list[tuple[Item, int]] = []
    for item in candidates:
        device = item.root.device
        wanted = policy.budget is None and policy.until_free is None
        if not (wanted or over > 0 or lacking.get(device, 0) > 0):
            continue
        frees = freed.drop(item)
        over -= frees
        lacking[device] = lacking.get(device, 0) - frees
        chosen.append((item, frees))
    return chosen


def _over_budget(inventory: Inventory, policy: Policy) -> int:
    """Bytes of the kinds in question beyond the budget."""
    if policy.budget is None:
        return 0
    everything = [item for item in inventory.items if item.kind in policy.kinds]
    counted = Freed(everything)
    return sum(counted.drop(item) for item in everything) - policy.budget


def _lacking(inventory: Inventory, policy: Policy, free: Callable[[Path], int]) -> dict[int, int]:
    """Bytes that each file system lacks to have as many free as is asked."""
    if policy.until_free is None:
        return {}
    return {root.device: policy.until_free - free(root.path) for root in inventory.roots}


def _limit(policy: Policy) -> str:
    return f"enough went without it ({policy})"


def _refuse_unknown(policy: Policy, items: Iterable[Item]) -> None:
    if not policy.only:
        return
    known = {name for item in items for name in (item.id, *item.names)}
    if unknown := [name for name in policy.only if name not in known]:
        raise UsageError(
            f"'{unknown[0]}' is nothing that is there", "'reelbench disk --json' shows every item and its names"
        )
