"""Carries the tasks out: one loop in the parent, which sleeps in the kernel until a worker has something to say.

The plan says what is started; the executor knows what is ready, and what happens when a worker fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from multiprocessing.connection import wait
from time import monotonic, process_time
from typing import Any

from reelbench.bench.decoded import corrected, note_facts
from reelbench.bench.private_clips import PrivateClips, ShownClip
from reelbench.bench.process import WorkerDied, checked_result
from reelbench.bench.progress import Progress, Silent
from reelbench.bench.worker import Job
from reelbench.errors import AnalyzerError, MediaError, OutputError
from reelbench.media.types import ClipInfo, FrameRequest
from reelbench.results import AnalyzerResult
from reelbench.system import work
from reelbench.system.arrivals import Arrivals
from reelbench.system.config import SystemConfig
from reelbench.system.crew import Crew
from reelbench.system.folder import SystemFolder
from reelbench.system.ledger import CANNOT_LOAD, Ledger
from reelbench.system.pace import Pace, ShowsStandings, standings_of
from reelbench.system.plans import Plan, Resources
from reelbench.system.pool import Hand, Step
from reelbench.system.records import Session, Status
from reelbench.system.spool import request_key
from reelbench.system.tasks import BUILT_IN, DECODE, SOUND, Key, Machine, Task, Timings

LOOK_EVERY_S = 0.2
SHOW_EVERY_S = 0.5
SLEPT_S = 0.001
"""Waiting took so long: there was no message when it began."""


@dataclass
class Order:
    """What an executor is to do. ``states`` are the tasks that are over already; ``jobs`` by the name of the task; ``frames`` and
    ``rates`` are what each analyzer asks for."""

    tasks: list[Task]
    states: dict[Key, Status]
    jobs: Mapping[str, Job]
    infos: dict[str, ClipInfo]
    frames: Mapping[str, FrameRequest]
    rates: Mapping[str, int]
    config: SystemConfig
    machine: Machine
    timings: Timings
    clips_at_once: int
    copies: Mapping[str, int]
    decode_once: bool
    arrivals: Arrivals = field(default_factory=Arrivals)


class Executor:
    """``run`` returns when every task has ended; ``settled`` is told each clip of which that is so. What was finished is in the folder
    whatever happens. Raises OutputError where the disk is full."""

    def __init__(
        self,
        order: Order,
        plan: Plan,
        folder: SystemFolder,
        progress: Progress,
        session: Session,
        settled: Callable[[str], None],
        crew: Crew | None = None,
    ) -> None:
        self.order, self.plan, self.folder, self.progress, self.session = order, plan, folder, progress, session
        give_up = order.config.give_up_after
        pace = Pace(order.tasks, order.timings, folder.record.prediction.get("makespan_s"))
        self.ledger = Ledger(order.tasks, order.states, folder, session, progress, settled, give_up, pace)
        self.crew = crew or Crew(order.jobs, order.machine, order.config.timeout, order.copies)
        self._shown = monotonic()
        self._spooled: dict[tuple[str, str], int] = {}
        self._private = PrivateClips([folder.path])

    def run(self, afterwards: Callable[[], None] = lambda: None) -> None:
        """``afterwards`` is called while the workers are still there; it is in no figure of the session."""
        cpu, closed = process_time(), False
        tasks = list(self.ledger.open.values())
        try:
            self.plan.begin(tasks, self.order.timings, self.order.machine)
            self.crew.settle_homes(tasks, self.order.timings)
            if self.order.config.preload:
                self._preload(list(dict.fromkeys(task.name for task in tasks)))
            self.session.first_task_s = self.ledger.now()
            self.progress.start(self.ledger.total)
            self._carry_out()
            self.session.ended_s = self.ledger.now()
            self.progress.stage("reading back what executed")
            self.crew.read_back()
            self._close_accounts(cpu)
            closed = True
            afterwards()
        finally:
            self.crew.stop()
            self._private.close()
            self.folder.clear_scratch()
            if not closed:
                self._close_accounts(cpu)

    def _carry_out(self) -> None:
        while True:
            self.ledger.settle_hopeless({task.key for task in self.crew.running})
            coming = self._next_arrival_s() is not None  # asked first: what comes meanwhile is not lost
            self._launch()
            if not self.crew.busy and not coming:
                break
            self._wait()

    def _close_accounts(self, cpu: float) -> None:
        self.session.ended_s = self.session.ended_s or self.ledger.now()
        self.session.parent_cpu_s = process_time() - cpu
        self.session.idle_cpu_s = self.crew.idle_so_far()

    def aside(self, order: Order, plan: Plan, folder: SystemFolder) -> None:
        """Carry out other tasks with the same workers, into another folder. Raises OutputError, which may leave them at work."""
        peaks = replace(self.crew.peaks)
        other = Executor(order, plan, folder, Silent(), folder.record.sessions[-1], lambda clip: None, self.crew)
        try:
            plan.begin(order.tasks, order.timings, order.machine)
            other._carry_out()
        finally:
            other._private.close()
            folder.clear_scratch()
            self.crew.peaks = peaks
            for hand in self.crew.hands:
                hand.rested_cpu_s = None

    def now(self) -> float:
        """Seconds since the first task could begin."""
        return self.ledger.now() - (self.session.first_task_s or 0.0)

    def _next_arrival_s(self) -> float | None:
        """Seconds until the next clip comes that is not there yet; None where none will."""
        times = (self.order.arrivals.at(clip) for clip in {clip for clip, _ in self.ledger.open})
        now = self.now()
        return min((at - now for at in times if now < at < inf), default=None)

    @property
    def _wanted(self) -> set[str]:
        return {task.name for task in self.ledger.open.values()}

    def _preload(self, names: list[str]) -> None:
        """Every worker that will be needed, each on its home cores; fewer where memory ends."""
        self.progress.stage("starting the workers")
        while True:
            free = self.crew.free_cores()
            name = next((one for one in names if set(self.crew.homes[one]) <= set(free)), None)
            if name is not None and self.crew.room() > 0:
                names.remove(name)
                try:
                    self.crew.bring_up(name, None, self.crew.homes[name], self._wanted)
                except WorkerDied as error:
                    self.progress.message(f"{name}: {CANNOT_LOAD}: {error.message}")
            elif self.crew.busy:
                self._wait()
            else:
                return

    # What is started

    def _launch(self) -> None:
        while True:
            running, free = self.crew.running, self.crew.free_cores()
            ready = [task for task in self.ledger.open.values() if self._is_ready(task, running, free)]
            if not ready:
                return
            task = self.plan.next(ready, running, Resources(free, self.crew.room()))
            if task is None:
                if running:
                    return
                task = ready[0]
            self._start(task, free)

    def _is_ready(self, task: Task, running: Sequence[Task], free: tuple[int, ...]) -> bool:
        states, spools = self.ledger.states, self.ledger.spools
        if any(other.key == task.key for other in running) or self.order.arrivals.at(task.clip) > self.now():
            return False
        if any(states.get((task.clip, name)) != "done" for name in task.after):
            return False
        if any((task.clip, name) not in states for name in task.after_if_any):
            return False
        if task.name in BUILT_IN and task.clip not in spools and len(spools) >= self.order.clips_at_once:
            return False
        return self.crew.can_take(task, free)

    def _start(self, task: Task, free: tuple[int, ...]) -> None:
        ledger = self.ledger
        if task.name in BUILT_IN and task.clip not in ledger.spools:
            ledger.spools[task.clip] = self.folder.open_scratch(self._unopened(task.clip).shown)
        done = ledger.total - len(ledger.open)
        self.progress.update(task.clip, task.name, done, ledger.total, self._left_s())
        hand = self.crew.idle_for(task, free)
        if hand is None:
            try:
                self.crew.bring_up(task.name, task, self.crew.cores_for(task, free), self._wanted)
            except WorkerDied as error:  # no process can be had at the moment: the next task tries again
                ledger.settle(task, "failed", f"{CANNOT_LOAD}: {error.message}")
            return
        self._give(hand, task, hand.home if set(hand.home) <= set(free) else self.crew.cores_for(task, free))

    def _give(self, hand: Hand, task: Task, cores: tuple[int, ...]) -> None:
        self.ledger.tries[task.key] += 1
        try:
            step = self._step(task)
        except MediaError as error:  # the file is gone
            self.ledger.settle(task, "failed", error.message)
            return
        try:
            hand.begin("task", task, cores, [step])
        except WorkerDied as error:
            self._died(hand, error.message)

    def _step(self, task: Task) -> Step:
        order, limits = self.order, self.order.config.timeout
        timeout_s = limits.base_s + limits.per_video_s * task.video_s
        message = self._told(task).message(self._upstream(task))
        message["folder"] = str(self.ledger.spools.get(task.clip, ""))
        message["most_bytes"] = int(order.config.spool_mb * 1e6)
        readers = [one for one in self.ledger.open.values() if one.clip == task.clip]
        if task.name == DECODE:
            asked = {request_key(order.frames[t.name]): order.frames[t.name] for t in readers if DECODE in t.after}
            message |= {"info": asdict(order.infos[task.clip])}
            message |= {"function": work.FRAMES, "requests": [asdict(request) for request in asked.values()]}
        elif task.name == SOUND:
            rates = sorted({order.rates[t.name] for t in readers if SOUND in t.after})
            message |= {"info": asdict(order.infos[task.clip]), "function": work.HEAR, "rates": rates}
        elif not order.decode_once:
            return "analyze", message, timeout_s
        else:
            message["function"] = work.ANALYZE
        return "call", message, timeout_s

    def _told(self, task: Task) -> ShownClip:
        """The clip as the task's worker is told of it. Nothing leads an analyzer to its name or to its folder, where
        ground truth lies: one that decodes for itself has a link of its own, and one that reads the spool no file.
        """
        if task.name in BUILT_IN or self.order.decode_once:
            return self._unopened(task.clip)
        return self._private.show(task.clip, self.order.infos[task.clip])

    def _unopened(self, clip: str) -> ShownClip:
        return self._private.name_only(clip, self.order.infos[clip])

    def _own_words(self, task: Task | None, reason: str) -> str:
        """Replace the neutral name and path in a worker's text with those of the clip."""
        return reason if task is None else self._told(task).original_names(reason)

    def _upstream(self, task: Task) -> dict[str, AnalyzerResult]:
        """The results that the task is handed: all that it needs, and what there is of the others."""
        found = {}
        for name in task.waits_for:
            if name not in BUILT_IN and self.ledger.states.get((task.clip, name)) == "done":
                result = self.folder.result((task.clip, name))
                if result is not None:
                    found[name] = result
        return found

    # What workers say, and what is seen of them

    def _wait(self) -> None:
        pipes: dict[Any, Hand] = {hand.process.pipe: hand for hand in self.crew.hands}
        arrives_s = self._next_arrival_s()
        asked = monotonic()
        ready = wait(list(pipes), LOOK_EVERY_S if arrives_s is None else min(LOOK_EVERY_S, arrives_s))
        slept = monotonic() - asked > SLEPT_S
        for pipe, hand in pipes.items():
            if slept or pipe not in ready:
                hand.silent_until = asked if pipe in ready else monotonic()
        for pipe in ready:
            if pipes[pipe] in self.crew.hands:
                self._hear(pipes[pipe])
        self._look()
        self._show()

    def _show(self) -> None:
        """How far each analyzer is, to whoever shows that, and no oftener than anybody reads."""
        if isinstance(self.progress, ShowsStandings) and monotonic() - self._shown >= SHOW_EVERY_S:
            self._shown = monotonic()
            rows = standings_of(self.order.tasks, self.ledger.states, self.crew.running)
            self.progress.standings(rows, self._left_s())

    def _left_s(self) -> float | None:
        hands = [hand for hand in self.crew.busy if hand.kind == "task"]
        running = {hand.task.key: monotonic() - hand.began for hand in hands if hand.task is not None}
        return self.ledger.pace.left_s(list(self.ledger.open.values()), running, self.now())

    def _hear(self, hand: Hand) -> None:
        try:
            kind, value = hand.process.take()
            if kind == "progress":
                return
            if kind == "refused" and hand.kind == "task":
                self._refused(hand, self._own_words(hand.task, value[0]))
            elif kind in ("failed", "refused"):
                reason = value[0] if kind == "refused" else str(value)
                self._fail(hand, "failed", self._own_words(hand.task, reason))
            elif hand.awaited == "prepare":
                self.crew.prepared(hand, self._wanted)
            elif not hand.step():
                self._finished(hand, value)
        except WorkerDied as error:
            self._died(hand, error.message)

    def _finished(self, hand: Hand, value: Any) -> None:
        hand.look()
        hand.weigh()
        task = hand.task
        if hand.kind == "load":
            self.folder.add(self.ledger.span(hand, None, "done"))
            hand.rest()
            if task is not None:
                self._give(hand, task, hand.cores)
            return
        assert task is not None
        if "full" in value:
            raise OutputError(
                f"decoding {task.clip} into {value['full']}: the disk is full",
                "free some space, or choose another folder (system.scratch=DIR); the same command goes on from there",
            )
        try:
            own = self._told(task).result(str(value.get("result", "")))
            result = None if task.name in BUILT_IN else checked_result(own, task.clip)
        except AnalyzerError as error:
            self._fail(hand, "failed", error.message)
            return
        frames = self._frames(task, value, result)
        span = self.ledger.span(hand, task, "done", sample=value["sample"], frames=frames)
        hand.tasks_done += 1
        hand.rest()
        self._learn(task.clip, value)
        self.ledger.end(task, "done", "", span, result)

    def _frames(self, task: Task, value: Mapping[str, Any], result: AnalyzerResult | None) -> dict[str, float]:
        """How many frames were decoded for the task, how many it read, and how many its result speaks of."""
        if result is None:
            self._spooled |= {(task.clip, asked): count for asked, count in value.get("spooled", {}).items()}
            return {}
        found = {"frames_handed": float(len(value["frames"])), "frames_sampled": float(result.frames_sampled)}
        request = self.order.frames.get(task.name)
        if request is not None and (count := self._spooled.get((task.clip, request_key(request)))) is not None:
            found["frames_spooled"] = float(count)
        return found

    def _refused(self, hand: Hand, reason: str) -> None:
        """The clip cannot be read: that is no fault of the worker, which goes on, nor of the analyzer."""
        task = hand.task
        assert task is not None
        hand.look()
        span = self.ledger.span(hand, task, "failed", reason)
        hand.rest()
        self.ledger.end(task, "failed", reason, span, blame=False)

    def _learn(self, clip: str, facts: Mapping[str, Any]) -> None:
        """Keep what decoding found out about a clip: whoever analyzes it next is told its true duration."""
        record = next(one for one in self.folder.record.clips if one.name == clip)
        for sentence in note_facts(record, facts):
            self.progress.message(sentence)
        self.order.infos[clip] = corrected(self.order.infos[clip], facts)
        record.duration_s = self.order.infos[clip].duration_s

    def _died(self, hand: Hand, reason: str) -> None:
        if not hand.busy:
            self.crew.drop(hand)  # killed by somebody while it had nothing to do: a fresh one comes when it is needed
            return
        tried = self.ledger.tries[hand.task.key] if hand.task is not None else 0
        self._fail(hand, "failed", reason, again=hand.kind == "task" and tried <= self.order.config.retries)

    def _look(self) -> None:
        """Memory and time of what works at the moment."""
        cap = self.order.config.worker_memory_mb * 1e6
        for hand in self.crew.busy:
            rss = hand.look()
            if rss > cap:
                self._fail(hand, "failed", f"memory cap: it held {rss / 1e6:.0f} MB, more than {cap / 1e6:.0f} MB")
            elif (now := monotonic()) > hand.deadline:
                self._fail(hand, "timed_out", f"no answer within {now - hand.began:.0f} s: killed")
        self.crew.weigh(self._wanted)

    def _fail(self, hand: Hand, status: Status, reason: str, *, again: bool = False) -> None:
        """A worker that failed is not used again: the next task gets a fresh one."""
        task, ledger = hand.task, self.ledger
        span = ledger.span(hand, task, status, reason, final=not again)
        self.crew.drop(hand)
        if task is None:  # loading ahead of any clip: the first clip tries again, and says why
            self.folder.add(span)
            self.progress.message(f"{hand.name}: cannot load: {reason}")
            return
        if hand.kind == "load":
            ledger.tries[task.key] += 1
            span.reason = reason = f"{CANNOT_LOAD}: {reason}"
        if again:
            self.folder.add(span)
            self.progress.message(f"{task.clip}: {task.name}: {reason}; tried again")
            return
        ledger.end(task, status, reason, span)
