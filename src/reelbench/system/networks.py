"""The networks of a system run are prepared before it begins, one after another in one process that is not measured."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from reelbench.analyzers.base import Plain
from reelbench.bench.effective import Effective, job_of
from reelbench.bench.process import START_TIMEOUT_S, WorkerDied, WorkerProcess
from reelbench.engines.parity import ParityError
from reelbench.errors import AnalyzerError
from reelbench.owners import temporary_folder


class Networks:
    """Finds networks that compute something else on this machine than in FP32. A context manager.

    Every other failure is left to the workers of the run, which prepare again (a look, where all is there) and
    report it with the task that it costs.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stack = ExitStack()
        self._log: Path | None = None
        self._process: WorkerProcess | None = None

    def prepare(self, ready: Effective) -> None:
        """Convert, calibrate and compare with FP32 where that was not done before. Raises ParityError."""
        kind = type(ready.analyzer)
        if getattr(kind, "prepare", None) is Plain.prepare and getattr(kind, "lowered", Plain.lowered) is Plain.lowered:
            return
        try:
            self._ready_for(ready).ask("prepare", {"unavailable": True}, timeout_s=self._timeout_s)
        except ParityError:
            raise
        except WorkerDied:
            self._end()
        except AnalyzerError:
            pass

    def _ready_for(self, ready: Effective) -> WorkerProcess:
        if self._log is None:
            self._log = self._stack.enter_context(temporary_folder("reelbench-networks-")) / "worker.log"
        job = job_of(ready.config, self._log)
        if self._process is None:
            self._process = WorkerProcess(job)
        else:
            self._process.ask("job", job.message(), timeout_s=START_TIMEOUT_S)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._stack.close()
