"""Progress of a download that another program does: how much the folder grew."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reelbench.models.download import Bytes, Stopped

_EVERY_S = 0.5


@contextmanager
def watched(folder: Path, total: int, progress: Bytes) -> Iterator[threading.Event]:
    """Report the bytes below ``folder`` twice a second, from a thread of its own, while the block runs.

    Yields an event that is set where ``progress`` wants the download stopped.
    """
    stop, unwanted = threading.Event(), threading.Event()

    def look() -> None:
        while not stop.wait(_EVERY_S):
            try:
                progress(min(size_of(folder), total), total)
            except Stopped:
                unwanted.set()
                return

    thread = threading.Thread(target=look, name="reelbench-download-progress", daemon=True)
    thread.start()
    try:
        yield unwanted
    finally:
        stop.set()
        thread.join()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is nothing, or no longer."""
    files = [path] if path.is_file() else [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        try:
            total += file.lstat().st_size
        except OSError:
            continue  # gone between the listing and the look
    return total
