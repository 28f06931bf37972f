"""Changing what lies below a root without ever leaving it.

Folders are opened one after the other from the root, by name, and a link or another file system on the way is refused.
What is then done happens in the folder that was opened, whatever its path has become meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from reelbench.disk.records import Root

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Exception):
    """This item stays as it is; the message says why. Other items go on."""


class Folder:
    """An open folder below a root."""

    def __init__(self, handle: int, device: int) -> None:
        self.handle = handle
        self.device = device

    @contextmanager
    def enter(self, path: str, create: bool = False) -> Iterator[Folder]:
        """The folder at ``path`` below this one ('' is this one). Refused for links and other file systems; OSError as
        the disk says."""
        handle = os.dup(self.handle)
        try:
            for name in names_of(path):
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=handle)
                        os.fsync(handle)
                below = self._open(name, handle, path)
                os.close(handle)
                handle = below
            yield Folder(handle, self.device)
        finally:
            os.close(handle)

    def look(self, name: str) -> os.stat_result | None:
        """What ``name`` is, itself and not what it points to; None where there is nothing."""
        try:
            return os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        return sorted(os.listdir(self.handle))  # noqa: PTH208 (an open folder has no path)

    def move(self, name: str, into: Folder, new_name: str) -> None:
        """Rename, and have both folders on the disk. Refused where something has the new name already."""
        if into.look(new_name) is not None:
            raise Refused(f"{new_name} is there already")
        os.rename(name, new_name, src_dir_fd=self.handle, dst_dir_fd=into.handle)
        into.sync()
        self.sync()

    def write(self, name: str, text: str) -> None:
        """Write a whole file: its old text or its new one is on the disk, never a part."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        temporary = temporary_of(name)
        handle = os.open(temporary, flags, 0o644, dir_fd=self.handle)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        self.sync()

    def read(self, name: str) -> str:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.handle)
        with os.fdopen(handle, encoding="utf-8") as stream:
            return stream.read()

    def target(self, name: str) -> str:
        """Where the link ``name`` leads to; '' where there is none, or something else has that name."""
        try:
            return os.readlink(name, dir_fd=self.handle)
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return ""

    def require_line(self, name: str, line: str) -> bool:
        """Append a line to a file where no line says the same, and have it on the disk; whether there is such a file.

        What was cut off in the middle of a line keeps a line of its own.
        """
        try:
            handle = os.open(name, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.handle)
        except FileNotFoundError:
            return False
        with os.fdopen(handle, "r+b") as stream:
            text = stream.read()
            if os.fsencode(line) not in text.splitlines():
                stream.write((b"\n" if text and not text.endswith(b"\n") else b"") + os.fsencode(line) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        return True

    def touch_for_all(self, name: str) -> None:
        """Create an empty file that every user may write, whatever the umask: a lock that several users take."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileExistsError):
            handle = os.open(name, flags, 0o666, dir_fd=self.handle)
            try:
                os.fchmod(handle, 0o666)
            finally:
                os.close(handle)

    def unlink(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.handle)

    def rmdir(self, name: str) -> bool:
        """Remove an empty folder; whether it is gone."""
        try:
            os.rmdir(name, dir_fd=self.handle)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def empty(self, keep: tuple[str, ...] = ()) -> None:
        """Delete all that lies in this folder, except the names in ``keep``.

        Folders inside folders are first moved up into this one: no depth is too deep, and what is mounted below cannot
        be moved, so that the kernel refuses it (EBUSY) instead of emptying it.
        """
        number = 0
        while waiting := [name for name in self.names() if name not in keep]:
            for name in waiting:
                found = self.look(name)
                if found is None or not stat.S_ISDIR(found.st_mode):
                    self.unlink(name)
                    continue
                with self.enter(name) as below:
                    with suppress(PermissionError):  # a folder of somebody else: the next line tells
                        os.fchmod(below.handle, 0o700)  # what is read-only may go like the rest
                    for inner in below.names():
                        held = below.look(inner)
                        if held is None or not stat.S_ISDIR(held.st_mode):
                            below.unlink(inner)
                            continue
                        while self.look(f"up-{number}") is not None:
                            number += 1
                        os.rename(inner, f"up-{number}", src_dir_fd=below.handle, dst_dir_fd=self.handle)
                os.rmdir(name, dir_fd=self.handle)
        self.sync()

    def sync(self) -> None:
        os.fsync(self.handle)

    def _open(self, name: str, handle: int, path: str) -> int:
        try:
            below = os.open(name, _FOLDER, dir_fd=handle)
        except NotADirectoryError as error:  # a link too: O_NOFOLLOW
            raise Refused(f"{name} in {path} is a link, or no folder") from error
        if os.fstat(below).st_dev != self.device:
            os.close(below)
            raise Refused(f"{name} in {path} is on another file system")
        return below


@contextmanager
def opened(root: Root) -> Iterator[Folder]:
    """The root itself. Refused where its path leads to another folder now (something was mounted, unmounted or
    moved)."""
    try:
        handle = os.open(root.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{root.path}: {error.strerror}") from error
    try:
        found = os.fstat(handle)
        if (found.st_dev, found.st_ino) != (root.device, root.inode):
            raise Refused(f"{root.path} is another folder now")
        yield Folder(handle, root.device)
    finally:
        os.close(handle)


def names_of(path: str) -> list[str]:
    """The names along a path below a root. Refused for one that could lead out of it."""
    names = path.split("/") if path else []
    if any(name in ("", ".", "..") or "\0" in name for name in names):
        raise Refused(f"{path!r} is no path below a root")
    return names


def split(path: str) -> tuple[str, str]:
    """The folder of a path, and its last name."""
    if not names_of(path):
        raise Refused("the root itself never goes")
    folder, _, name = path.rpartition("/")
    return folder, name


def temporary_of(name: str) -> str:
    return f".{name}.part"
