"""A small file that is given up when the disk is full, so that there is room for the records of what is being deleted.

It lies in the trash of each root that was ever pruned. On a disk that was full before the first prune there is none;
the error then says what to do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from reelbench.disk.beneath import Folder
from reelbench.disk.walk import TRASH

NAME: Final = ".reserve"
BYTES: Final = 1 << 20
FULL: Final = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


def keep(trash: Folder) -> None:
    """Have the reserve, unless the disk has no room for it: it is a help, and never an error."""
    with suppress(OSError):
        found = trash.look(NAME)
        if found is not None and found.st_blocks * 512 >= BYTES:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(NAME, flags, 0o600, dir_fd=trash.handle)
        try:
            os.posix_fallocate(handle, 0, BYTES)
        finally:
            os.close(handle)


def give_up(root: Path) -> bool:
    """Remove the reserve of a root; whether there was one."""
    try:
        (root / TRASH / NAME).unlink()
    except OSError:
        return False
    return True


def with_room(trash: Folder, write: Callable[[], T]) -> T:
    """``write``, and once more without the reserve where the disk is full. It must be able to begin anew."""
    try:
        return write()
    except OSError as error:
        if error.errno not in FULL or trash.look(NAME) is None:
            raise
        trash.unlink(NAME)
        return write()
