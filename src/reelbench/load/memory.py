"""The memory of this process and of all that it started, looked at now and then while a load run goes on."""

from __future__ import annotations

import threading
from time import monotonic, thread_time
from types import TracebackType
from typing import NamedTuple, Self

from reelbench.system.pool import pss_of, rss_of


class Look(NamedTuple):
    """``at`` as `time.monotonic` tells it; bytes over all ``processes``: what is shared is once in ``pss``, each time in ``rss``."""

    at: float
    pss: int
    rss: int
    processes: int


class MemoryWatch:
    """A context manager that looks every ``every_s`` seconds, in a thread. ``cpu_s``: what the looking itself took."""

    def __init__(self, every_s: float) -> None:
        self.looks: list[Look] = []
        self.cpu_s = 0.0
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.looks.append(look())
            self.cpu_s = thread_time()
            self._over.wait(self._every_s)


def look() -> Look:
    import psutil

    own = psutil.Process()
    pids = [own.pid, *(child.pid for child in own.children(recursive=True))]
    sizes = [(pss_of(pid), rss_of(pid)) for pid in pids]
    there = [size for size in sizes if size[1]]  # the others ended meanwhile
    return Look(monotonic(), sum(pss for pss, _ in there), sum(rss for _, rss in there), len(there))
