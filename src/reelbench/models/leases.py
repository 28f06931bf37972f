"""Leases: who uses a file holds a shared ``flock`` on it, and whoever wants to delete it must first get the exclusive one.

The lock is on the file (or folder) itself, so it needs no place of its own, works in a read-only store, and the kernel drops it when
the process ends, however it ends. Whoever waited for a lock may find that the path now names another file, or none: `hold` looks again.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reelbench.errors import WeightsError

_BUSY = (errno.EWOULDBLOCK, errno.EACCES)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def hold(paths: Iterable[Path]) -> Iterator[None]:
    """Keep files and folders from being pruned while the block runs; links are followed to what they point to.

    Raises WeightsError where one is not there. On a file system without locks nothing is held.
    """
    with ExitStack() as held:
        for path in paths:
            handle = _shared(path)
            if handle is not None:
                held.callback(os.close, handle)
        yield


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether nobody else uses ``path`` (a link is not followed); while the block runs, nobody new can start to. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


def _shared(path: Path) -> int | None:
    """An open handle with a shared lock on what ``path`` names now; None where the file system has no locks."""
    try:
        while True:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                locked = _lock(handle, fcntl.LOCK_SH)
                mine, now = os.fstat(handle), path.stat()
            except BaseException:
                os.close(handle)
                raise
            if not locked:
                os.close(handle)
                return None
            if (mine.st_dev, mine.st_ino) == (now.st_dev, now.st_ino):
                return handle
            os.close(handle)
    except OSError as error:
        raise WeightsError(f"{path} cannot be used: {error.strerror}", "run 'reelbench models verify'") from error


def _lock(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno in _BUSY or error.errno in _NO_LOCKS:
            return False
        raise
    return True
