"""Hold a run against a pass over a copy of a clip that nobody has seen, and against what its worker does afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from random import SystemRandom
from statistics import median
from time import perf_counter, sleep

from reelbench.bench.kept_passes import Sample
from reelbench.bench.live import LiveRun
from reelbench.bench.observed import (
    COPY,
    Observation,
    Took,
    finds_little,
    late_work,
    remembered,
    scheduling,
    unknown_copy,
)
from reelbench.bench.process import WorkerProcess
from reelbench.bench.process_tree import tree_cpu_s
from reelbench.bench.reencode import LONGEST_S, events_in, reencoded
from reelbench.errors import AnalyzerError, MediaError

LATE_WATCH_S, LATE_WATCH_MOST_S, LATE_NOTICED_S = 0.2, 2.0, 0.001
OPINIONS = 3


def observe_copy(live: LiveRun) -> list[Observation]:
    """Measure one pass over an unknown copy of a clip, and the worker's CPU time after its answer.

    The clip is drawn at random among the measured ones, the long ones left out where there are short ones.
    """
    rows = {name: _timed_rows(live, name) for name in live.clips}
    measured = [clip for clip in live.clips.values() if rows[clip.name] and not clip.failed]
    if not measured:
        return []
    most_s = max(LONGEST_S, min(clip.info.duration_s for clip in measured))
    clip = SystemRandom().choice([clip for clip in measured if clip.info.duration_s <= most_s])
    typical = {one.name: _typical(rows[one.name]) for one in measured}
    # Some take the same for a clip of any length: a copy of a part is then no quicker than a clip.
    quickest = Took(*(min(of) for of in zip(*typical.values(), strict=True)))
    worker = live.ready(clip)
    aligned = live.has_upstream(clip)  # what lies upstream is that of the clip itself
    found = clip.found or live.folder.read_results().get(clip.name)
    copy = took = Took(inf, inf)
    expected = events = 0
    late = None
    for number in range(OPINIONS):  # a busy neighbour slows a copy down once, a memory does not know any
        try:
            copied = reencoded(clip.info, live.shown.empty_folder(), live.job.limits, number, aligned=aligned)
        except MediaError as error:
            return [Observation(name=COPY, status="not applicable", text=error.message)]
        try:
            row, here = live.pass_over_copy(clip, copied.info)
        except (AnalyzerError, MediaError) as error:
            text = f"{clip.name} was measured, but on a copy of it the analyzer fails: {error.message}"
            return [Observation(name=COPY, status="failed", text=text)]
        late = late or _late_work(worker, row)
        if (here_too := Took.of(row)).seconds < copy.seconds:
            share = row["duration_s"] / max(clip.info.duration_s, 1e-9)
            copy = here_too
            took = Took(*map(max, typical[clip.name].times(share), quickest))
        wanted = events_in(found, copied)
        if here / max(1, wanted) >= events / max(1, expected):
            expected, events = wanted, here
        if not remembered(took, copy) and not finds_little(expected, events):
            break
    seen = [unknown_copy(clip.name, took, copy, expected, events), scheduling(live.meddled)]
    return [*seen, *([late] if late else [])]


def _typical(rows: Sequence[Sample]) -> Took:
    passes = [Took.of(row) for row in rows]
    return Took(median(one.seconds for one in passes), median(one.cpu_s for one in passes))


def _late_work(worker: WorkerProcess, row: Sample) -> Observation:
    before_s, started = tree_cpu_s(worker.pid), perf_counter()
    late_s, most_s = 0.0, LATE_WATCH_S
    while perf_counter() - started < most_s:
        sleep(LATE_WATCH_S)
        now_s = tree_cpu_s(worker.pid) - before_s
        # On a busy machine what goes on in the background gets a core now and then: it is watched for longer.
        most_s = LATE_WATCH_MOST_S if now_s - late_s > LATE_NOTICED_S else LATE_WATCH_S
        late_s = now_s
    return late_work(late_s, row["cpu_s"], perf_counter() - started)


def _timed_rows(live: LiveRun, clip: str) -> list[Sample]:
    return [row for row in live.folder.samples if row["clip"] == clip and row["kind"] == "timed"]
