"""Carrying out a plan: item by item into the trash.

What is planned is asked again when it is done. For each item, in this order:

 1. the registry is held still, the cache's own locks and the exclusive leases are taken. From here on nobody fetches,
    opens or pins it;
 2. is it still what the plan says, needed by nobody, old enough, and led to by nothing that stays? If not, it stays;
 3. a line in the audit log. Crash: a line about something that did not happen, and nothing else;
 4. INTENT: the entry's record with every part and its place. Crash before it is whole: an entry without a record, which
    is removed. Crash after: a record of parts that are all at their places, which is forgotten;
 5. each part is renamed into the entry, what refers before what it refers to, and both folders are fsynced. Crash: what
    is still visible is whole, since nothing visible refers to what went; the record says where the rest lies, and it is
    brought back;
 6. DONE: the record says that all is in the trash. Crash before: brought back, as in 5. Crash after: the item is in the
    trash, as planned.

A part that several items share goes with the last of them. If that one stays, so does the part.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from reelbench.disk import audit, hub_links, identity, locks, recovery, reserve, trash
from reelbench.disk.beneath import Refused
from reelbench.disk.inventory import take
from reelbench.disk.journal import Record
from reelbench.disk.planning import Freed, Needs, Plan, Planned, stays
from reelbench.disk.policy import Policy, newest
from reelbench.disk.records import Inventory, Item, Root
from reelbench.disk.references import resolve
from reelbench.disk.registry import Registry
from reelbench.disk.trash import Trash
from reelbench.errors import UnavailableError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Situation:
    """How the present state is asked: as often as it is needed, and never remembered."""

    store: Path
    inventory: Callable[[], Inventory]
    references: Callable[[], Needs]
    roots: Callable[[], tuple[Root, ...]]

    @classmethod
    def of(cls, store: Path) -> Situation:
        return cls(
            store,
            lambda: take(Registry.load(store)),
            lambda: resolve(Registry.load(store)),
            lambda: recovery.roots_of(Registry.load(store)),
        )


@dataclass(frozen=True, slots=True)
class Stayed:
    """An item of the plan that did not go. ``failed``: the disk refused it, rather than somebody needing or using
    it."""

    item: str
    why: str
    failed: bool = False


@dataclass
class Applied:
    """What became of a plan. ``bytes`` are in the trash, ``purged`` are free."""

    plan: str
    gone: list[str] = field(default_factory=list)
    stayed: list[Stayed] = field(default_factory=list)
    bytes: int = 0
    purged: int = 0
    notes: list[str] = field(default_factory=list)
    """What start-up found broken off, and what was brought back since somebody came to need it."""


def apply(plan: Plan, situation: Situation, purge: bool = False, keep_s: float = recovery.KEEP_S) -> Applied:
    """Move what is planned into the trash; with ``purge``, delete it for good at once.

    Trash older than ``keep_s`` is deleted for good. Raises UnresolvedRoot (nothing happens) where it cannot be told
    what is needed, UsageError for a plan of another store, UnavailableError while another prune is at work, OutputError
    where the log cannot be written.
    """
    if plan.store != situation.store:
        raise UsageError(f"the plan is for the store {plan.store}, not {situation.store}", "make a plan for this store")
    done = Applied(plan.id)
    with locks.maintenance(situation.store):
        situation.references()  # before anything is touched: one that cannot be resolved ends it here
        roots = situation.roots()
        done.notes += recovery.recover(situation.store, roots)
        inventory = situation.inventory()
        for root, group in groupby(sorted(plan.items, key=_root_of), key=lambda planned: planned.item.root):
            _in_root(root, list(group), plan, _Now(situation, inventory, plan.policy), done)
        if purge:
            done.purged += recovery.purge(situation.store, roots, plan=plan.id).bytes
        done.purged += recovery.purge(situation.store, roots, older_than_s=keep_s).bytes
    return done


class _Now:
    """The present state of what is planned."""

    def __init__(self, situation: Situation, inventory: Inventory, policy: Policy) -> None:
        self.situation = situation
        self.policy = policy
        self.items = {item.id: item for item in inventory.items}
        self.roots = inventory.roots
        self.broken = {problem.root: f"{problem.path}: {problem.reason}" for problem in inventory.problems}
        self.young = newest(inventory.items, policy.keep_last) if policy.keep_last is not None else set()
        self.freed = Freed(inventory.items)

    def require(self, planned: Planned) -> Item:
        """The item as it is now. Refused where it must stay, or is not what was planned."""
        item = self.items.get(planned.item.id)
        if item is None:
            raise Refused("it is not there any more")
        if item.root != planned.item.root:
            raise Refused(f"{item.root.path} is another folder than when the plan was made")
        if not identity.same(planned.item.parts, item.parts):
            raise Refused("it changed since the plan was made")
        if why := stays(item, self.situation.references(), self.policy, self.broken, self.young, time.time_ns()):
            raise Refused(why)
        return item


def _in_root(root: Root, group: list[Planned], plan: Plan, now: _Now, done: Applied) -> None:
    store = now.situation.store
    try:
        with trash.opened(root, create=True) as bin_:
            assert bin_ is not None  # since it was to be made
            reserve.keep(bin_.bin)
            for planned in group:
                with _noting(planned.item.id, done):
                    done.bytes += _move(planned, plan, now, bin_)
                    done.gone.append(planned.item.id)
            done.notes += recovery.heal(store, bin_)
            reserve.keep(bin_.bin)
    except (Refused, UnavailableError, OSError) as error:
        handled = {*done.gone, *(stayed.item for stayed in done.stayed)}
        done.stayed += [
            Stayed(planned.item.id, _reason(error), True) for planned in group if planned.item.id not in handled
        ]


def _move(planned: Planned, plan: Plan, now: _Now, bin_: Trash) -> int:
    """Steps 1 to 6 of the module's text for one item; the bytes that went."""
    store, root = now.situation.store, bin_.root
    paths = [part.path for part in planned.item.parts]
    with (
        locks.settled(store),
        locks.not_fetched(root, bin_.top, paths, planned.item.names),
        locks.unused(root, paths),
    ):
        item = now.require(planned)
        goes, freed = now.freed.last(item), now.freed.by(item)
        identity.require_unchanged(item, now.roots)
        if root.cache == "hub" and (link := hub_links.users(root.path, [item.parts[index].path for index in goes])):
            raise Refused(f"{link} leads to it since the plan was made")
        audit.note(store, "trash", root, plan.id, item.id, freed, planned.why)
        entry = None
        try:
            entry = bin_.begin(Record.of(plan.id, item, planned.why, freed, goes))
            for index in range(len(goes)):
                entry.put(index)
            entry.done()
        except (OSError, Refused) as error:
            if entry is not None:
                entry.give_back()
            audit.note(store, "refused", root, plan.id, item.id, freed, _reason(error))
            raise
        return now.freed.drop(item)


@contextmanager
def _noting(item: str, done: Applied) -> Iterator[None]:
    """An item that cannot go stays; the others go on."""
    try:
        yield
    except Refused as refused:
        done.stayed.append(Stayed(item, str(refused)))
    except OSError as error:
        done.stayed.append(Stayed(item, _reason(error), failed=True))


def _root_of(planned: Planned) -> tuple[str, str, int, int]:
    root = planned.item.root
    return root.cache, str(root.path), root.device, root.inode


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename!r}' if error.filename else ''}"
    return str(error)
