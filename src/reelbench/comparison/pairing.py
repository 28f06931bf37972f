"""Measure both arms on the same clips, pair by pair, until an interim look decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from statistics import mean, median

from reelbench.bench.kept_passes import LiveClip, Sample, set_back
from reelbench.bench.live import LiveRun
from reelbench.bench.progress import Progress
from reelbench.bench.restarting import LoadFailed
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.records import ArmName, Look, Pair
from reelbench.comparison.rule import Rule, log_ratios, shared_processes
from reelbench.comparison.schedule import schedule, slice_order
from reelbench.config import Pairs
from reelbench.errors import AnalyzerError

ARMS: tuple[ArmName, ArmName] = ("a", "b")


class ArmFailed(AnalyzerError):
    """An arm cannot be loaded, or no clip is left: nothing can be compared."""


class Pairing:
    """Both arms stay alive, and sleep while the other is measured; after ``restart_every`` pairs both start afresh.

    ``looks`` are appended as they are made. `step` measures one pair; `run` goes on until a look decides or the last is made. A clip
    on which an arm fails is left out from then on (``left_out``: whose fault it was); its earlier pairs count.
    """

    def __init__(
        self, folder: ComparisonFolder, arms: Mapping[ArmName, LiveRun], rule: Rule, settings: Pairs, progress: Progress
    ) -> None:
        self._folder, self._arms, self._rule = folder, arms, rule
        self._settings, self._progress = settings, progress
        self.pairs = folder.record.pairs
        self.looks: list[Look] = []
        self._passes: dict[str, int] = {}
        names = list(arms["a"].clips)
        self.left_out = {name: failing for name in names if (failing := self._failing(name))}
        texts = [left_out_text(arms, name) for name in self.left_out]
        folder.record.notes += [text for text in texts if text not in folder.record.notes]
        self._schedule = schedule(names, folder.record.resume_key)
        for pair in self.pairs:  # what an interrupted comparison has done already
            while next(self._schedule)[0] != pair.clip:
                pass
        # An interrupted comparison goes on in new processes.
        self._processes = 1 + max((pair.processes or 0 for pair in self.pairs), default=-1)
        for pairs in rule.looks:
            if pairs <= len(self.pairs):
                self.looks.append(self._look(self.pairs[:pairs]))

    def _look(self, pairs: Sequence[Pair]) -> Look:
        return self._rule.look(log_ratios(pairs), shared_processes(pairs))

    @property
    def decided(self) -> bool:
        return bool(self.looks) and (
            self._rule.decides(self.looks[-1]) or self._rule.next_look(len(self.pairs)) is None
        )

    def run(self) -> None:
        """Raises ArmFailed; what was measured is kept."""
        self._progress.start(self._goal)
        while not self.decided:
            self.step()

    @property
    def _goal(self) -> int:
        return len(self.pairs) + (self._rule.next_look(len(self.pairs)) or 0)

    def step(self) -> Pair | None:
        """Measure the next pair of the schedule, and look at the data where that is due; None where its clip is left out."""
        if self.pairs and len(self.pairs) % self._settings.restart_every == 0:
            self.stop()
            self._processes = 1 + (self.pairs[-1].processes or 0)
        clip, first = self._next()
        live = {name: self._arms[name].clips[clip] for name in ARMS}
        passes = self._slice(live)
        if passes is None:
            return None
        order = slice_order(first, passes)
        begun = live["a"].done
        samples: dict[str, list[Sample]] = {"a": [], "b": []}
        idle_cpu_s = {"a": 0.0, "b": 0.0}
        for letter in order.lower():
            name: ArmName = "a" if letter == "a" else "b"
            other: ArmName = "b" if name == "a" else "a"
            self._arms[other].await_quiet()
            before_s = self._arms[other].cpu_s
            sample = self._arms[name].pass_over(live[name], self._told(name, live[name]))
            idle_cpu_s[other] += max(0.0, self._arms[other].cpu_s - before_s)
            if sample is None:
                self._leave_out(clip, begun)
                return None
            samples[name].append(sample)
        pair = self._pair(clip, order, (begun, begun + passes), samples)
        pair.a_idle_cpu_s, pair.b_idle_cpu_s = idle_cpu_s["a"], idle_cpu_s["b"]
        self.pairs.append(pair)
        if len(self.pairs) in self._rule.looks:
            self.looks.append(self._look(self.pairs))
        self._folder.save()
        return pair

    def _next(self) -> tuple[str, str]:
        """The next clip that is not left out, and the order of the arms. Raises ArmFailed where none is left."""
        if self.left_out.keys() >= self._arms["a"].clips.keys():
            reasons = "; ".join(one_sided(self._arms) or both_failed(self._arms))
            raise ArmFailed(f"no clip is left to compare the arms on: {reasons}")
        return next(item for item in self._schedule if item[0] not in self.left_out)

    def _leave_out(self, clip: str, complete: int) -> None:
        """An arm failed on ``clip``: see whether the other does too, and measure it no more. Passes after the first ``complete`` ones
        have no partner: they count as warm-up."""
        for name in ARMS:
            arm = self._arms[name]
            arm.fails_too(arm.clips[clip], self._told(name, arm.clips[clip]))
            set_back(arm.folder, arm.clips[clip], complete)
        self.left_out[clip] = self._failing(clip)
        self._folder.record.notes.append(left_out_text(self._arms, clip))
        self._folder.save()

    def _failing(self, clip: str) -> tuple[ArmName, ...]:
        return tuple(name for name in ARMS if self._arms[name].clips[clip].failed)

    def stop(self) -> None:
        for arm in self._arms.values():
            arm.stop()

    def _slice(self, live: Mapping[ArmName, LiveClip]) -> int | None:
        """How many passes each arm makes in a pair on this clip: fixed when it is first met, from the warm-up passes (of another
        clip, perhaps: by the clips' lengths), never from the passes that are compared. None where an arm failed to warm up on it."""
        clip = live["a"].name
        for name in ARMS:
            if not self._make_ready(name, live[name]):
                self._leave_out(clip, live["a"].done)
                return None
        if clip not in self._passes:
            shortest = min(self._expected_s(name, live[name]) for name in ARMS)
            wanted = ceil(self._settings.slice_s / shortest) if shortest > 0 else self._settings.slice_max
            self._passes[clip] = min(max(1, wanted), self._settings.slice_max)
        return self._passes[clip]

    def _make_ready(self, name: ArmName, clip: LiveClip) -> bool:
        arm = self._arms[name]
        try:
            return arm.warm_up(clip, self._told(name, clip))
        except LoadFailed as error:
            what = f"arm {name} ({arm.folder.record.effective}) could not be warmed up on {clip.name}: {error.message}"
            raise ArmFailed(what, f"{arm.job.log} has the details") from error

    def _expected_s(self, name: ArmName, clip: LiveClip) -> float:
        rows = [row for row in self._arms[name].folder.samples if row["kind"] == "warmup"]
        return clip.info.duration_s * float(
            median(row["total_s"] / row["duration_s"] for row in rows if row["duration_s"])
        )

    def _pair(self, clip: str, order: str, repetitions: tuple[int, int], samples: dict[str, list[Sample]]) -> Pair:
        statistic = median if self._settings.statistic == "median" else min
        a, b = ([row["total_s"] for row in samples[name]] for name in ARMS)
        return Pair(
            index=len(self.pairs),
            clip=clip,
            order=order,
            repetitions=repetitions,
            a_s=statistic(a),
            b_s=statistic(b),
            a_queue=_share("run_queue_s", samples["a"]),
            b_queue=_share("run_queue_s", samples["b"]),
            a_parent=_share("parent_cpu_s", samples["a"]),
            b_parent=_share("parent_cpu_s", samples["b"]),
            processes=self._processes,
        )

    def _told(self, name: ArmName, clip: LiveClip) -> Callable[[str], None]:
        return lambda phase: self._tell(name, clip, phase)

    def _tell(self, name: ArmName, clip: LiveClip, phase: str) -> None:
        spent = sum(other.seconds for arm in self._arms.values() for other in arm.clips.values())
        done, goal = len(self.pairs), self._goal
        left = spent / done * (goal - done) if done else None
        label = self._folder.record.arm(name).label
        self._progress.update(clip.name, f"{label}: {phase}", done, goal, left)


def _share(column: str, samples: list[Sample]) -> float | None:
    """Seconds of ``column`` per second of wall time, the mean over the passes of a slice; None where a pass has no such figure."""
    if any(row[column] is None for row in samples):
        return None
    return float(mean(row[column] / row["total_s"] for row in samples))


def left_out_text(arms: Mapping[ArmName, LiveRun], clip: str) -> str:
    """Which arm failed on ``clip``, with the reason of each that did."""
    records = {name: arms[name].clips[clip].record for name in ARMS}
    failed = [f"arm {name} {one.status}: {one.error}" for name, one in records.items() if arms[name].clips[clip].failed]
    return f"{clip}: left out: {'; '.join(failed)}"


def one_sided(arms: Mapping[ArmName, LiveRun]) -> list[str]:
    """A line for each clip on which one arm failed and the other did not: the arms did not do the same work."""
    clips = arms["a"].clips
    return [left_out_text(arms, clip) for clip in clips if len({arms[name].clips[clip].failed for name in ARMS}) > 1]


def both_failed(arms: Mapping[ArmName, LiveRun]) -> list[str]:
    """A line for each clip on which both arms failed."""
    return [
        left_out_text(arms, clip) for clip in arms["a"].clips if all(arms[name].clips[clip].failed for name in ARMS)
    ]
