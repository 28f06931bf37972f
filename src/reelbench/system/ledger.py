"""Where every task of a run stands: what is open, how the others ended, who was given up, whose frames are still needed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from reelbench.bench.progress import Progress
from reelbench.results import AnalyzerResult
from reelbench.system.folder import SystemFolder
from reelbench.system.observed import used_cpu_s
from reelbench.system.pace import Pace
from reelbench.system.pool import Hand
from reelbench.system.records import Session, Span, Status
from reelbench.system.tasks import BUILT_IN, DECODE, SOUND, Key, Task

CANNOT_LOAD = "cannot load"
"""What the reason of a task begins with whose worker could not be made ready."""


class Ledger:
    """Every end of a task goes through `end`: into the folder first, then into ``states``.

    ``open`` are the tasks that have not ended; ``tries`` counts attempts; ``broken`` says why an analyzer is not tried any more;
    ``spools`` are the folders of the clips that are decoded and still needed.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        states: dict[Key, Status],
        folder: SystemFolder,
        session: Session,
        progress: Progress,
        settled: Callable[[str], None],
        give_up_after: int,
        pace: Pace,
    ) -> None:
        self.open = {task.key: task for task in tasks if task.key not in states}
        self.states = dict(states)
        self.total = len(self.open)
        self.tries: Counter[Key] = Counter()
        self.broken: dict[str, str] = {}
        self.spools: dict[str, Path] = {}
        self.folder, self.session, self.progress = folder, session, progress
        self._settled, self._give_up_after, self.pace = settled, give_up_after, pace
        self._why: dict[Key, str] = {}
        self._row: Counter[str] = Counter()
        self._kind: dict[str, str] = {}
        self._worked = {name for (_, name), status in states.items() if status == "done"}
        self._began = monotonic()
        self._number = len(folder.record.sessions) - 1

    def now(self) -> float:
        """Seconds since the session began."""
        return monotonic() - self._began

    def end(
        self,
        task: Task,
        status: Status,
        reason: str,
        span: Span,
        result: AnalyzerResult | None = None,
        *,
        blame: bool = True,
    ) -> None:
        """Record how a task ended. ``blame``: whether a failure may be the analyzer's. Raises OutputError where the disk is full."""
        self.folder.add(span, result)
        self.states[task.key] = status
        if task.name in BUILT_IN:
            self._why[task.key] = reason
        self.open.pop(task.key, None)
        if span.kind == "task":
            self.pace.ended(task, span.end_s - span.start_s)
        if status != "done":
            self.progress.message(f"{task.clip}: {task.name}: {status.replace('_', ' ')}: {reason}")
        if task.name not in BUILT_IN and span.kind != "verdict" and blame:
            self._count(task.name, status, reason)
        if not any(clip == task.clip for clip, _ in self.open):
            self._settled(task.clip)
        self._free_spool(task.clip)

    def _count(self, name: str, status: Status, reason: str) -> None:
        """Give up an analyzer that does not work here. One that has done a clip works: what it fails on then are bad clips, and there
        may be any number of them in a row; so may there be before its first good one, but they hardly make it fail alike."""
        if status == "done":
            self._worked.add(name)
            self._row[name] = 0
            return
        kind = status if status == "timed_out" else reason.partition(":")[0]
        self._row[name] = self._row[name] + 1 if self._kind.get(name) == kind else 1
        self._kind[name] = kind
        if self._row[name] >= self._give_up_after and (name not in self._worked or kind == CANNOT_LOAD):
            failed = f"circuit open: it failed on {self._row[name]} clips in a row, the last: {reason}"
            self.broken.setdefault(name, failed)

    def _free_spool(self, clip: str) -> None:
        needed = any(task.clip == clip and (task.name in BUILT_IN or reads(task)) for task in self.open.values())
        if clip in self.spools and not needed:
            shutil.rmtree(self.spools.pop(clip), ignore_errors=True)

    def settle_hopeless(self, running: set[Key]) -> None:
        """End what cannot be done any more: its upstream failed, or its analyzer did too often."""
        for task in list(self.open.values()):
            if task.key in running:
                continue
            if task.name in self.broken:
                self.settle(task, "failed", self.broken[task.name])
                continue
            for name in task.after:
                state = self.states.get((task.clip, name))
                if state is not None and state != "done":
                    why = f": {reason}" if (reason := self._why.get((task.clip, name))) else ""
                    self.settle(task, "skipped", f"it needs {name}, which is {state.replace('_', ' ')}{why}")
                    break

    def settle(self, task: Task, status: Status, reason: str) -> None:
        """End a task that nobody worked on."""
        now, where = self.now(), {"clip": task.clip, "name": task.name, "status": status, "reason": reason}
        span = Span.model_validate({"session": self._number, "kind": "verdict", "start_s": now, "end_s": now, **where})
        self.end(task, status, reason, span)

    def span(
        self,
        hand: Hand,
        task: Task | None,
        status: Status,
        reason: str = "",
        *,
        final: bool = True,
        sample: dict[str, Any] | None = None,
        frames: Mapping[str, float] | None = None,
    ) -> Span:
        """What a worker did just now: a load where there is no task. ``frames``: how many it was given, read and reports."""
        sample = sample or {}
        observed = hand.observed()
        return Span(
            session=self._number,
            kind="task" if task is not None else "load",
            clip=task.clip if task is not None else "",
            name=hand.name,
            status=status,
            reason=reason,
            start_s=hand.began - self._began,
            end_s=self.now(),
            cores=hand.cores,
            attempt=max(1, self.tries[task.key]) if task is not None else 1,
            final=final,
            cpu_s=used_cpu_s(sample.get("cpu_s"), observed["cpu_s"]),
            rss_peak_bytes=max(hand.rss_peak, sample.get("rss_peak_bytes") or 0) or None,
            pss_bytes=hand.pss or None,
            sample=sample,
            observed={**observed, **(frames or {})} if task is not None else {},
        )


def reads(task: Task) -> bool:
    """Whether it takes anything that was decoded for all."""
    return DECODE in task.after or SOUND in task.after
