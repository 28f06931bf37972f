"""Several downloads at once, stopped together: by Ctrl-C, or by one of them that found the disk full."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self, TypeVar

from reelbench.errors import ConfigError
from reelbench.models.download import Stopped

T = TypeVar("T")
R = TypeVar("R")

JOBS = 4
_FAMILIES = 8


def default_jobs() -> int:
    """How many downloads run at once: ``REELBENCH_DOWNLOAD_JOBS``, else 4."""
    asked = os.environ.get("REELBENCH_DOWNLOAD_JOBS") or str(JOBS)
    if not asked.isdecimal() or not 1 <= int(asked) <= 64:
        raise ConfigError(f"REELBENCH_DOWNLOAD_JOBS={asked} is no number from 1 to 64")
    return int(asked)


class Workers:
    """Two pools: a family waits in a thread of its own, which holds its lock; the downloads of all share ``jobs`` threads."""

    def __init__(self, jobs: int) -> None:
        self._families = ThreadPoolExecutor(_FAMILIES, thread_name_prefix="reelbench-family")
        self._downloads = ThreadPoolExecutor(jobs, thread_name_prefix="reelbench-download")
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop.set()
        self._families.shutdown(cancel_futures=True)
        self._downloads.shutdown(cancel_futures=True)

    def check(self) -> None:
        """Raise `Stopped` where all downloads are to end; they call this from their progress."""
        if self._stop.is_set():
            raise Stopped

    def families(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The results of all, in their order. The first that raises stops the others."""
        return self._gather([self._families.submit(work, item) for item in items])

    def downloads(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """As `families`; called from within one of them."""
        return self._gather([self._downloads.submit(work, item) for item in items])

    def _gather(self, futures: list[Future[R]]) -> list[R]:
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            failed = [error for future in futures if future.done() and (error := future.exception()) is not None]
            if failed:
                raise next((error for error in failed if not isinstance(error, Stopped)), failed[0])
            return [future.result() for future in futures]
        except BaseException:
            self._stop.set()
            for future in futures:
                future.cancel()
            wait(futures)  # whoever called cleans up what they work in
            raise
