"""Compare two variants, A and B, up to a verdict.

plan both arms → the same clips for both → pairs until a look decides → audits → quality → verdict
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Literal

from reelbench.bench.copy_check import observe_copy
from reelbench.bench.environment import environment
from reelbench.bench.live import LiveRun
from reelbench.bench.progress import Progress
from reelbench.bench.runner import conclude
from reelbench.bench.scoring import add_agreement, against_truth
from reelbench.bench.setup import Clips, open_clips
from reelbench.comparison.arms import ArmPlan, check_alike, open_arm, plan
from reelbench.comparison.audits import (
    audit_arm,
    audit_clocks,
    audit_idle,
    audit_observed,
    audit_parent,
    audit_whole_cost,
    parent_share,
)
from reelbench.comparison.calibrated import delta, process_deviation, read_calibration, restarts
from reelbench.comparison.folder import ComparisonFolder, find_interrupted, new_id
from reelbench.comparison.pairing import ARMS, Pairing, one_sided
from reelbench.comparison.records import ArmName, Audit, ComparisonRecord
from reelbench.comparison.rule import Rule
from reelbench.comparison.schedule import stretched
from reelbench.comparison.verdict import decide, invalidate
from reelbench.config import RunConfig, digest
from reelbench.errors import AnalyzerError, ConfigError, OutputError, UnavailableError
from reelbench.models.store import ModelStore


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be compared. ``comparisons``: how many verdicts are judged together (a gate over several); ``limit``: the largest
    slow-down that a gate allows, which then says when to stop."""

    a: ArmPlan
    b: ArmPlan
    command: str
    design: Literal["interleaved", "code"] = "interleaved"
    comparisons: int = 1
    limit: float | None = None
    resume: bool = False


def compare(
    overrides: Sequence[str], a: str, b: str, command: str, progress: Progress, *, resume: bool = False
) -> tuple[ComparisonFolder, RunConfig]:
    """Compare two variants of an analyzer and return the folder, whose record has the verdict, and the configuration of B.

    ``overrides`` are settings for both arms, as for a run ('analyzer=…', 'corpus=…', 'measure=…'); ``a`` and ``b`` name a variant and
    may add settings of their own. A clip that an arm fails on is left out, and the others are compared; where only one arm fails on
    it the comparison is invalid, as where an arm cannot be loaded. Raises ConfigError,
    UnavailableError, InputError, OutputError before anything is measured; KeyboardInterrupt leaves a folder that ``resume`` finds.
    """
    arms = plan("a", a, overrides), plan("b", b, overrides)
    check_alike(*arms)
    return carry_out(Request(*arms, command, resume=resume), progress), arms[1].config


def carry_out(request: Request, progress: Progress) -> ComparisonFolder:
    """Measure and judge what was planned."""
    config = request.b.ready.config
    store = ModelStore()
    clips = open_clips(config, [*request.a.weights, *request.b.weights], store, progress)
    folder = _open_folder(request, clips, store)
    record = folder.record
    progress.message(f"comparison folder: {folder.path}")
    started = perf_counter()
    lives: dict[ArmName, LiveRun] = {}
    try:
        for arm in (request.a, request.b):
            lives[arm.name] = open_arm(arm, folder, clips, store, request.command, progress)
        folder.save()
        every, why = restarts(config.measure.pairs.restart_every, record.calibration)
        if why and why not in record.notes:
            record.notes.append(why)
        pairs = config.measure.pairs.model_copy(update={"restart_every": every})
        pairing = Pairing(folder, lives, _rule(request, clips, record), pairs, progress)
        pairing.run()
        record.parent_cpu_share = parent_share(record.pairs)
        progress.stage("audits")
        record.audits = _audits(request, lives, record, config)
        for name in ARMS:
            progress.stage(f"audits: a copy of a clip, arm {name}")
            lives[name].folder.record.observed = observe_copy(lives[name])
        pairing.stop()
        _conclude_arms(request, lives, clips, folder)
        for name in ARMS:
            record.audits += audit_observed(name, lives[name])
        record.audits += audit_whole_cost(lives, record.pairs)
        decide(folder, config, pairing.looks, request.comparisons)
        if unequal := one_sided(lives):
            record.status = "failed"
            invalidate(record, "; ".join(unequal))
    except (KeyboardInterrupt, OutputError):
        record.status = "interrupted"
        raise
    except UnavailableError as error:  # its network computes something else here than in FP32
        record.status = "failed"
        invalidate(record, error.message)
        raise
    except AnalyzerError as error:
        record.status = "failed"
        for live in lives.values():
            live.folder.record.status = "failed"
            live.folder.save()
        invalidate(record, error.message)
        progress.message(error.message)
    finally:
        for live in lives.values():
            live.kill()
        record.seconds += perf_counter() - started
        folder.save()
    return folder


