"""The trash of a root: a folder in it, so that to go and to come back is a rename on the same file system.

``<root>/.reelbench-trash/<plan>/<number>/`` holds one item: `journal` 's record, and each part under its index. An
entry goes through three moves, and a crash in any of them is mended by doing the rest of it (`recovery`):

- ``begin``, ``put`` …, ``done``: into the trash. What refers goes before what it refers to: at every instant what is
  still visible is whole.
- ``give_back``: the other way round, so that what is referred to is there first.
- ``purge``: deleted for good.
"""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reelbench.disk import beneath, hub_store, journal, reserve
from reelbench.disk.beneath import Folder, Refused
from reelbench.disk.journal import Record, State, Unreadable
from reelbench.disk.records import Root
from reelbench.disk.walk import TRASH
from reelbench.errors import UnavailableError


class Trash:
    """The trash of one root. While it is open, this process alone changes it."""

    def __init__(self, root: Root, top: Folder, bin_: Folder) -> None:
        self.root = root
        self.top = top
        self.bin = bin_

    def entries(self) -> list[Entry]:
        """Every entry that has a record or is damaged, the newest first. What a crash left before its record was
        written is removed."""
        found: list[Entry] = []
        for plan in self._folders(""):
            for number in self._folders(plan):
                entry = self._entry(f"{plan}/{number}")
                if entry is not None:
                    found.append(entry)
            self.bin.rmdir(plan)  # only if nothing is in it
        return sorted(found, key=_age, reverse=True)

    def begin(self, record: Record) -> Entry:
        """Write the INTENT. Nothing has been moved when it returns, and nothing may be moved before."""

        def write() -> str:
            with self.bin.enter(record.plan, create=True) as plan:
                number = f"{max((int(name) for name in plan.names() if name.isdigit()), default=-1) + 1:06d}"
                with plan.enter(number, create=True) as folder:
                    journal.write(folder, record)
            return number

        number = reserve.with_room(self.bin, write)
        return Entry(self, f"{record.plan}/{number}", record)

    def _folders(self, path: str) -> list[str]:
        with self.bin.enter(path) as folder:
            return [name for name in folder.names() if not name.startswith(".") and _is_folder(folder, name)]

    def _entry(self, path: str) -> Entry | None:
        with self.bin.enter(path) as folder:
            try:
                return Entry(self, path, journal.read(folder))
            except FileNotFoundError:
                folder.unlink(beneath.temporary_of(journal.RECORD))
                if folder.names():
                    return Entry(self, path, None, f"it has no {journal.RECORD}")
            except (Unreadable, OSError) as error:
                return Entry(self, path, None, str(error))
        parent, name = beneath.split(path)
        with self.bin.enter(parent) as plan:
            plan.rmdir(name)
        return None


