"""All workers of a run together: which are there, which cores they hold, and how much memory."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from time import monotonic, sleep
from typing import Any

from reelbench.bench.evidence_check import checked_evidence
from reelbench.bench.process import WorkerDied
from reelbench.bench.worker import Job
from reelbench.system import pool
from reelbench.system.config import Timeouts
from reelbench.system.plans import expected_s
from reelbench.system.pool import Hand
from reelbench.system.tasks import BUILT_IN, Machine, Task, Timings

WEIGH_EVERY_S = 2.0
QUIET_S = 0.25
"""How long after the last task the workers are watched for work that they put off."""
EVIDENCE_S = 30.0


@dataclass
class Peaks:
    """The most that was seen at once, this process with it; ``stopped_idle``: workers that were stopped to make room."""

    pss: int = 0
    rss: int = 0
    workers: int = 0
    stopped_idle: int = 0


class Crew:
    """``hands`` are the workers that are there. One is started when it is needed first, or ahead of all clips."""

    def __init__(self, jobs: Mapping[str, Job], machine: Machine, times: Timeouts, copies: Mapping[str, int]) -> None:
        self.hands: list[Hand] = []
        self.peaks = Peaks()
        self.machine = machine
        self.homes: dict[str, tuple[int, ...]] = {}
        self._jobs, self._times, self._copies = jobs, times, copies
        self._prepared: set[str] = set()
        self._weighed = 0.0
        self.evidence: dict[str, list[dict[str, Any]]] = {}
        """By analyzer, what each of its workers said that it executed."""
        self.idle_cpu_s: dict[str, float] = defaultdict(float)

    @property
    def busy(self) -> list[Hand]:
        return [hand for hand in self.hands if hand.busy]

    @property
    def running(self) -> list[Task]:
        return [hand.task for hand in self.hands if hand.busy and hand.task is not None]

    def free_cores(self) -> tuple[int, ...]:
        taken = {core for hand in self.busy for core in hand.cores}
        return tuple(core for core in self.machine.cores if core not in taken)

    def settle_homes(self, tasks: Iterable[Task], timings: Timings) -> None:
        """The cores on which each worker is started, as many as its tasks want: the work of each core about the same (longest
        processing time first)."""
        cost: dict[str, float] = {}
        wants: dict[str, int] = {}
        for task in tasks:
            cost[task.name] = cost.get(task.name, 0.0) + expected_s(task, timings)
            wants[task.name] = self._count(task)
        loads = dict.fromkeys(self.machine.cores, 0.0)
        for name, seconds in sorted(cost.items(), key=lambda item: -item[1]):
            home = sorted(loads, key=lambda core: loads[core])[: wants[name]]
            self.homes[name] = tuple(sorted(home))
            for core in home:
                loads[core] += seconds / len(home)

    def cores_for(self, task: Task, free: tuple[int, ...]) -> tuple[int, ...]:
        """So many of the free ones as it wants, or as there are at all; nothing where too few are free."""
        count = self._count(task)
        if len(free) < count:
            return ()
        home = self.homes.get(task.name, ())
        return tuple(sorted(sorted(free, key=lambda core: (core not in home, core))[:count]))

    def _count(self, task: Task) -> int:
        return min(task.cores, len(self.machine.cores))

    def idle_for(self, task: Task, free: tuple[int, ...]) -> Hand | None:
        """A worker that could take the task now, rather one that is at home on a free core."""
        idle = [hand for hand in self.hands if hand.name == task.name and not hand.busy]
        fits = [hand for hand in idle if set(hand.home) <= set(free)]
        others = [hand for hand in idle if not hand.rooted and self.cores_for(task, free)]
        return next(iter([*fits, *others]), None)

    def can_take(self, task: Task, free: tuple[int, ...]) -> bool:
        there = Counter(hand.name for hand in self.hands)[task.name]
        more = there < self._copies.get(task.name, 1) and bool(self.cores_for(task, free))
        return more or self.idle_for(task, free) is not None

    def bring_up(self, name: str, task: Task | None, cores: tuple[int, ...], wanted: set[str]) -> None:
        """Start a worker on ``cores``; it takes on ``task`` when it is loaded. ``wanted``: names that will still be needed."""
        self.evict(wanted)
        hand = pool.start(name, self._jobs[name], cores)
        hand.task = task
        hand.steps.extend(
            pool.load_steps(
                analyzer=name not in BUILT_IN,
                prepare=name not in self._prepared,
                load_s=self._times.load_s,
                prepare_s=self._times.prepare_s,
            )
        )
        self.hands.append(hand)
        self.peaks.workers = max(self.peaks.workers, len(self.hands))

    def prepared(self, hand: Hand, wanted: set[str]) -> None:
        """Its network is prepared: go on loading, in a fresh process where there was something to do."""
        self._prepared.add(hand.name)
        if hand.cpu_s < pool.PREPARED_CPU_S:
            hand.step()
            return
        self.drop(hand)
        self.bring_up(hand.name, hand.task, hand.cores, wanted)
        self.hands[-1].began = hand.began

    def drop(self, hand: Hand) -> None:
        hand.count_idle()
        self.idle_cpu_s[hand.name] += hand.idle_cpu_s
        hand.process.kill()
        if hand in self.hands:
            self.hands.remove(hand)

    def idle_so_far(self) -> dict[str, float]:
        """By analyzer, the CPU seconds that its workers used while they had nothing to do."""
        found = defaultdict(float, self.idle_cpu_s)
        for hand in self.hands:
            hand.count_idle()
            found[hand.name] += hand.idle_cpu_s
        return dict(found)

    def stop(self) -> None:
        for hand in list(self.hands):
            self.drop(hand)

    def read_back(self) -> None:
        """When all tasks are over: what the idle workers did since, and what they say that they executed."""
        sleep(QUIET_S)
        self._ask_evidence(self.hands)

    def _ask_evidence(self, hands: Iterable[Hand]) -> None:
        """Of those that have done a task; their answers come together, since each works on its own core."""
        asked: dict[Any, Hand] = {}
        for hand in hands:
            if hand.busy or not hand.tasks_done or hand.name in BUILT_IN:
                continue
            hand.count_idle()  # what the evidence itself costs is not idle work
            hand.rested_cpu_s = None
            with suppress(WorkerDied):
                hand.process.post("evidence")
                asked[hand.process.pipe] = hand
        until = monotonic() + EVIDENCE_S
        while asked and (ready := wait(list(asked), max(0.0, until - monotonic()))):
            for pipe in ready:
                self._keep_evidence(asked.pop(pipe))
        for hand in asked.values():
            self._cannot_say(hand.name, f"no answer within {EVIDENCE_S:g} s")

    def _keep_evidence(self, hand: Hand) -> None:
        try:
            kind, value = hand.process.take()
        except WorkerDied as error:
            self._cannot_say(hand.name, error.message)
            return
        if kind == "evidence":
            self.evidence.setdefault(hand.name, []).append(checked_evidence(dict(value), hand.process.pid))
        else:
            self._cannot_say(hand.name, value[0] if kind == "refused" else str(value))

    def _cannot_say(self, name: str, reason: str) -> None:
        contradiction = f"what executed could not be read back: {reason}"
        self.evidence.setdefault(name, []).append({"contradiction": contradiction})

    def room(self) -> int:
        """Bytes that are left below the cap."""
        return self.machine.memory_bytes - sum(hand.pss for hand in self.hands)

    def evict(self, wanted: set[str]) -> None:
        """Stop idle workers while all hold more than they may: first those that nothing waits for, then the longest idle."""
        idle = sorted((h for h in self.hands if not h.busy), key=lambda hand: (hand.name in wanted, hand.used))
        while idle and self.room() < 0:
            hand = idle.pop(0)
            self._ask_evidence([hand])
            self.drop(hand)
            self.peaks.stopped_idle += 1

    def weigh(self, wanted: set[str]) -> None:
        """Now and then: what all hold, and whether that is too much."""
        if monotonic() - self._weighed < WEIGH_EVERY_S:
            return
        self._weighed = monotonic()
        pss = sum(hand.weigh() if hand.busy else hand.pss for hand in self.hands) + pool.pss_of(os.getpid())
        rss = sum(pool.rss_of(hand.process.pid) for hand in self.hands) + pool.rss_of(os.getpid())
        self.peaks.pss, self.peaks.rss = max(self.peaks.pss, pss), max(self.peaks.rss, rss)
        self.evict(wanted)
