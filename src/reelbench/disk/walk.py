"""Walking a root with ``scandir`` and ``lstat``: sizes on the disk, each inode once, no link followed, nothing unreadable passed over.

A folder that belongs to an item as a whole is counted without an object for each file in it, so that a cache of 100,000 files is read
in about a second and a few dozen megabytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from reelbench.disk.records import Linked, Part, PartKind, Problem, Root

TRASH: Final = ".reelbench-trash"
"""The folder in a root that holds what was pruned and can still be brought back. `inventory` counts it apart."""

_NAME = attrgetter("name")
_KIND, _FOLDER, _LINK, _FILE = stat.S_IFMT(0o177777), stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG

Identity = tuple[int, int]
"""Device and inode."""


@dataclass(slots=True)
class Sizes:
    """What lies in a place: bytes on the disk without those of ``linked``, the files' sizes, the newest mtime."""

    bytes: int = 0
    logical: int = 0
    modified_ns: int = 0
    linked: dict[Identity, list[int]] = field(default_factory=dict)
    """By inode with several names: [names on the disk, names here, bytes]."""

    def again(self, found: os.stat_result) -> bool:
        """Count an inode with several names; whether another name of it was met here before."""
        key = (found.st_dev, found.st_ino)
        if met := key in self.linked:
            self.linked[key][1] += 1
        else:
            self.linked[key] = [found.st_nlink, 1, found.st_blocks * 512]
        return met

    def shared(self) -> tuple[Linked, ...]:
        return tuple(Linked(*inode, *counts) for inode, counts in self.linked.items())


