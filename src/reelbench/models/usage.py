"""When weights were last used, by our own record: a file system's atime is switched off on most machines, and reading a file to hash it
would count as use.

``.usage.sqlite`` in the model store. It is a hint for what goes first: it may be lost, and is never an error.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

FILE = ".usage.sqlite"
_WAIT_S = 5.0


class Usage:
    """The record of one model store. ``names`` are those of `reelbench.disk.names`: 'weights:yolo/yolo11n.pt', 'derived:synthetic'."""

    def __init__(self, root: Path) -> None:
        self._file = root / FILE

    def record(self, names: Iterable[str], at: float | None = None) -> None:
        """Remember that these are used now (or ``at``, in seconds since 1970). Where that cannot be written, it is not."""
        now = time.time() if at is None else at
        rows = [(name, now) for name in dict.fromkeys(names)]
        if not rows or not self._file.parent.is_dir():
            return
        with _forgiving(), closing(sqlite3.connect(self._file, timeout=_WAIT_S)) as database, database:
            database.execute(
                "pragma synchronous = off"
            )  # a power cut may cost a hint, a run shall not wait for the disk
            database.execute("create table if not exists used (name text primary key, at real not null)")
            database.executemany(
                "insert into used values (?, ?) on conflict (name) do update set at = max(at, excluded.at)", rows
            )

    def last(self) -> dict[str, float]:
        """The last use of each name, in seconds since 1970; empty where nothing is known."""
        rows: list[tuple[str, float]] = []
        address = f"{self._file.absolute().as_uri()}?mode=ro"
        with _forgiving(), closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as database:
            rows = database.execute("select name, at from used where typeof(at) = 'real'").fetchall()
        return {str(name): float(at) for name, at in rows}


@contextmanager
def _forgiving() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        return  # damaged, locked, read-only or full: it is only a hint
