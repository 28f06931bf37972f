"""Which files of the store were hashed already, so that a second start reads none of them again.

A hash belongs to (device, inode, size, mtime_ns, ctime_ns): whatever writes into a file changes its ctime, which no program can
set back. The cache is a hint: lost, damaged or not writable, files are hashed again.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from reelbench.models.placing import settle, sha256_of

_WAIT_S = 5.0
_TICK_S = 0.05
"""A file system's clock may stand still this long: a change in the same tick as the hash would go unseen."""


class HashCache:
    """The hashes of the files below ``root``, kept in ``root/.hashes.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = root / ".hashes.json"

    def known(self, path: Path) -> str | None:
        """The hash of the file as it is now, if it was hashed since its last change."""
        entry = self._read().get(self._name(path))
        if isinstance(entry, list) and entry[:-1] == _identity(path) and isinstance(entry[-1], str):
            return entry[-1]
        return None

    def hash(self, path: Path) -> str:
        """The hash of the file: remembered, or read from the file and then remembered."""
        return self.known(path) or self.hash_anew(path)

    def hash_anew(self, path: Path) -> str:
        """Read the whole file, whatever is remembered."""
        before, begun = _identity(path), time.time()
        found = sha256_of(path)
        if before == _identity(path) and begun - before[-1] / 1e9 > _TICK_S:
            self._remember({self._name(path): [*before, found]})
        return found

    def settle(self, placed: dict[Path, str]) -> None:
        """Remember files that were hashed while they were placed, once their clock tick is over."""
        if placed:
            youngest = max(_identity(path)[-1] for path in placed) / 1e9
            time.sleep(min(_TICK_S, max(0.0, youngest + _TICK_S - time.time())))
            self._remember({self._name(path): [*_identity(path), found] for path, found in placed.items()})

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _read(self) -> dict[str, object]:
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _remember(self, entries: dict[str, list[int | str]]) -> None:
        if not os.access(self.root, os.W_OK):
            return
        from filelock import FileLock, Timeout

        temporary = self.root / f"{self._file.name}.tmp"  # one name, under the lock: kill -9 leaves no litter behind
        try:
            (self.root / ".locks").mkdir(exist_ok=True)
            with FileLock(self.root / ".locks" / ".hashes.lock", timeout=_WAIT_S):
                temporary.write_text(json.dumps(self._read() | entries, indent=0), encoding="utf-8")
                settle(temporary, self._file)
        except (OSError, Timeout):
            return  # a store that is read-only or full still serves what it holds


def _identity(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
