"""The executor without processes: the same plan is asked the same questions, and time passes by the timings.

What `reelbench.system.executor` does is done here in the same order, with its own crew (who may take which task on which core,
which idle workers are stopped to make room), whose workers are no processes here. A task goes on the slower the more of the other
cores work, as its timing says. Left out: failures, and the time that the parent needs.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from reelbench.errors import ConfigError
from reelbench.system.config import Timeouts
from reelbench.system.crew import Crew
from reelbench.system.planning.crowding import stretched
from reelbench.system.plans import Plan, Resources, expected_s
from reelbench.system.pool import Hand
from reelbench.system.records import Span
from reelbench.system.tasks import BUILT_IN, DECODE, SOUND, Key, Machine, Task, Timings, downstream


@dataclass(frozen=True, slots=True)
class Setting:
    """What an executor would be told. ``tasks`` in the order of the clips; what one waits for and is not among them counts as ended.

    ``seconds`` are what tasks really take where that is known and is not what ``timings``, which the plan sees, make of them.
    """

    tasks: Sequence[Task]
    timings: Timings
    machine: Machine
    clips_at_once: int = 2
    copies: Mapping[str, int] = field(default_factory=dict)
    preload: bool = True
    seconds: Mapping[Key, float] = field(default_factory=dict)

    def takes(self, task: Task) -> float:
        """Seconds; those of `plans.expected_s` where nothing else is known."""
        known = self.seconds.get(task.key)
        return expected_s(task, self.timings) if known is None else known

    def beside(self, task: Task) -> float:
        """How many times as long it takes while all other cores work; 1 where nobody measured that, and for seconds that are known."""
        timing = self.timings.tasks.get(task.name)
        return 1.0 if timing is None or task.key in self.seconds else timing.beside or 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What happened. ``spans`` in the order in which they ended; ``load_wall_s`` passed before the first task."""

    spans: tuple[Span, ...]
    load_wall_s: float
    cores: tuple[int, ...]
    pss_peak_bytes: int
    stopped_idle: int

    @property
    def work(self) -> list[Span]:
        return [span for span in self.spans if span.kind == "task"]

    @property
    def makespan_s(self) -> float:
        """From the first task to the end of the last one; 0 where there is none."""
        return max((span.end_s for span in self.work), default=self.load_wall_s) - self.load_wall_s

    @property
    def utilisation(self) -> float | None:
        """The share of the cores' time in which a task held them."""
        held = sum(len(span.cores) * (span.end_s - span.start_s) for span in self.work)
        return held / (len(self.cores) * self.makespan_s) if self.makespan_s else None


def simulate(setting: Setting, plan: Plan) -> Schedule:
    """Play the whole run. ConfigError where the plan names a task that is not ready, or tasks are left that nothing can start."""
    return _Simulation(setting, plan).run()


class _Nobody:
    """Stands where a worker's process would."""

    pid = 0

    def kill(self) -> None:
        pass


@dataclass(eq=False)
class _Worker(Hand):
    """A worker in simulated time: what it does now began at ``started_s``, and takes ``left_s`` more when no other core works;
    ``beside`` times that when all do."""

    started_s: float = 0.0
    left_s: float = 0.0
    beside: float = 1.0


class _Crew(Crew):
    """The executor's crew; ``now`` is the time in the simulation."""

    def __init__(self, setting: Setting) -> None:
        never = Timeouts(base_s=1, per_video_s=0, load_s=1, prepare_s=1)
        super().__init__({}, setting.machine, never, setting.copies)
        self.now = 0.0
        self._set = setting

    def bring_up(self, name: str, task: Task | None, cores: tuple[int, ...], wanted: set[str]) -> None:
        self.evict(wanted)
        timing = self._set.timings.tasks.get(name)
        left_s = timing.load_s if timing is not None else 0.0
        process = cast(Any, _Nobody())
        self.hands.append(_Worker(name, process, cores, task=task, cores=cores, started_s=self.now, left_s=left_s))
        self.peaks.workers = max(self.peaks.workers, len(self.hands))

    def give(self, hand: Hand, task: Task, cores: tuple[int, ...]) -> None:
        assert isinstance(hand, _Worker)
        hand.kind, hand.task, hand.cores, hand.busy = "task", task, cores, True
        hand.started_s, hand.left_s, hand.beside = self.now, self._set.takes(task), self._set.beside(task)

    def advance(self) -> list[_Worker]:
        """To the next moment at which something ends; the workers whose work that is."""
        working = [hand for hand in self.busy if isinstance(hand, _Worker)]
        held, there = sum(len(hand.cores) for hand in working), len(self.machine.cores)
        slow = [stretched(hand.beside, _share(held - len(hand.cores), there - len(hand.cores))) for hand in working]
        needed = [hand.left_s * factor for hand, factor in zip(working, slow, strict=True)]
        passed = min(needed)
        self.now += passed
        for hand, factor in zip(working, slow, strict=True):
            hand.left_s -= passed / factor
        return [hand for hand, seconds in zip(working, needed, strict=True) if seconds <= passed]

    def loaded(self, hand: _Worker) -> None:
        timing = self._set.timings.tasks.get(hand.name)
        hand.pss = timing.pss_bytes if timing is not None else 0
        self.peaks.pss = max(self.peaks.pss, sum(one.pss for one in self.hands))
        hand.busy, hand.used = False, self.now

    def ended(self, hand: _Worker) -> None:
        hand.busy, hand.task, hand.used = False, None, self.now


