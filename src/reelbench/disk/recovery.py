"""What is done about the trash beyond filling it: mending what a crash broke off, bringing back, deleting for good.

Everything here may itself be broken off at any instruction and is then done to its end by the next call.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reelbench.disk import audit, hub_links, locks, reserve, trash
from reelbench.disk.beneath import Refused
from reelbench.disk.caches import readers
from reelbench.disk.caches.base import Registered, Surroundings
from reelbench.disk.policy import DAY_S
from reelbench.disk.records import Root
from reelbench.disk.trash import Entry, Trash
from reelbench.errors import UsageError

KEEP_S: Final = 7 * DAY_S
"""How long the trash is kept unless the user says otherwise."""


@dataclass
class Handled:
    """What became of entries of the trash. ``left``: (item, why it, or a part of it, stays in the trash)."""

    items: list[str] = field(default_factory=list)
    bytes: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    """(item, what it lacks) of what is back at its place, but has links that lead to nothing."""


def roots_of(registry: Registered) -> tuple[Root, ...]:
    """The roots that may have a trash: where each cache may lie, and what the audit log remembers (a hint: a cache that
    the environment no longer names). Nothing is walked, and no catalog is needed."""
    around = Surroundings(registry)
    places = [(name, place.path) for name, reader in readers().items() for place in reader.places(around)]
    logged = [(str(line["cache"]), Path(line["root"])) for line in audit.lines(registry.root) if line["root"]]
    found: dict[tuple[int, int], Root] = {}
    for cache, path in (*places, *dict.fromkeys(logged)):
        root = _root(cache, path)
        if root is not None:
            found.setdefault((root.device, root.inode), root)
    return tuple(found.values())


def _root(cache: str, path: Path) -> Root | None:
    """The root that lies at a path now; None where there is no folder."""
    try:
        path = path.resolve()
        found = path.stat()
    except (OSError, RuntimeError):  # a loop of links
        return None
    return Root(cache, path, found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def recover(store: Path, roots: Iterable[Root]) -> list[str]:
    """Finish what a crash broke off: a move into the trash or back is undone, a deletion is ended. Says what it did."""
    notes: list[str] = []
    for root in roots:
        with _bin(root, notes) as bin_:
            if bin_ is not None:
                for entry in bin_.entries():
                    notes += _mend(store, entry)
                notes += heal(store, bin_)
                reserve.keep(bin_.bin)
    return notes


def heal(store: Path, bin_: Trash) -> list[str]:
    """Bring back what a download came to lead to in the moment in which it went.

    huggingface_hub looks whether a blob is there before it waits for the blob's lock, and links to it afterwards
    without another look.
    """
    if bin_.root.cache != "hub":
        return []
    gone = [entry for entry in bin_.entries() if entry.record is not None and entry.record.state == "gone"]
    wanted = hub_links.dangling(bin_.root.path, (part.path for entry in gone for part in entry.known().parts))
    back: list[Entry] = []
    for entry in reversed(gone):  # the oldest first: what it shares with others went with a later one
        if wanted & {part.path for part in entry.known().parts}:
            wanted.update(entry.known().needs)
            back.append(entry)
    return [_back(store, entry, "a download came to lead to it")[0] for entry in reversed(back)]


def undo(store: Path, roots: Iterable[Root], plan: str | None = None) -> Handled:
    """Bring back all items of a plan, or of the last one that has any in the trash; the last that went comes first.

    UsageError where nothing of the plan is there.
    """
    done, notes = Handled(), list[str]()
    with locks.maintenance(store):
        wanted = plan or next((entry.known().plan for entry in entries(roots) if entry.record), "")
        for root in roots:
            with _bin(root, notes) as bin_:
                for entry in bin_.entries() if bin_ is not None else ():
                    if (record := entry.record) is None or record.plan != wanted:
                        continue
                    note, left = _back(store, entry, "undo")
                    if left:
                        done.left.append((record.item, note))
                    else:
                        done.items.append(record.item)
                        done.bytes += record.bytes
                        if lacks := _lacks(entry):
                            done.missing.append((record.item, lacks))
        done.left += [("", note) for note in notes]
    if plan is not None and not done.items and not done.left:
        raise UsageError(f"nothing of plan {plan} is in the trash", "'reelbench models trash' shows what is")
    return done


def purge(store: Path, roots: Iterable[Root], plan: str | None = None, older_than_s: float = 0.0) -> Handled:
    """Delete for good what is in the trash: of one plan, or of all, and only what went at least so long ago.

    The caller holds `locks.maintenance`.
    """
    done, notes = Handled(), list[str]()
    for root in roots:
        with _bin(root, notes) as bin_:
            for entry in bin_.entries() if bin_ is not None else ():
                if (record := entry.record) is None or plan not in (None, record.plan):
                    continue
                if record.state != "gone" or time.time() - record.moved_s < older_than_s:
                    continue
                if why := _purged(store, entry):
                    done.left.append((record.item, why))
                else:
                    done.items.append(record.item)
                    done.bytes += record.bytes
    done.left += [("", note) for note in notes]
    return done


def entries(roots: Iterable[Root]) -> list[Entry]:
    """What lies in the trash of these roots, the newest first. Only to look at: the trash is closed again."""
    found: list[Entry] = []
    for root in roots:
        with _bin(root, []) as bin_:
            found += bin_.entries() if bin_ is not None else []
    return sorted(found, key=lambda entry: entry.record.moved_s if entry.record else 0.0, reverse=True)


def _mend(store: Path, entry: Entry) -> list[str]:
    """Do the rest of what was broken off."""
    record = entry.record
    if record is None:
        return [f"{entry.trash.root.path}: trash {entry.path}: {entry.problem}; it is left alone"]
    if record.state == "purging":
        why = _purged(store, entry)
        return [f"{record.item}: its deletion was broken off and {f'still is: {why}' if why else 'is done now'}"]
    if record.state in ("going", "returning"):
        return [_back(store, entry, "a prune or undo was broken off")[0]]
    return []


def _purged(store: Path, entry: Entry) -> str:
    """Delete one entry for good; why that could not be done to its end, or ''."""
    record = entry.known()
    audit.note(store, "purge", entry.trash.root, record.plan, record.item, record.bytes, record.why)
    try:
        entry.purge()
    except (Refused, OSError) as error:
        return str(error)
    return ""


def _back(store: Path, entry: Entry, why: str) -> tuple[str, bool]:
    """Bring one entry back under the cache's own locks; what happened, and whether anything stays in the trash."""
    record, bin_ = entry.known(), entry.trash
    try:
        paths = [*(part.path for part in record.parts), *record.needs]
        with locks.not_fetched(bin_.root, bin_.top, paths, record.names):
            audit.note(store, "back", bin_.root, record.plan, record.item, record.bytes, why)
            left = entry.give_back()
    except (Refused, OSError) as error:
        return f"{record.item} stays in the trash: {error}", True
    if left:
        return f"{record.item}: {'; '.join(left)}", True
    return f"{record.item}: brought back ({why})", False


def _lacks(entry: Entry) -> str:
    """What a revision that was just brought back lacks: links of its snapshot that lead to nothing. They did so before
    it went, since what is broken does not come back."""
    if entry.trash.root.cache != "hub":
        return ""
    snapshots = (part.path for part in entry.known().parts if "/snapshots/" in part.path)
    broken = hub_links.broken(entry.trash.root.path, snapshots)
    return f"{', '.join(broken)}: there is nothing where it leads; fetch it again" if broken else ""


@contextmanager
def _bin(root: Root, notes: list[str]) -> Iterator[Trash | None]:
    """The trash of a root; None where it has none, or where it cannot be opened (`notes` says so)."""
    with ExitStack() as held:
        try:
            bin_ = held.enter_context(trash.opened(root))
        except (Refused, OSError) as error:
            notes.append(f"trash of {root.path}: {error}")
            bin_ = None
        yield bin_
