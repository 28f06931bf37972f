"""A run folder with its live worker, which is loaded, warmed up, asked for one pass at a time, and started again after a crash."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, sleep
from typing import Any, TypeVar
from weakref import proxy

from reelbench.bench.decoded import corrected
from reelbench.bench.evidence_check import checked_evidence
from reelbench.bench.kept_passes import LiveClip, Sample, keep, note, unsteady
from reelbench.bench.observed import meddled
from reelbench.bench.own_code import own_code
from reelbench.bench.private_clips import PrivateClips
from reelbench.bench.process import Code, WorkerProcess, checked_result
from reelbench.bench.process_tree import Scheduling, at_work, tree_cpu_s, was_stopped
from reelbench.bench.progress import Progress
from reelbench.bench.records import Warmup
from reelbench.bench.reference import Upstream
from reelbench.bench.restarting import ClipFailure, LoadFailed, RestartingWorker
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.stationarity import stationary
from reelbench.bench.worker import Job
from reelbench.config import Measure
from reelbench.errors import AnalyzerError
from reelbench.media.types import ClipInfo
from reelbench.models.space import LowDisk
from reelbench.results import AnalyzerResult

T = TypeVar("T")
QUIET_AFTER_S, QUIET_STEP_S = 0.25, 0.001


class LiveRun:
    """Takes clips through one worker and keeps what comes back in the run folder.

    ``told`` is shown where a pass stands (phase and the share of the clip that is done). ``delays_s`` makes a pass over a clip really
    suffer: so many seconds are burnt at each of its frames (`reelbench.comparison.calibration.calibrate` injects slow-downs with it).
    """

    def __init__(
        self,
        folder: RunFolder,
        infos: dict[str, ClipInfo],
        job: Job,
        measure: Measure,
        progress: Progress,
        code: Code | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        self.folder, self.job, self.code = folder, job, code
        self._upstream = upstream or Upstream()
        self._measure, self._progress = measure, progress
        self._record = folder.record
        self.shown = PrivateClips([self.job.log.parent])
        # Weak: a cycle would keep the folder's lock until the collector comes by.
        this = proxy(self)
        self._workers = RestartingWorker(lambda: this._load())
        self._warm = False
        self._planned = False
        self._own_code = ""
        self._left: Scheduling | None = None
        self.meddled = ""
        """What somebody did to slow the worker down."""
        self.package = ""
        """The folder of the code that the worker runs, or ran last."""
        self.starts_s: list[float] = []
        self._watched_s = self._parent_cpu_s = 0.0
        self.delays_s: dict[str, float] = {}
        self.disk: LowDisk | None = None
        """Between passes it is waited for room, where this is given."""
        self.clips = {clip.name: LiveClip(clip, infos[clip.name]) for clip in self._record.clips if clip.name in infos}
        for clip in self.clips.values():
            rows = [r for r in folder.samples if r["kind"] == "timed" and r["clip"] == clip.name]
            clip.done, clip.seconds = len(rows), sum(row["total_s"] for row in rows)
            clip.resumed = clip.done > 0 and not unsteady(folder, clip)
            if clip.done:  # a run that was killed may have saved a pass and not yet the record
                clip.record.repetitions = clip.done
                clip.record.status = "measured" if clip.record.status == "pending" else clip.record.status
        self._record.upstream = dict(self._upstream.costs)
        for text in [*self._upstream.notes, *(cost.text(name) for name, cost in self._upstream.costs.items())]:
            note(self.folder, text)
        for name, failure in self._upstream.failed.items():
            self._give_up(self.clips[name], failure)

    def pass_over(self, clip: LiveClip, told: Callable[[str], None]) -> Sample | None:
        """One timed pass, kept. None where the clip failed or was refused: it then has its reason, and no worker where that died.

        Raises LoadFailed where no worker can be made ready, OutputError where the disk is full and waiting is not wanted.
        """
        if self.disk is not None:
            self.disk.wait()
        got = self._attempt(clip, told, lambda worker: self._left_alone(worker, clip, told))
        return None if isinstance(got, ClipFailure) else keep(self.folder, clip, *got)

    def warm_up(self, clip: LiveClip, told: Callable[[str], None]) -> bool:
        """Make the worker ready to measure ``clip``; False where the clip failed meanwhile. Raises LoadFailed."""
        return not isinstance(self._attempt(clip, told, lambda worker: worker), ClipFailure)

    def fails_too(self, clip: LiveClip, told: Callable[[str], None]) -> bool:
        """Whether ``clip``, on which another arm failed, fails here as well: one pass that is not timed. Raises LoadFailed."""
        if clip.failed:
            return True
        given, timeout_s = self._upstream.of(clip.name), self._measure.clip_timeout_s
        got = self._attempt(
            clip, told, lambda worker: worker.ask_clip("untimed", clip.name, clip.info, given, timeout_s)
        )
        return isinstance(got, ClipFailure)

    def pass_over_copy(self, clip: LiveClip, info: ClipInfo) -> tuple[Sample, int]:
        """One pass over ``info``, a copy of ``clip``, which is not kept, and how many events it has. Raises as `ask`."""
        given, timeout_s = self._upstream.of(clip.name), self._measure.clip_timeout_s
        delay_s = self.delays_s.get(clip.name, 0.0)
        worker = self.ready(clip)
        answer = worker.analyze(f"copy of {clip.name}", info, timeout_s, None, delay_s, given)
        sample: Sample = answer["sample"]
        events = len(AnalyzerResult.model_validate_json(str(answer["result"])).events)
        return sample | seen_from_outside(worker, len(self.starts_s)), events

    def ask(self, request: str, clip: LiveClip, timeout_s: float) -> Any:
        """An unmeasured request about a clip ('untimed', 'repeated'). Raises MediaError and AnalyzerError."""
        given = self._upstream.of(clip.name)
        return self.ready(clip).ask_clip(request, clip.name, clip.info, given, timeout_s)

    def _attempt(
        self, clip: LiveClip, told: Callable[[str], None], work: Callable[[WorkerProcess], T]
    ) -> T | ClipFailure:
        """``work`` with a worker that is warm; where it fails the clip has its reason."""
        try:
            got = self._workers.attempt(lambda _: work(self.ready(clip, told)))
        except LoadFailed as error:
            self._give_up(clip, ClipFailure("failed", error.message))
            raise
        if isinstance(got, ClipFailure):
            self._give_up(clip, got)
        return got

    def ready(self, first: LiveClip, told: Callable[[str], None] = lambda phase: None) -> WorkerProcess:
        """The live worker, or a fresh one, loaded and warmed up on the clip that is measured next."""
        worker = self._workers.ready()
        if not self._warm:
            self._warm_up(worker, first, told)
            self._warm = True
        return worker

    def _left_alone(
        self, worker: WorkerProcess, clip: LiveClip, told: Callable[[str], None]
    ) -> tuple[dict[str, Any], AnalyzerResult]:
        """A timed pass of a worker that nobody may have slowed down since its last request, or may stop."""
        before = Scheduling.of(worker.pid)
        answer = self._timed_pass(worker, clip, told)
        after = Scheduling.of(worker.pid)
        self.meddled = self.meddled or meddled(self._left, before, after, was_stopped(worker.pid))
        self._left = after
        return answer

    def _timed_pass(
        self, worker: WorkerProcess, clip: LiveClip, told: Callable[[str], None]
    ) -> tuple[dict[str, Any], AnalyzerResult]:
        answer = self._analyze(worker, clip, f"pass {clip.done + 1}", told)
        return answer, checked_result(answer["result"], clip.name)

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far of the worker that is up, with all that it started; 0 where none is."""
        process = self._workers.process
        return tree_cpu_s(process.pid) if process is not None else 0.0

    def await_quiet(self) -> None:
        """Wait until nothing of the worker is at work, for `QUIET_AFTER_S` at most.

        After its answer an honest worker lets memory go and its threads come to rest; on a busy
        machine it does so late, and must not do it while another one is measured.
        """
        process = self._workers.process
        until = perf_counter() + QUIET_AFTER_S
        while process is not None and at_work(process.pid) and perf_counter() < until:
            sleep(QUIET_STEP_S)

    def has_upstream(self, clip: LiveClip) -> bool:
        """Whether the analyzer is handed results of others on this clip."""
        return bool(self._upstream.of(clip.name))

    @property
    def parent_cpu_share(self) -> float:
        """CPU seconds of this process for each second of a pass while it was timed, over all passes that it asked for."""
        return self._parent_cpu_s / self._watched_s if self._watched_s else 0.0

    def stop(self) -> None:
        """Let the worker end; the next pass starts a fresh one, which is then no incident."""
        self._planned = self._planned or self._workers.process is not None
        self._workers.stop()

    def kill(self) -> None:
        """End the worker, and remove what it was shown."""
        self._workers.kill()
        self.shown.close()

    def _give_up(self, clip: LiveClip, failure: ClipFailure) -> None:
        clip.record.status, clip.record.error = failure.status, failure.reason
        self._progress.message(f"{clip.name}: {failure.status}: {failure.reason}")
        self.folder.save()

    def _load(self) -> WorkerProcess:
        self._progress.stage("loading")
        self._require_same_code()
        try:
            worker = WorkerProcess(self.job, self.code, clips=self.shown)
            load_s = worker.ask("load", timeout_s=self._measure.load_timeout_s)
        except AnalyzerError as error:
            raise LoadFailed(f"cannot load: {error.message}", f"{self.job.log} has the details") from error
        self._left = Scheduling.of(worker.pid)
        self._warm, self.package = False, str(worker.package)
        self.starts_s.append(worker.process_s + load_s)
        cold = self._record.cold_start
        if not cold.load_s:
            cold.process_s, cold.load_s = worker.process_s, load_s
        elif not self._planned:
            note(self.folder, "the worker had to be started again; cold start is that of the first")
        self._planned = False
        return worker

    def _warm_up(self, worker: WorkerProcess, clip: LiveClip, told: Callable[[str], None]) -> None:
        """At least ``warmup_min`` passes and until they are stationary; kept as samples of kind 'warmup'."""
        seconds: list[float] = []
        steady: list[float] = []
        while len(seconds) < self._measure.warmup_max:
            answer = self._analyze(worker, clip, f"warm-up {len(seconds) + 1}", told)
            sample = answer["sample"]
            self.folder.add_pass(clip.name, "warmup", len(seconds), sample, [])
            seconds.append(sample["total_s"])
            steady.append(sample["total_s"] - min(sample["run_queue_s"] or 0.0, sample["total_s"] / 2))
            if len(seconds) >= self._measure.warmup_min and stationary(steady):
                break
        self._record.cold_start.first_pass_s = self._record.cold_start.first_pass_s or seconds[0]
        self._record.warmup = Warmup(passes=len(seconds), stationary=stationary(steady), note=f"on {clip.name}")
        evidence = worker.ask("evidence", timeout_s=self._measure.load_timeout_s)
        self._record.evidence = checked_evidence(evidence, worker.pid)

    def _analyze(
        self, worker: WorkerProcess, clip: LiveClip, phase: str, told: Callable[[str], None]
    ) -> dict[str, Any]:
        told(phase)

        def report(share: float) -> None:
            told(f"{phase}, {share:.0%}")

        delay_s, upstream = self.delays_s.get(clip.name, 0.0), self._upstream.of(clip.name)

        def analyze() -> dict[str, Any]:
            answer: dict[str, Any] = worker.analyze(
                clip.name, clip.info, self._measure.clip_timeout_s, report, delay_s, upstream
            )
            sample = answer["sample"]
            sample["parent_cpu_s"] = worker.waiting_cpu_s
            sample |= seen_from_outside(worker, len(self.starts_s))
            self._parent_cpu_s += sample["parent_cpu_s"]
            self._watched_s += sample["total_s"]
            return answer

        answer = analyze()
        info = corrected(clip.info, answer)
        if info is clip.info:
            return answer
        # The analyzer was told a wrong duration, and what it derived from that is wrong: this pass does not count.
        clip.info, clip.record.duration_s = info, info.duration_s
        return analyze()

    def _require_same_code(self) -> None:
        """Raises LoadFailed where a fresh worker would run other code of the analyzer than the one before it."""
        if self.code is not None:
            return  # that of a commit, in a checkout of its own
        now = own_code(self.job.analyzer)
        if self._own_code and now != self._own_code:
            raise LoadFailed(
                f"the analyzer's own code was changed while it was measured ({self._own_code[:12]} became {now[:12]})",
                "measure again: passes of two codes are never mixed",
            )
        self._own_code = now


def seen_from_outside(worker: WorkerProcess, number: int) -> Sample:
    """The columns of a sample that the parent knows by itself, of the pass that was just made (`records.SAMPLE_COLUMNS`)."""
    return {
        "request_s": worker.watched.wall_s,
        "request_queue_s": worker.watched.queue_s,
        "request_cpu_s": worker.watched.cpu_s,
        "crossed_bytes": worker.crossed_bytes,
        "worker": number,
    }