def _share(held: int, cores: int) -> float:
    return held / cores if cores else 0.0


class _Simulation:
    def __init__(self, setting: Setting, plan: Plan) -> None:
        self._set, self._plan = setting, plan
        self._crew = _Crew(setting)
        self._at = {task.key: at for at, task in enumerate(setting.tasks)}
        self._left = {task.key: sum((task.clip, n) in self._at for n in task.waits_for) for task in setting.tasks}
        self._waiting = downstream(setting.tasks)
        self._open = Counter(task.name for task in setting.tasks)
        self._startable = [at for at, task in enumerate(setting.tasks) if not self._left[task.key]]
        self._readers = Counter(task.clip for task in setting.tasks if _uses_spool(task))
        self._spools: set[str] = set()
        self._spans: list[Span] = []

    def run(self) -> Schedule:
        self._plan.begin(list(self._set.tasks), self._set.timings, self._set.machine)
        self._crew.settle_homes(self._set.tasks, self._set.timings)
        if self._set.preload:
            self._preload()
        first = self._crew.now
        while True:
            self._launch()
            if not self._crew.busy:
                break
            self._advance()
        if left := [name for name, count in self._open.items() if count]:
            raise ConfigError(f"nothing can start {left[0]}: it waits for what never ends")
        peaks = self._crew.peaks
        return Schedule(tuple(self._spans), first, self._set.machine.cores, peaks.pss, peaks.stopped_idle)

    @property
    def _wanted(self) -> set[str]:
        return {name for name, count in self._open.items() if count}

    def _preload(self) -> None:
        crew, names = self._crew, list(self._open)
        while True:
            free = crew.free_cores()
            name = next((one for one in names if set(crew.homes[one]) <= set(free)), None)
            if name is not None and crew.room() > 0:
                names.remove(name)
                crew.bring_up(name, None, crew.homes[name], self._wanted)
            elif crew.busy:
                self._advance()
            else:
                return

    def _launch(self) -> None:
        while True:
            running, free = self._crew.running, self._crew.free_cores()
            startable = [self._set.tasks[at] for at in self._startable] if free else []
            ready = [task for task in startable if self._is_ready(task, free)]
            if not ready:
                return
            task = self._plan.next(ready, running, Resources(free, self._crew.room()))
            if task is None:
                if running:
                    return
                task = ready[0]
            if task not in ready:
                raise ConfigError(f"the plan named {task.name} on {task.clip}, which is not ready")
            self._start(task, free)

    def _is_ready(self, task: Task, free: tuple[int, ...]) -> bool:
        if task.name in BUILT_IN and task.clip not in self._spools and len(self._spools) >= self._set.clips_at_once:
            return False
        return self._crew.can_take(task, free)

    def _start(self, task: Task, free: tuple[int, ...]) -> None:
        crew = self._crew
        self._startable.remove(self._at[task.key])
        if task.name in BUILT_IN:
            self._spools.add(task.clip)
        hand = crew.idle_for(task, free)
        if hand is None:
            crew.bring_up(task.name, task, crew.cores_for(task, free), self._wanted)
            return
        crew.give(hand, task, hand.home if set(hand.home) <= set(free) else crew.cores_for(task, free))

    def _advance(self) -> None:
        for hand in self._crew.advance():
            self._spans.append(_span(hand, self._crew.now))
            task = hand.task
            if hand.kind == "load":
                self._crew.loaded(hand)
                if task is not None:
                    self._crew.give(hand, task, hand.cores)
            elif task is not None:
                self._crew.ended(hand)
                self._end(task)
        self._crew.evict(self._wanted)

    def _end(self, task: Task) -> None:
        self._open[task.name] -= 1
        for other in self._waiting[task.key]:
            self._left[other.key] -= 1
            if not self._left[other.key]:
                insort(self._startable, self._at[other.key])
        if _uses_spool(task):
            self._readers[task.clip] -= 1
        if not self._readers[task.clip]:
            self._spools.discard(task.clip)


def _uses_spool(task: Task) -> bool:
    return task.name in BUILT_IN or DECODE in task.after or SOUND in task.after


def _span(hand: _Worker, now: float) -> Span:
    return Span(
        session=0,
        kind="load" if hand.kind == "load" else "task",
        clip=hand.task.clip if hand.task is not None and hand.kind != "load" else "",
        name=hand.name,
        status="done",
        start_s=hand.started_s,
        end_s=now,
        cores=hand.cores,
        cpu_s=now - hand.started_s,
        pss_bytes=hand.pss or None,
    )