@dataclass
class Entry:
    """One item in the trash. ``record`` is None where it cannot be read, and ``problem`` says why: such an entry is
    never touched."""

    trash: Trash
    path: str
    record: Record | None
    problem: str = ""

    def known(self) -> Record:
        if self.record is None:
            raise Refused(f"{self.trash.root.path}/{TRASH}/{self.path}: {self.problem}; what lies there is left alone")
        return self.record

    def put(self, index: int) -> None:
        """Move one part into the trash, if its place still holds the very inode that the record names."""
        stored = self.known().parts[index]
        folder, name = beneath.split(stored.path)
        with self.trash.top.enter(folder) as home, self.trash.bin.enter(self.path) as entry:
            found = home.look(name)
            if found is None or (found.st_dev, found.st_ino) != (stored.device, stored.inode):
                raise Refused(f"{stored.path} changed")
            home.move(name, entry, str(index))

    def done(self) -> None:
        """All parts are in."""
        self._say("gone")

    def give_back(self) -> list[str]:
        """Move every part back to where it was, and forget the entry. Returns what stays in the trash, and why: a part
        whose place is taken again is never put over what is there. Refused where something that it needs, or a part of
        it, is gone: it would come back broken.
        """
        record = self.known()
        if record.state == "purging":
            raise Refused("it is being deleted for good")
        if gone := self._gone():
            if not self._holds():
                self._forget()
                return ["nothing of it is in the trash any more"]
            self._say("gone")
            if gone[0] in record.needs:
                raise Refused(f"it shares {gone[0]} with others, and that is gone: undo that first, or fetch it again")
            raise Refused(f"{gone[0]} is gone, which it needs: fetch it again")
        if self.trash.root.cache == "hub":
            with self.trash.bin.enter(self.path) as entry:
                hub_store.list_again(record, entry, self.trash.top, self._payloads(entry))
        self._say("returning")
        left: list[str] = []
        with self.trash.bin.enter(self.path) as entry:
            for index in reversed(range(len(record.parts))):  # what is referred to first
                stored = record.parts[index]
                if entry.look(str(index)) is None:  # it is back already, or never went
                    if not self._is_there(stored.path):
                        left.append(f"{stored.path}: it is not in the trash any more")
                    continue
                folder, name = beneath.split(stored.path)
                with self.trash.top.enter(folder, create=True) as home:
                    if home.look(name) is None:
                        entry.move(str(index), home, name)
                    else:
                        left.append(f"{stored.path}: there is one again")
        if self._holds():
            self._say("gone")
        else:
            self._forget()
        return left

    def purge(self) -> None:
        """Delete it for good. From the first step on it cannot come back."""
        self.known()
        self._say("purging")
        with self.trash.bin.enter(self.path) as entry:
            entry.empty(keep=(journal.RECORD,))
        self._forget()

    def _gone(self) -> list[str]:
        """Its parts, and the parts that it needs, that are neither in the trash nor at their places.

        Payloads of the hub's shared store count only if a link still leads to them: the place of such a link may have
        a file of its own by now.
        """
        record, is_hub = self.known(), self.trash.root.cache == "hub"
        with self.trash.bin.enter(self.path) as entry:
            here = {part.path for index, part in enumerate(record.parts) if entry.look(str(index)) is not None}
            led_to = set(self._payloads(entry).values()) if is_hub else set[str]()
        had = dict.fromkeys([*(part.path for part in record.parts), *record.needs])
        required = (path for path in had if not (is_hub and hub_store.is_inside(path)) or path in led_to)
        return [path for path in required if path not in here and not self._is_there(path)]

    def _payloads(self, entry: Folder) -> dict[str, str]:
        """The payload of the shared store that each of its links leads to, by the link's path."""
        links = hub_store.targets(self.known(), entry, self.trash.top)
        found = {link: hub_store.payload_of(target, self.trash.root.path) for link, target in links.items()}
        return {link: payload for link, payload in found.items() if payload}

    def _holds(self) -> bool:
        """Whether any part of it is in the trash."""
        with self.trash.bin.enter(self.path) as entry:
            return any(name.isdigit() for name in entry.names())

    def _say(self, state: State) -> None:
        record = self.known().now(state)

        def write() -> None:
            with self.trash.bin.enter(self.path) as entry:
                journal.write(entry, record)

        reserve.with_room(self.trash.bin, write)
        self.record = record

    def _forget(self) -> None:
        """Remove the record and then the empty folders; after a crash in between, the next listing does the rest."""
        plan, number = beneath.split(self.path)
        with self.trash.bin.enter(self.path) as entry:
            entry.unlink(journal.RECORD)
            entry.unlink(beneath.temporary_of(journal.RECORD))
        with self.trash.bin.enter(plan) as folder:
            folder.rmdir(number)
        self.trash.bin.rmdir(plan)
        self.trash.bin.sync()

    def _is_there(self, path: str) -> bool:
        folder, name = beneath.split(path)
        try:
            with self.trash.top.enter(folder) as home:
                return home.look(name) is not None
        except (FileNotFoundError, Refused):
            return False


@contextmanager
def opened(root: Root, create: bool = False) -> Iterator[Trash | None]:
    """The trash of a root; None where it has none and none is to be made.

    Refused where the root is not what it was, or its trash is a link or on another file system; UnavailableError where
    another process is at work in it; OSError as the disk says (a read-only root).
    """
    with beneath.opened(root) as top:
        if not create and top.look(TRASH) is None:
            yield None
            return
        with top.enter(TRASH, create=create) as bin_:
            try:
                fcntl.flock(bin_.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise Refused(f"{root.path}: the file system has no locks ({error.strerror})") from error
                raise UnavailableError(
                    f"another process prunes or restores in {root.path}", "wait until it has ended"
                ) from error
            yield Trash(root, top, bin_)


def _age(entry: Entry) -> tuple[float, str]:
    return entry.record.moved_s if entry.record is not None else 0.0, entry.path


def _is_folder(folder: Folder, name: str) -> bool:
    try:
        with folder.enter(name):
            return True
    except (OSError, Refused):
        return False
