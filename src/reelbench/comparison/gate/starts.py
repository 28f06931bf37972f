"""Measure cold starts for a gate: several of both sides, alternately. (Those of a comparison always begin with A, and are few.)"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from reelbench.bench.effective import job_of
from reelbench.bench.process import Code, WorkerProcess
from reelbench.config import RunConfig

STARTS = 6
"""Even, so that each side begins equally often."""

Starts = tuple[list[float], list[float]]
"""Seconds of A's and of B's starts, paired in order."""


def start_once(config: RunConfig, log: Path, code: Code | None = None) -> float:
    """Seconds from asking for a process until its network is loaded. Raises AnalyzerError."""
    with WorkerProcess(job_of(config, log), code) as worker:
        started = perf_counter()
        worker.ask("load", timeout_s=config.measure.load_timeout_s)
        return worker.process_s + perf_counter() - started


def starts_of_both(a: tuple[RunConfig, Path, Code | None], b: tuple[RunConfig, Path, Code | None]) -> Starts:
    """`STARTS` of each; a side is its configuration, its worker's log and whose code it is."""
    found: Starts = ([], [])
    for index in range(STARTS):
        for side in (0, 1) if index % 2 else (1, 0):
            found[side].append(start_once(*(a, b)[side]))
    return found
