"""The parent's end of a worker process: start it, ask it, notice when it hangs or dies, kill it.

The parent only ever blocks in the kernel (``Connection.poll``): while a worker is measured it uses no core.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing import get_context
from time import monotonic, perf_counter
from typing import Any, Self

from reelbench.bench.worker import Job, serve
from reelbench.errors import AnalyzerError, MediaError

Progress = Callable[[float], None]
START_TIMEOUT_S = 120.0


class WorkerDied(AnalyzerError):
    """The process crashed, was killed or had to be killed; another one must be started."""


class WorkerProcess:
    """One spawned worker. ``process_s``: seconds from asking for the process until Python was up in it."""

    def __init__(self, job: Job) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, job), name="reelbench-worker", daemon=True)
        started = perf_counter()
        self._process.start()
        theirs.close()
        try:
            self._receive(START_TIMEOUT_S, None)
        except BaseException:
            self.kill()
            raise
        self.process_s = perf_counter() - started

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def ask(self, request: str, value: Any = None, *, timeout_s: float, progress: Progress | None = None) -> Any:
        """Send a request and wait for its answer.

        Raises MediaError where the clip could not be read, AnalyzerError where the analyzer failed, WorkerDied where the process
        crashed or did not answer in time (it is killed then).
        """
        try:
            self._pipe.send((request, value))
        except OSError as error:
            raise WorkerDied(self._last_words()) from error
        kind, answer = self._receive(timeout_s, progress)
        if kind == "refused":
            assert isinstance(answer, MediaError)
            raise answer
        if kind == "failed":
            raise AnalyzerError(str(answer))
        return answer

    def _receive(self, timeout_s: float, progress: Progress | None) -> tuple[str, Any]:
        deadline = monotonic() + timeout_s
        while True:
            if not self._pipe.poll(max(0.0, deadline - monotonic())):
                self.kill()
                raise WorkerDied(f"no answer within {timeout_s:g} s: killed")
            try:
                kind, value = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise WorkerDied(self._last_words()) from error
            if kind != "progress":
                return kind, value
            if progress is not None:
                progress(float(value))

    def _last_words(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        self.kill()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            why = " (out of memory, or killed by somebody)" if name == "SIGKILL" else ""
            return f"the worker process died of {name}{why}"
        return f"the worker process ended with exit code {code}"

    def stop(self) -> None:
        """Let it end by itself; kill it when it does not."""
        try:
            self._pipe.send(("stop", None))
            self._process.join(10)
        except OSError:
            pass
        self.kill()

    def kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()
