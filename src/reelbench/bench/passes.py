"""Drive one worker over all clips: load, warm up, repeat in shuffled rounds; a crash costs one clip, not the run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any, Protocol, TypeVar

from reelbench.bench.process import WorkerDied, WorkerProcess
from reelbench.bench.records import ClipRecord, Warmup
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.stationarity import stationary
from reelbench.bench.worker import Job
from reelbench.config import Measure, digest
from reelbench.errors import AnalyzerError, MediaError
from reelbench.media.types import ClipInfo
from reelbench.results import AnalyzerResult

T = TypeVar("T")


class Progress(Protocol):
    """What a run tells while it goes on (`reelbench.report.progress` shows it)."""

    def stage(self, text: str) -> None: ...
    def start(self, total_passes: int) -> None: ...
    def update(self, clip: str, phase: str, done: int, total: int, seconds_left: float | None) -> None: ...
    def bytes(self, what: str, done: int, total: int) -> None: ...
    def items(self, what: str, done: int, total: int) -> None: ...
    def message(self, text: str) -> None: ...


class LoadFailed(AnalyzerError):
    """The analyzer could not be made ready at all: no clip can be measured."""


@dataclass
class _Left:
    """How much is left to measure of one clip."""

    record: ClipRecord
    info: ClipInfo
    done: int = 0
    seconds: float = 0.0
    digest: str = ""

    def wanted(self, measure: Measure) -> bool:
        if self.record.status in ("failed", "refused") or self.done >= measure.repetitions_max:
            return False
        return self.done < measure.repetitions_min or self.seconds < measure.seconds_per_clip


class Passes:
    """Measures the clips of a run folder that still want passes."""

    def __init__(
        self, folder: RunFolder, infos: dict[str, ClipInfo], job: Job, measure: Measure, progress: Progress
    ) -> None:
        self._folder, self._job, self._measure, self._progress = folder, job, measure, progress
        self._record = folder.record
        self._worker: WorkerProcess | None = None
        self._warm = False
        self._parent_cpu_s = 0.0
        self._left = [_Left(clip, infos[clip.name]) for clip in self._record.clips if clip.name in infos]
        for left in self._left:
            rows = [r for r in folder.samples if r["kind"] == "timed" and r["clip"] == left.record.name]
            left.done, left.seconds = len(rows), sum(row["total_s"] for row in rows)

    def run(self) -> None:
        """Measure until every clip has its passes or has failed. On Ctrl-C the worker is killed; what is measured is kept."""
        shuffle = random.Random(self._record.config_hash)
        self._progress.start(sum(max(0, self._measure.repetitions_min - left.done) for left in self._left))
        try:
            while wanted := [left for left in self._left if left.wanted(self._measure)]:
                shuffle.shuffle(wanted)
                for left in wanted:
                    self._pass(left)
            self._finish()
        finally:
            if self._worker is not None:
                self._worker.kill()
            self._folder.save()

    def _pass(self, left: _Left) -> None:
        """One timed pass; a failure ends this clip and, where the process died, the worker."""
        try:
            worker = self._ready_worker(left)
            answer = self._ask(worker, left, f"pass {left.done + 1}")
        except MediaError as error:
            self._give_up(left, "refused", error.message)
        except AnalyzerError as error:
            self._give_up(left, "failed", error.message)
            if isinstance(error, LoadFailed):
                raise
            if isinstance(error, WorkerDied):
                self._worker = None
        else:
            self._keep(left, answer)

    def _keep(self, left: _Left, answer: dict[str, Any]) -> None:
        result = AnalyzerResult.model_validate_json(str(answer["result"]))
        name = left.record.name
        sample = answer["sample"]
        self._folder.add_pass(name, "timed", left.done, sample, answer["frames"])
        found = digest(result.model_dump(mode="json"))
        if left.done == 0:
            self._folder.write_result(result)
        elif left.digest and found != left.digest:
            self._note(f"{name}: results differ between passes: the variant is not deterministic")
        if answer["truncated"] and "truncated" not in left.record.flags:
            left.record.flags.append("truncated")
            self._note(f"{name}: the file ends early or is damaged; what could be decoded was measured")
        left.digest = found
        left.done += 1
        left.seconds += sample["total_s"]
        left.record.repetitions = left.done
        left.record.status = "measured"
        self._folder.save()

    def _give_up(self, left: _Left, status: str, reason: str) -> None:
        left.record.status = "refused" if status == "refused" else "failed"
        left.record.error = reason
        self._progress.message(f"{left.record.name}: {status}: {reason}")
        self._folder.save()

    def _ready_worker(self, first: _Left) -> WorkerProcess:
        """The live worker, or a fresh one, loaded and warmed up on the clip that is measured next."""
        if self._worker is None:
            self._worker, self._warm = self._load(), False
        if not self._warm:
            self._warm_up(self._worker, first)
            self._warm = True
        return self._worker

    def _load(self) -> WorkerProcess:
        self._progress.stage("loading")
        try:
            worker = WorkerProcess(self._job)
            load_s = self._timed(lambda: worker.ask("load", timeout_s=self._measure.load_timeout_s))
        except AnalyzerError as error:
            raise LoadFailed(f"cannot load: {error.message}", f"{self._job.log} has the details") from error
        cold = self._record.cold_start
        if not cold.load_s:
            cold.process_s, cold.load_s = worker.process_s, load_s
        else:
            self._note("the worker had to be started again; cold start is that of the first")
        return worker

    def _warm_up(self, worker: WorkerProcess, left: _Left) -> None:
        """At least ``warmup_min`` passes and until they are stationary; kept as samples of kind 'warmup'."""
        seconds: list[float] = []
        steady: list[float] = []
        while len(seconds) < self._measure.warmup_max:
            answer = self._ask(worker, left, f"warm-up {len(seconds) + 1}")
            sample = answer["sample"]
            self._folder.add_pass(left.record.name, "warmup", len(seconds), sample, [])
            seconds.append(sample["total_s"])
            steady.append(sample["total_s"] - min(sample["run_queue_s"] or 0.0, sample["total_s"] / 2))
            if len(seconds) >= self._measure.warmup_min and stationary(steady):
                break
        self._record.cold_start.first_pass_s = self._record.cold_start.first_pass_s or seconds[0]
        self._record.warmup = Warmup(passes=len(seconds), stationary=stationary(steady), note=f"on {left.record.name}")
        self._record.evidence = self._timed(lambda: worker.ask("evidence", timeout_s=60))

    def _finish(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        timed = sum(row["total_s"] for row in self._folder.samples)
        if timed:
            self._record.summary["parent_cpu_share"] = self._parent_cpu_s / timed

    def _ask(self, worker: WorkerProcess, left: _Left, phase: str) -> dict[str, Any]:
        done = sum(other.done for other in self._left)
        total = sum(max(other.done, self._measure.repetitions_min) for other in self._left)
        pace = sum(other.seconds for other in self._left) / done if done else None
        name = left.record.name
        remaining = pace * max(0, total - done) if pace is not None else None
        self._progress.update(name, phase, done, total, remaining)

        def report(share: float) -> None:
            self._progress.update(name, f"{phase}, {share:.0%}", done, total, remaining)

        return self._timed(
            lambda: worker.ask("analyze", (name, left.info), timeout_s=self._measure.clip_timeout_s, progress=report)
        )

    def _timed(self, ask: Callable[[], T]) -> T:
        before = process_time()
        try:
            return ask()
        finally:
            self._parent_cpu_s += process_time() - before

    def _note(self, text: str) -> None:
        if text not in self._record.notes:
            self._record.notes.append(text)