def _rule(request: Request, clips: Clips, record: ComparisonRecord) -> Rule:
    settings = request.b.ready.config
    smallest, _ = delta(settings.comparison.smallest_change, record.calibration)
    looks = stretched(settings.measure.pairs.looks, len(clips.infos))
    return Rule(
        looks=looks,
        delta=smallest,
        comparisons=request.comparisons,
        limit=request.limit,
        process_deviation=process_deviation(record.calibration),
    )


def _open_folder(request: Request, clips: Clips, store: ModelStore) -> ComparisonFolder:
    """A new folder or, where that was asked for, the one of the same comparison that was interrupted."""
    config = request.b.config
    key = digest([request.design, request.comparisons, *(arm.key(clips, store) for arm in (request.a, request.b))])
    if request.resume:
        found = find_interrupted(config.runs_dir, key)
        if found is None:
            raise ConfigError(
                "there is no interrupted comparison of these arms, clips, code and machine to go on with",
                "leave out --resume to begin a new one",
            )
        found.record.status = "running"
        found.record.notes.append(f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return found
    fingerprint = environment()["fingerprint"]
    record = ComparisonRecord(
        id=new_id(config.analyzer.name, request.a.label, request.b.label),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        design=request.design,
        analyzer=config.analyzer.name,
        corpus=str(config.corpus.get("name", "")),
        measure=config.measure.name,
        command=request.command,
        fingerprint=fingerprint,
        resume_key=key,
        a=request.a.arm(),
        b=request.b.arm(),
        calibration=read_calibration(fingerprint),
        notes=[f"{name}: refused: {why}" for name, why in clips.refused.items()],
    )
    return ComparisonFolder.create(config.runs_dir, record)


def _audits(
    request: Request, lives: dict[ArmName, LiveRun], record: ComparisonRecord, config: RunConfig
) -> list[Audit]:
    smallest, _ = delta(config.comparison.smallest_change, record.calibration)
    samples = {name: live.folder.samples for name, live in lives.items()}
    audits = [audit_parent(record.pairs, smallest), audit_clocks(samples, record.pairs, smallest)]
    for arm in (request.a, request.b):
        source: Path | None = arm.code.source if arm.code is not None else None
        audits.append(audit_idle(arm.name, record.pairs, smallest))
        audits += audit_arm(arm.name, lives[arm.name], config.measure.clip_timeout_s, source)
    return audits


def _conclude_arms(request: Request, lives: dict[ArmName, LiveRun], clips: Clips, folder: ComparisonFolder) -> None:
    """Scores, summaries and the record's view of both arms. Both are scored by the same code, that of B's configuration."""
    config = request.b.ready.config
    for name in ARMS:
        live = lives[name]
        run = live.folder
        run.record.quality, without = against_truth(config, run, clips.clips)
        if name == "b" and without:
            others = lives["a"].folder.read_results()
            add_agreement(
                run.record.quality,
                config,
                run,
                {clip.name: others[clip.name] for clip in without if clip.name in others},
            )
        run.record.quality.reference = request.a.label
        conclude(run)
        run.save()
        arm = folder.record.arm(name)
        arm.evidence = run.record.evidence
        arm.cold_starts_s += live.starts_s
        arm.rss_peak_bytes = run.record.summary.get("rss_peak_bytes")
        arm.vram_peak_bytes = run.record.summary.get("vram_peak_bytes")
