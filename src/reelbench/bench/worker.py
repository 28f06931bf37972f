"""The process that is measured. It does what it is told over a pipe and answers with plain values.

It is spawned fresh for each variant, so nothing of the parent (imports, caches, threads) is in its figures, and a decoder or a
network that crashes or hangs takes only this process with it. Requests and replies are tuples ``(kind, value)``:

    ready      → sent once, when Python and this module are up
    prepare    → done
    load       → loaded
    analyze    → progress … , analyzed | refused | failed
    evidence   → evidence
    stop
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

from reelbench.errors import MediaError, ReelBenchError
from reelbench.media.types import ClipInfo, DecodeOptions, Limits


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is for: the analyzer's node of the configuration, how to decode, and where it may write."""

    analyzer: dict[str, Any]
    decode: DecodeOptions
    limits: Limits
    seed: int
    log: Path


def serve(pipe: Connection, job: Job) -> None:
    """The worker's main function: answer requests until 'stop' or until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _redirect_output(job.log)
    random.seed(job.seed)
    worker = _Worker(pipe, job)
    pipe.send(("ready", None))
    while True:
        try:
            request, value = pipe.recv()
        except EOFError:
            return
        if request == "stop":
            worker.close()
            return
        pipe.send(worker.answer(request, value))


class _Worker:
    def __init__(self, pipe: Connection, job: Job) -> None:
        self._pipe = pipe
        self._job = job
        self._analyzer: Any = None

    def answer(self, request: str, value: Any) -> tuple[str, Any]:
        try:
            return getattr(self, f"_{request}")(value)  # type: ignore[no-any-return]
        except MediaError as error:
            return "refused", error
        except ReelBenchError as error:
            traceback.print_exc()
            return "failed", error.message
        except MemoryError:
            traceback.print_exc()
            return "failed", "out of memory"
        except Exception as error:  # noqa: BLE001 - whatever an analyzer raises is a recorded failure of that clip
            traceback.print_exc()
            return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finally:
            sys.stderr.flush()

    def close(self) -> None:
        if self._analyzer is not None:
            self._analyzer.close()

    def _build(self) -> Any:
        from reelbench.config import instantiate
        from reelbench.models.store import ModelStore

        if self._analyzer is None:
            self._analyzer = instantiate(self._job.analyzer)
        return self._analyzer, ModelStore()

    def _prepare(self, _: None) -> tuple[str, Any]:
        started = perf_counter()
        analyzer, store = self._build()
        analyzer.prepare(store)
        return "done", perf_counter() - started

    def _load(self, _: None) -> tuple[str, Any]:
        started = perf_counter()
        import reelbench.bench.one_pass  # noqa: F401 - what every pass needs belongs to the start, not to the first pass

        analyzer, store = self._build()
        analyzer.load(store)
        return "loaded", perf_counter() - started

    def _evidence(self, _: None) -> tuple[str, Any]:
        return "evidence", asdict(self._analyzer.evidence())

    def _analyze(self, clip: tuple[str, ClipInfo]) -> tuple[str, Any]:
        from reelbench.bench.one_pass import one_pass

        name, info = clip

        def tell(share: float) -> None:
            self._pipe.send(("progress", share))

        return "analyzed", one_pass(self._analyzer, name, info, self._job.decode, self._job.limits, tell)


def _redirect_output(log: Path) -> None:
    """Native libraries write to the standard streams; what they say belongs into the run's log, not into the user's table."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