@contextmanager
def opened(folder: str) -> Iterator[int]:
    """A handle of a folder, through which its entries are looked at by their names alone: quicker than by whole paths, and what was
    exchanged for a link meanwhile is not followed."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


class Walk:
    """Reads one root. ``elsewhere`` are the folders that other roots read: they are left out. ``prefix`` begins its items' ids.

    ``problems`` are what could not be read; ``layout`` are the bytes of folders that belong to no item; ``nested`` names for each part
    the other root that lies in it.
    """

    def __init__(self, root: Root, elsewhere: Collection[Identity] = (), prefix: str = "") -> None:
        self.root = root
        self.prefix = prefix
        self.problems: list[Problem] = []
        self.layout = 0
        self.nested: dict[str, str] = {}
        self._elsewhere = frozenset(elsewhere) - {(root.device, root.inode)}
        self._inodes = {inode for _, inode in self._elsewhere}
        self._base = os.fspath(root.path)

    def path(self, relative: str) -> str:
        return f"{self._base}/{relative}" if relative else self._base

    def entries(self, relative: str = "") -> list[os.DirEntry[str]]:
        """What lies directly in a folder of the root, by name; the folder's own bytes go to ``layout``. Empty where it is not there."""
        try:
            with os.scandir(self.path(relative)) as listing:
                found = sorted(listing, key=_NAME)
            folder = os.lstat(self.path(relative))
        except (FileNotFoundError, NotADirectoryError) as error:
            self._gone(relative, error)
            return []
        except OSError as error:
            self._problem(relative, error)
            return []
        if self._is_mount(relative, folder):
            return []
        self.layout += folder.st_blocks * 512
        return [
            entry for entry in found if not (entry.is_dir(follow_symlinks=False) and self._is_apart(relative, entry))
        ]

    def trash(self) -> list[os.DirEntry[str]]:
        """What lies in the root's trash."""
        return self.entries(TRASH) if os.path.lexists(self.path(TRASH)) else []

    def parts(self, relative: str) -> dict[str, tuple[Part, int]]:
        """What lies directly in a folder of the root, each as a part with its logical size, by name; the folder itself is layout."""
        found: dict[str, tuple[Part, int]] = {}
        below = f"{relative}/" if relative else ""
        try:
            with opened(self.path(relative)) as folder:
                about = os.fstat(folder)
                if self._is_mount(relative, about):
                    return {}
                self.layout += about.st_blocks * 512
                with os.scandir(folder) as listing:
                    for entry in listing:
                        name = entry.name
                        try:
                            one = entry.stat(follow_symlinks=False)
                        except OSError:
                            one = None  # `_part_of` tells why
                        if (
                            one is not None and one.st_nlink == 1 and one.st_mode & _KIND == _FILE
                        ):  # so are nearly all of 100,000
                            size = one.st_blocks * 512
                            part = Part(below + name, "file", one.st_dev, one.st_ino, size, one.st_mtime_ns)
                            found[name] = (part, one.st_size)
                        elif (taken := self._part_of(below + name, entry)) is not None:
                            found[name] = taken
        except (FileNotFoundError, NotADirectoryError) as error:
            self._gone(relative, error)
        except OSError as error:
            self._problem(relative, error)
        return found

    def _part_of(self, path: str, entry: os.DirEntry[str]) -> tuple[Part, int] | None:
        """As `part`, but None for what is looked at on its own."""
        if entry.is_dir(follow_symlinks=False) and self._is_apart(path.rpartition("/")[0], entry):
            return None
        return self.part(path, entry)

    def part(self, relative: str, entry: os.DirEntry[str], links: list[str] | None = None) -> tuple[Part, int] | None:
        """An entry as one part, with its logical size; of a folder all below it. None where it has gone meanwhile.

        ``links`` takes the target of every symbolic link below.
        """
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._problem(relative, error)
            return None
        kind = found.st_mode & _KIND
        if kind == _FOLDER:
            if (found.st_dev, found.st_ino) in self._elsewhere or self._is_mount(relative, found):
                return None
            sizes = Sizes(found.st_blocks * 512, modified_ns=found.st_mtime_ns)
            self._below(relative, sizes, links)
            device, inode = found.st_dev, found.st_ino
            return Part(
                relative, "folder", device, inode, sizes.bytes, sizes.modified_ns, sizes.shared()
            ), sizes.logical
        shape: PartKind = "link" if kind == _LINK else "file"
        logical = 0 if kind == _LINK else found.st_size
        if found.st_nlink == 1:
            return Part(relative, shape, found.st_dev, found.st_ino, found.st_blocks * 512, found.st_mtime_ns), logical
        one = Linked(found.st_dev, found.st_ino, found.st_nlink, 1, found.st_blocks * 512)
        return Part(relative, shape, one.device, one.inode, 0, found.st_mtime_ns, (one,)), logical

    def keep(self, relative: str, entry: os.DirEntry[str]) -> None:
        """Count an entry as part of the layout: what a tool keeps for itself, and no item."""
        if (taken := self.part(relative, entry)) is not None:
            self.layout += taken[0].bytes + sum(one.bytes for one in taken[0].linked)

    def line(self, part: Part) -> str:
        """What a small file says, without the white space around it; '' where it is a link, or cannot be read."""
        if part.kind != "file":
            return ""
        try:
            handle = os.open(self.path(part.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return os.fsdecode(os.read(handle, 4096)).strip()
            finally:
                os.close(handle)
        except OSError as error:
            self._problem(part.path, error)
            return ""

    def target(self, part: Part) -> str:
        """Where a link leads; '' where it has gone meanwhile."""
        try:
            return os.readlink(self.path(part.path))  # noqa: PTH115 (there may be 100,000, and a Path takes as long)
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._problem(part.path, error)
            return ""

    def _below(self, top: str, sizes: Sizes, links: list[str] | None) -> None:
        """Count everything below a folder; a stack instead of recursion, since a hostile tree may be deep."""
        waiting, blocks, logical, newest = [top], 0, 0, sizes.modified_ns
        while waiting:
            here = waiting.pop()
            try:
                with opened(self.path(here)) as folder, os.scandir(folder) as listing:
                    for entry in listing:
                        try:
                            found = entry.stat(follow_symlinks=False)
                            kind = found.st_mode & _KIND
                            if kind == _FOLDER:
                                if not self._enter(top, f"{here}/{entry.name}", found):
                                    continue
                                waiting.append(f"{here}/{entry.name}")
                            elif kind == _LINK:
                                if links is not None:
                                    links.append(os.readlink(entry.name, dir_fd=folder))
                            else:
                                logical += found.st_size
                        except FileNotFoundError:
                            continue
                        except OSError as error:
                            self._problem(f"{here}/{entry.name}", error)
                            continue
                        if found.st_mtime_ns > newest:
                            newest = found.st_mtime_ns
                        if found.st_nlink > 1 and kind != _FOLDER:
                            logical -= found.st_size * (sizes.again(found) and kind != _LINK)
                        else:
                            blocks += found.st_blocks
            except FileNotFoundError:
                continue
            except OSError as error:
                self._problem(here, error)
        sizes.bytes += blocks * 512
        sizes.logical += logical
        sizes.modified_ns = newest

    def _enter(self, top: str, below: str, folder: os.stat_result) -> bool:
        """Whether a folder in an item is looked into."""
        if (folder.st_dev, folder.st_ino) in self._elsewhere:
            self.nested[top] = self.path(below)
            return False
        return not self._is_mount(below, folder)

    def is_mount(self, folder: os.DirEntry[str]) -> bool:
        """Whether another file system is mounted there; a reader that picks what it wants may pass it by."""
        try:
            return folder.stat(follow_symlinks=False).st_dev != self.root.device
        except OSError:
            return False  # whoever reads it reports it

    def complain(self, relative: str, reason: str) -> None:
        """Note what a reader could not make out."""
        self._problem(relative, reason)

    def _is_apart(self, where: str, folder: os.DirEntry[str]) -> bool:
        """Whether a folder is looked at on its own: the root's trash, or another root."""
        if not where and folder.name == TRASH:
            return True
        # Told without asking the disk again. A mount point has another number in its folder than in itself; `part` sees that.
        if folder.inode() not in self._inodes:
            return False
        try:
            found = folder.stat(follow_symlinks=False)
        except OSError:
            return False  # whoever reads it reports it
        return (found.st_dev, found.st_ino) in self._elsewhere

    def _is_mount(self, relative: str, folder: os.stat_result) -> bool:
        """What is mounted inside a root is not looked into: renaming a folder would take it along, and deleting empty it."""
        if folder.st_dev == self.root.device:
            return False
        self._problem(relative, "another file system is mounted here")
        return True

    def _gone(self, relative: str, error: OSError) -> None:
        """A folder that vanished while it was read is no problem; the root itself is."""
        if not relative:
            self._problem(relative, error)

    def _problem(self, relative: str, error: OSError | str) -> None:
        reason = error if isinstance(error, str) else error.strerror or str(error)
        self.problems.append(Problem(self.root, relative, reason))
