"""A worker that is started again after a clip made it crash, so that the other clips go on.

Every kind of pass (timed, warm-up, upstream, reference, calibration) goes through `RestartingWorker.attempt`, so that what
a clip does is answered in one place: a file that cannot be decoded, an analyzer that raises, a process that crashes, hangs
or runs out of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

from reelbench.bench.process import WorkerDied, WorkerProcess
from reelbench.errors import AnalyzerError, MediaError

T = TypeVar("T")


class LoadFailed(AnalyzerError):
    """The analyzer could not be made ready at all: no clip can be measured."""


@dataclass(frozen=True, slots=True)
class ClipFailure:
    """Why a clip gave nothing. ``status`` is that of its `ClipRecord`: 'refused' where the file could not be read, else 'failed'."""

    status: Literal["refused", "failed"]
    reason: str

    def seen_from(self, what: str) -> ClipFailure:
        """The same failure for whoever needed the result of ``what``."""
        return ClipFailure(self.status, f"{what}: {self.reason}")


class RestartingWorker:
    """A worker process that ``start`` makes ready (LoadFailed where it cannot), when it is first needed and again after it died.

    A context manager: on leaving it the worker ends by itself, or is killed where an exception goes through.
    """

    def __init__(self, start: Callable[[], WorkerProcess]) -> None:
        self._start = start
        self.process: WorkerProcess | None = None

    def ready(self) -> WorkerProcess:
        """The process that is up, or a fresh one. Raises LoadFailed."""
        if self.process is None:
            self.process = self._start()
        return self.process

    def attempt(self, work: Callable[[WorkerProcess], T]) -> T | ClipFailure:
        """What ``work`` does with the worker for one clip, or why that clip gave nothing. Raises LoadFailed."""
        try:
            return work(self.ready())
        except LoadFailed:
            raise
        except MediaError as error:
            return ClipFailure("refused", error.message)
        except WorkerDied as error:
            self.kill()
            return ClipFailure("failed", error.message)
        except AnalyzerError as error:
            return ClipFailure("failed", error.message)

    def stop(self) -> None:
        """Let the process end; the next one to be needed is a fresh one."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()
