"""Which live process a file or a folder belongs to, and what is left of those that were killed.

The kernel holds an advisory lock (flock) for the process that took it, and drops it however that
process ends. So nobody has to write down that a run was killed: whoever reads asks for the lock.

    folder of a run, a comparison …   claim        flock on ``.lock`` in it; clears its leftovers
    file that is being written        Held.file    flock on the temporary file itself
    temporary folder                  Held.folder  flock on the folder itself

What carries such a lock is never removed; what carries none was left by a process that is gone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".lock"
UNFINISHED = ("running", "interrupted")
"""What a record says of work that can be gone on with."""

_READERS_S = 1.0
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_PART = re.compile(r"^\..*\.part(\.[A-Za-z0-9]+)?$")


def claim(folder: Path) -> FileLock | None:
    """Take a folder for this process and clear what a killed one left half written in it.

    It is held until the lock is released or the process ends, however it ends. None where another
    live process has it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        # `claimed` in another process has the lock for a moment: it is waited for.
        lock.acquire(timeout=_READERS_S if not claimed(folder) else 0, poll_interval=0.01)
    except Timeout:
        return None
    clear_parts(folder)
    return lock


def claimed(folder: str | os.PathLike[str]) -> bool:
    """Whether a live process has claimed the folder; True, too, where that cannot be found out."""
    try:
        handle = os.open(os.path.join(folder, LOCK), _OPEN)  # noqa: PTH118
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def status_of(recorded: str, alive: bool) -> str:
    """The status to show: a record that says 'running' is 'interrupted' when nobody is at work.

    ``alive`` must have been asked (`claimed`) before the record was read. The other way round a
    run that ends in between would be called interrupted.
    """
    return "interrupted" if recorded == "running" and not alive else recorded


def clear_parts(folder: Path) -> None:
    """Remove the files below a claimed folder that were being written when its owner was killed."""
    for path, _, names in os.walk(folder):
        for name in names:
            if _PART.match(name):
                (Path(path) / name).unlink(missing_ok=True)


class Held:
    """A temporary file or folder that this process holds; ``close`` lets go of it."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle

    @classmethod
    def file(cls, folder: Path, prefix: str, suffix: str) -> Self:
        """A new empty file in ``folder``. Raises OSError."""
        while True:
            handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=suffix)
            with suppress(OSError):  # a file system without locks: what is killed there stays behind
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, name):  # else it was swept before it was locked
                return cls(Path(name), handle)
            os.close(handle)

    @classmethod
    def folder(cls, parent: Path, prefix: str) -> Self:
        """A new empty folder in ``parent``. Raises OSError."""
        while True:
            name = tempfile.mkdtemp(dir=parent, prefix=prefix)
            if (found := cls.of(Path(name))) is not None:
                return found

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """A file or folder of this user that is there; None where it is gone, or a live process holds it."""
        try:
            handle = os.open(path, _OPEN)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_uid == os.getuid() and _is_at(handle, path):
                return cls(path, handle)
        except OSError:
            pass
        os.close(handle)
        return None

    def remove(self) -> None:
        """Remove it with everything in it, while it is still held."""
        if stat.S_ISDIR(os.fstat(self._handle).st_mode):
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._handle)


def sweep(paths: Iterable[Path]) -> None:
    """Remove those of these files and folders that no live process holds."""
    for path in paths:
        if (left := Held.of(path)) is not None:
            with suppress(OSError):
                left.remove()
            left.close()


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """An empty folder that is removed afterwards; those that killed processes left are removed now.

    ``parent``: the system's folder for temporary files unless given.
    """
    home = parent or Path(tempfile.gettempdir())
    sweep(path for path in home.glob(f"{prefix}*") if path.is_dir() and not path.is_symlink())
    held = Held.folder(home, prefix)
    try:
        yield held.path
    finally:
        held.remove()
        held.close()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that gets its name when the block is over: nobody ever sees it half made.

    Raises OSError, FileExistsError where ``path`` is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(".new-", path.parent) as home:
        made = home / path.name
        made.mkdir()
        yield made
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        made.rename(path)


def _is_at(handle: int, path: str | Path) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False
