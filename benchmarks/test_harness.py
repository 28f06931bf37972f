"""What measuring costs, as ratios within one run.

    pytest benchmarks/test_harness.py -s

``overhead``: a pass as the worker makes it (phases, frame times, memory and run-queue readings, progress) against the bare analyzer on
the same stream, in interleaved pairs whose order alternates. ``start``: how long the help takes. Written to ``harness.json`` in
``$REELBENCH_BENCH_OUT`` (or pytest's temporary folder).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from reelbench.analyzers.base import Material
from reelbench.bench.one_pass import one_pass
from reelbench.config import compose, instantiate
from reelbench.media.frames import FrameStream
from reelbench.media.probing import probe
from reelbench.models.store import ModelStore

ROOT = Path(__file__).parents[1]
PAIRS = int(os.environ.get("REELBENCH_BENCH_PAIRS", "15"))


def clocked(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def untimed(phase: str, items: int = 1) -> nullcontext[None]:
    return nullcontext()


@pytest.mark.parametrize("variant", ["baseline", "optimized"])
def test_measuring_costs_next_to_nothing(variant: str, record: Callable[..., None]) -> None:
    config, store = compose([f"variant={variant}"]), ModelStore()
    analyzer = instantiate(config.analyzer.constructor)
    store.ensure([*analyzer.weights, "footage/bikes.mp4"])
    analyzer.prepare(store)
    analyzer.load(store)
    info, media = probe(store.path("footage/bikes.mp4")), config.media

    def bare() -> None:
        with FrameStream(info.path, analyzer.needs.frames, media.decode, media.limits) as stream:
            analyzer.analyze(Material(clip="bikes", info=info, phases=untimed, frames=iter(stream)))

    def measured() -> None:
        one_pass(analyzer, "bikes", info, media.decode, media.limits, lambda share: None)

    bare(), measured()
    ratios = []
    for turn in range(PAIRS):
        order = (bare, measured) if turn % 2 == 0 else (measured, bare)
        times = {work: clocked(work) for work in order}
        ratios.append(times[measured] / times[bare])
    analyzer.close()
    figures = {
        "median": round(median(ratios), 4),
        "min": round(min(ratios), 4),
        "max": round(max(ratios), 4),
        "pairs": PAIRS,
    }
    record(f"overhead_{variant}", figures)


@pytest.mark.parametrize(
    ("name", "command"),
    [("run.py", [str(ROOT / "run.py"), "--help"]), ("reelbench", ["-m", "reelbench", "--help"])],
)
def test_help(name: str, command: list[str], record: Callable[..., None]) -> None:
    def started() -> None:
        subprocess.run([sys.executable, *command], check=True, capture_output=True)

    started()
    times = [clocked(started) for _ in range(7)]
    record(f"help_{name}", {"median_s": round(median(times), 3), "min_s": round(min(times), 3)})
