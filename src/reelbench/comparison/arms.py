"""The two arms of a comparison, from what the user wrote to live runs over the same clips."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from reelbench.bench.effective import Effective, job_of, make_ready, preflight
from reelbench.bench.live import LiveRun
from reelbench.bench.process import Code
from reelbench.bench.progress import Progress
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.setup import Clips, create_folder, low_disk, new_record, resume_key, upstream_of
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.records import Arm, ArmName
from reelbench.config import RunConfig, compose
from reelbench.errors import ConfigError, InputError
from reelbench.models.store import ModelStore


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One arm before it is measured. ``code`` is that of another commit where the comparison is about code."""

    name: ArmName
    label: str
    config: RunConfig
    ready: Effective
    overrides: tuple[str, ...]
    weights: tuple[str, ...]
    code: Code | None = None
    commit: str = ""

    def key(self, clips: Clips, store: ModelStore) -> str:
        return resume_key(self.config, self.ready, clips, store.hashes(self.weights)) + self.commit

    def arm(self) -> Arm:
        return Arm(
            label=self.label,
            variant=self.config.variant,
            effective=self.ready.config.variant,
            run_id="",
            folder=self.name,
            overrides=list(self.overrides),
            commit=self.commit,
        )


def plan(name: ArmName, spec: str, common: Sequence[str]) -> ArmPlan:
    """Read an arm: a variant, and behind it settings of its own ('optimized analyzer.deduplicate=null').

    Raises ConfigError for what does not compose and UnavailableError for what cannot run here.
    """
    words = shlex.split(spec)
    if not words or "=" in words[0]:
        raise ConfigError(f"{name}={spec!r} names no variant", f"{name}=baseline, or {name}='optimized seed=1'")
    overrides = (*common, f"variant={words[0]}", *words[1:])
    config = compose(overrides)
    ready = preflight(config, overrides)
    return ArmPlan(name, " ".join(words), config, ready, overrides, tuple(ready.analyzer.weights))


def check_alike(a: ArmPlan, b: ArmPlan) -> None:
    """ConfigError where the arms would not do the same work, or would be judged by different rules."""
    for key in ("corpus", "quality", "measure", "comparison", "seed"):
        if getattr(a.config, key) != getattr(b.config, key):
            raise ConfigError(f"the arms differ in {key}", f"say {key} once, for both")
    if a.config.media.limits != b.config.media.limits:
        raise ConfigError("the arms differ in media.limits", "say it once, for both")
    if a.config.analyzer.name != b.config.analyzer.name:
        raise ConfigError("the arms are different analyzers", "compare two variants of one analyzer")


def open_arm(
    plan: ArmPlan, folder: ComparisonFolder, clips: Clips, store: ModelStore, command: str, progress: Progress
) -> LiveRun:
    """The arm's run folder, new or that of the interrupted comparison, its network prepared, ready to be asked for passes."""
    path = folder.path / plan.name
    if (path / "run.json").is_file():
        run = RunFolder.open(path)
        run.claim()
        run.record.status = "running"
        _forget_half_pairs(run, folder)
    else:
        key = plan.key(clips, store)
        record = new_record(plan.config, plan.ready, command, clips, store.hashes(plan.weights), key)
        record.comparison = folder.record.id
        run = create_folder(folder.path, record, plan.ready.config, plan.name)
    folder.record.arm(plan.name).run_id = run.record.run_id
    effective = make_ready(run, plan.config, plan.ready, plan.overrides, store, progress, plan.code).config
    folder.record.arm(plan.name).effective = effective.variant
    job = job_of(effective, run.log)
    given = upstream_of(effective, clips, store, plan.overrides, run.log, progress)
    live = LiveRun(run, clips.infos, job, effective.measure, progress, plan.code, given)
    live.disk = low_disk(plan.config, [run.path], progress)
    return live


def _forget_half_pairs(run: RunFolder, folder: ComparisonFolder) -> None:
    """Passes of a pair that was cut off have no partner: they are kept as warm-up, and the pair is measured again."""
    complete: dict[str, int] = {}
    for pair in folder.record.pairs:
        complete[pair.clip] = max(complete.get(pair.clip, 0), pair.repetitions[1])
    for row in run.samples:
        if row["kind"] == "timed" and row["repetition"] >= complete.get(row["clip"], 0):
            row["kind"] = "warmup"
    run.frames = [row for row in run.frames if row["repetition"] < complete.get(row["clip"], 0)]
    if any(pair.repetitions[1] > run.passes()[pair.clip] for pair in folder.record.pairs):
        raise InputError(f"{run.path} lacks samples of pairs that were measured", "begin anew, without --resume")
