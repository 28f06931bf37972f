"""One decision of a calibration: a variant against itself, both arms in workers of their own, B delayed or not.

Everything goes through `Pairing` and `Rule`, as in a comparison. Each decision has a stretch of pairs of its own, and fresh workers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import median
from time import perf_counter, time

from pydantic import BaseModel, ConfigDict

from reelbench.bench.effective import job_of
from reelbench.bench.kept_passes import LiveClip, Sample
from reelbench.bench.live import LiveRun
from reelbench.bench.progress import Progress
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.setup import Clips, new_record, upstream_of
from reelbench.comparison.arms import ArmPlan
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.pairing import ARMS, ArmFailed, Pairing
from reelbench.comparison.records import ComparisonRecord, Look, Pair, Verdict
from reelbench.comparison.rule import Rule
from reelbench.models.store import ModelStore

MOST_CANDIDATES = 8
SCOUTING_PASSES = 4
RECENT_PASSES = 12


class Decision(BaseModel):
    """What one decision came to. ``slow_down`` was injected into B (0.1: each pass takes 10 % longer than A's did before the decision),
    as ``delays_s``, seconds of processor time at each sampled frame of a clip. ``started`` is Unix time."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    slow_down: float
    started: float
    seconds: float
    delays_s: dict[str, float]
    pairs: list[Pair]
    looks: list[Look]

    @property
    def last(self) -> Look:
        """The look that decided, or the last one."""
        return self.looks[-1]

    @property
    def verdict(self) -> Verdict:
        return self.last.verdict


@dataclass
class Stretches:
    """Measures decisions one after another. ``recent`` keeps the latest undelayed passes of A over each clip: the delays of the next
    decision are shares of these, never of passes that it compares."""

    a: ArmPlan
    b: ArmPlan
    clips: Clips
    store: ModelStore
    command: str
    progress: Progress
    recent: dict[str, list[Sample]] = field(default_factory=dict)
    start_s: float = 0.0

    def scout(self, folder: Path, keep: int) -> list[str]:
        """Pass over the shortest clips, go on with the ``keep`` that take least time, and return their names. A clip that fails is
        told and passed over. Raises ArmFailed where none can be measured."""
        live = self._open(self.a, folder)
        try:
            first: dict[str, list[Sample]] = {}
            for clip in sorted(live.clips.values(), key=lambda clip: clip.info.duration_s):
                if len(first) < MOST_CANDIDATES and (rows := self._scouted(live, clip, 1)) is not None:
                    first[clip.name] = rows
            by_time = sorted(first, key=lambda name: float(first[name][0]["total_s"]))
            self.recent = {}
            for name in by_time:
                if (
                    len(self.recent) < keep
                    and (rows := self._scouted(live, live.clips[name], SCOUTING_PASSES)) is not None
                ):
                    self.recent[name] = rows
            if not self.recent:
                reasons = "; ".join(f"{clip.name}: {clip.record.error}" for clip in live.clips.values())
                raise ArmFailed(f"no clip can be measured: {reasons[:300]}", f"{live.job.log} has the details")
            self.start_s = live.starts_s[0]
            live.stop()
        finally:
            live.kill()
        self.keep_only(list(self.recent))
        return list(self.recent)

    def keep_only(self, names: list[str]) -> None:
        """Measure these clips from now on."""
        clips = [clip for clip in self.clips.clips if clip.name in names]
        self.clips = Clips(clips, {name: self.clips.infos[name] for name in names}, {}, self.clips.lease)

    def expected_s(self, pairs: int) -> float:
        """About how long a decision over so many pairs takes."""
        measure = self.b.ready.config.measure
        passes = [float(median(row["total_s"] for row in rows)) for rows in self.recent.values()]
        pair_s = 2 * median(
            seconds * min(max(1, ceil(measure.pairs.slice_s / seconds)), measure.pairs.slice_max) for seconds in passes
        )
        starts = ceil(pairs / measure.pairs.restart_every)
        return float(pairs * pair_s + 2 * starts * (self.start_s + (measure.warmup_min + 1) * median(passes)))

    def delays_s(self, slow_down: float) -> dict[str, float]:
        """Seconds at each sampled frame of a clip that make a pass of A so much longer."""
        if not slow_down:
            return {}
        return {
            clip: slow_down * median(row["total_s"] for row in rows) / max(1, rows[-1]["frames_sampled"])
            for clip, rows in self.recent.items()
        }

    def measure(self, path: Path, seed: str, slow_down: float, rule: Rule, pairs: int | None = None) -> Decision:
        """Pair both arms until a look decides, or ``pairs`` times whatever the looks say. Every pass is kept under ``path``.

        Raises ArmFailed, LoadFailed; then, as when it is cut off, nothing of this decision counts.
        """
        started, begun = time(), perf_counter()
        delays = self.delays_s(slow_down)
        folder = _InMemory(path, self._record(path.name, seed))
        lives = {name: self._open(plan, path / name) for name, plan in zip(ARMS, (self.a, self.b), strict=True)}
        lives["b"].delays_s = delays
        try:
            pairing = Pairing(folder, lives, rule, self.b.ready.config.measure.pairs, self.progress)
            if pairs is None:
                pairing.run()
            else:
                while len(pairing.pairs) < pairs:
                    pairing.step()
        finally:
            for live in lives.values():
                live.kill()
        for live in lives.values():
            live.folder.record.status = "finished"
            RunFolder.save(live.folder)
        for name in self.recent:
            rows = [row for row in lives["a"].folder.samples if row["clip"] == name and row["kind"] == "timed"]
            self.recent[name] = [*self.recent[name], *rows][-RECENT_PASSES:]
        return Decision(
            slow_down=slow_down,
            started=started,
            seconds=perf_counter() - begun,
            delays_s=delays,
            pairs=pairing.pairs,
            looks=pairing.looks,
        )

    def _scouted(self, live: LiveRun, clip: LiveClip, passes: int) -> list[Sample] | None:
        """So many passes over a clip; None where it fails."""
        rows: list[Sample] = []
        if clip.failed:  # what it needs from upstream is missing
            return None
        for _ in range(passes):
            row = live.pass_over(
                clip, lambda phase: self.progress.update("trying clips", f"{clip.name}: {phase}", 0, 0, None)
            )
            if row is None:
                return None
            rows.append(row)
        return rows

    def _open(self, arm: ArmPlan, path: Path) -> LiveRun:
        record = new_record(arm.config, arm.ready, self.command, self.clips, {}, "")
        record.run_id, record.comparison = path.name, path.parent.name
        folder = _LateFolder.create(path.parent, record, path.name)
        config = arm.ready.config
        given = upstream_of(config, self.clips, ModelStore(), arm.overrides, folder.log, self.progress)
        job = job_of(config, folder.log)
        return LiveRun(folder, self.clips.infos, job, config.measure, self.progress, upstream=given)

    def _record(self, id_: str, seed: str) -> ComparisonRecord:
        config = self.b.config
        return ComparisonRecord(
            id=id_,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            analyzer=config.analyzer.name,
            corpus=str(config.corpus.get("name", "")),
            measure=config.measure.name,
            command=self.command,
            fingerprint="",
            resume_key=seed,
            a=self.a.arm(),
            b=self.b.arm(),
        )


class _LateFolder(RunFolder):
    """Written once, at the end: a decision that is cut off is measured again as a whole, and hundreds follow one another."""

    def save(self) -> None:
        pass


class _InMemory(ComparisonFolder):
    """A decision's state while it is measured; what becomes of it is a `Decision`."""

    def save(self) -> None:
        pass
