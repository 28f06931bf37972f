"""Hold a run against a pass over a copy of a clip that nobody has seen, and against what its worker does afterwards."""

from __future__ import annotations

from math import inf
from random import SystemRandom
from statistics import median
from time import perf_counter, sleep

from reelbench.bench.kept_passes import Sample
from reelbench.bench.live import LiveRun
from reelbench.bench.observed import Observation, late_work, remembered, steady_s, unknown_copy
from reelbench.bench.process import WorkerProcess
from reelbench.bench.process_tree import tree_cpu_s
from reelbench.bench.reencode import LONGEST_S, reencoded
from reelbench.errors import AnalyzerError, MediaError

LATE_WATCH_S, LATE_WATCH_MOST_S, LATE_NOTICED_S = 0.2, 2.0, 0.001
OPINIONS = 3


def observe_copy(live: LiveRun) -> list[Observation]:
    """One pass over a copy of one clip that nobody has seen before, and a look at what the worker does after its answer.

    The clip is drawn at random among the measured ones, the long ones left out where there are short ones.
    """
    rows = {name: _timed_rows(live, name) for name in live.clips}
    measured = [clip for clip in live.clips.values() if rows[clip.name] and not clip.failed]
    if not measured:
        return []
    most_s = max(LONGEST_S, min(clip.info.duration_s for clip in measured))
    clip = SystemRandom().choice([clip for clip in measured if clip.info.duration_s <= most_s])
    per_second = median(steady_s(row) / max(row["duration_s"], 1e-9) for row in rows[clip.name])
    worker = live.ready(clip)
    copy_s = clip_s = inf
    late = None
    for _ in range(OPINIONS):  # a busy neighbour slows a copy down once, a memory does not know any
        try:
            info = reencoded(clip.info, live.shown.empty_folder(), live.job.limits)
        except MediaError as error:
            name = unknown_copy(clip.name, 1.0, 1.0).name
            return [Observation(name=name, status="not applicable", text=error.message)]
        try:
            row = live.pass_over_copy(clip, info)
        except (AnalyzerError, MediaError) as error:
            text = f"{clip.name} was measured, but on a copy of it the analyzer fails: {error.message}"
            return [Observation(name=unknown_copy(clip.name, 1.0, 1.0).name, status="failed", text=text)]
        late = late or _late_work(worker, row)
        if steady_s(row) < copy_s:
            copy_s, clip_s = steady_s(row), per_second * row["duration_s"]
        if not remembered(clip_s, copy_s):
            break
    return [unknown_copy(clip.name, clip_s, copy_s), *([late] if late else [])]


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
