"""One run from its configuration to a finished run folder.

    preflight → weights and clips → prepare (own process) → passes (own process) → quality → summary

Each stage is a function that can be read alone; `measure` is the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reelbench.analyzers.base import Analyzer
from reelbench.bench.environment import environment
from reelbench.bench.passes import LoadFailed, Passes, Progress
from reelbench.bench.process import WorkerProcess
from reelbench.bench.records import ClipRecord, QualityRecord, RunRecord
from reelbench.bench.reference import reference_results
from reelbench.bench.run_folder import RunFolder, find_interrupted, new_run_id
from reelbench.bench.summary import summarize
from reelbench.bench.worker import Job
from reelbench.config import RunConfig, digest, instantiate, other_variant
from reelbench.corpus.clip import Clip
from reelbench.errors import AnalyzerError, InputError, MediaError, UnavailableError
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.paths import write_text


@dataclass(frozen=True, slots=True)
class Effective:
    """The configuration that really runs, its analyzer, and why it is another than the requested one."""

    config: RunConfig
    analyzer: Analyzer
    fallback_reason: str = ""


def preflight(config: RunConfig, overrides: Sequence[str]) -> Effective:
    """Decide before anything is measured whether the variant can run here.

    Raises UnavailableError with the reason and the mending command; with on_unavailable=fallback the named variant takes its place.
    """
    analyzer = instantiate(config.analyzer.constructor)
    verdict = analyzer.available()
    if verdict.ok:
        return Effective(config, analyzer)
    what = f"{config.analyzer.name} {config.variant}"
    if config.on_unavailable == "fail":
        raise UnavailableError(f"{what} is unavailable here: {verdict.reason}", verdict.mend)
    name = config.fallback or config.analyzer.fallback
    fallback = other_variant(overrides, name)
    stand_in = instantiate(fallback.analyzer.constructor)
    if not (second := stand_in.available()).ok:
        raise UnavailableError(f"{what} and its fallback {name} are unavailable here: {second.reason}", second.mend)
    return Effective(fallback, stand_in, f"{config.variant} is unavailable here: {verdict.reason}")


def measure(config: RunConfig, overrides: Sequence[str], command: str, progress: Progress) -> RunFolder:
    """Measure one configuration and return its folder. What was measured is on disk whatever happens afterwards.

    Raises UnavailableError, InputError, OutputError, WeightsError before anything is measured; KeyboardInterrupt and LoadFailed leave
    a folder whose record says so (``LoadFailed.folder``).
    """
    ready = preflight(config, overrides)
    effective = ready.config
    store = ModelStore()
    corpus = instantiate(effective.corpus)
    progress.stage("weights and clips")
    wanted = sorted({*ready.analyzer.weights, *corpus.artifacts()})
    store.ensure(wanted, progress=progress.bytes, download=effective.download)
    clips = corpus.clips(store, progress.items)
    infos, records = _probe(clips, effective)

    folder = _open_folder(config, ready, command, records, store.hashes(ready.analyzer.weights))
    for clip in folder.record.clips:
        if clip.status == "refused":
            progress.message(f"{clip.name}: refused: {clip.error}")
    progress.message(f"run folder: {folder.path}")
    try:
        job = Job(
            effective.analyzer.constructor, effective.media.decode, effective.media.limits, effective.seed, folder.log
        )
        folder.record.cold_start.prepare_s += _prepare(job, effective, progress)
        Passes(folder, infos, job, effective.measure, progress).run()
        folder.record.quality = _quality(effective, folder, clips, infos, store, overrides, progress)
        _conclude(folder)
    except KeyboardInterrupt:
        folder.record.status = "interrupted"
        folder.record.summary |= summarize(folder.samples, folder.frames)
        raise
    except AnalyzerError as error:
        folder.record.status = "failed"
        folder.record.invalid = error.message
        raise
    finally:
        folder.save()
    return folder


def _probe(clips: Sequence[Clip], config: RunConfig) -> tuple[dict[str, ClipInfo], list[ClipRecord]]:
    """Open every clip in a process of its own; what cannot be opened is refused with its reason, the others go on."""
    from reelbench.media.safe_probe import probe_safely

    found = probe_safely([clip.path for clip in clips], config.media.limits)
    infos: dict[str, ClipInfo] = {}
    records: list[ClipRecord] = []
    for clip in clips:
        record = ClipRecord(name=clip.name, sha256=clip.sha256, has_truth=clip.truth is not None, path=str(clip.path))
        info = found[clip.path]
        if isinstance(info, MediaError):
            record.status, record.error = "refused", info.message
        else:
            infos[clip.name] = info
            record.duration_s, record.fps = info.duration_s, info.fps
            record.width, record.height, record.flags = info.width, info.height, list(info.flags)
        records.append(record)
    if not infos:
        reasons = "; ".join(f"{record.name}: {record.error}" for record in records[:3])
        raise InputError(f"no clip of the corpus can be measured: {reasons}")
    return infos, records


def _open_folder(
    config: RunConfig, ready: Effective, command: str, clips: list[ClipRecord], weights: dict[str, str]
) -> RunFolder:
    """A new run folder, or that of an interrupted run of the same configuration, code, clips, weights and machine."""
    import yaml

    machine = environment()
    code = {key: machine[key] for key in ("fingerprint", "reelbench", "code", "packages")}
    key = digest([config.config_hash, ready.config.config_hash, [clip.sha256 for clip in clips], weights, code])
    if config.resume and (folder := find_interrupted(config.runs_dir, key)) is not None:
        folder.record.status = "running"
        folder.record.notes.append(f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return folder
    record = RunRecord(
        run_id=new_run_id(config.analyzer.name, ready.config.variant),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        analyzer=config.analyzer.name,
        requested=config.variant,
        effective=ready.config.variant,
        fallback_reason=ready.fallback_reason,
        corpus=str(config.corpus.get("name", "")),
        measure=config.measure.name,
        command=command,
        config_hash=ready.config.config_hash,
        resume_key=key,
        weights=weights,
        clips=clips,
    )
    folder = RunFolder.create(config.runs_dir, record)
    write_text(folder.path / "config.yaml", yaml.safe_dump(ready.config.model_dump(mode="json"), sort_keys=False))
    write_text(folder.path / "environment.json", _json(machine))
    return folder


def _prepare(job: Job, config: RunConfig, progress: Progress) -> float:
    """Conversion and calibration, in a process that is not measured. Seconds that it took."""
    progress.stage("preparing the network (once a machine)")
    try:
        with WorkerProcess(job) as worker:
            return float(worker.ask("prepare", timeout_s=config.measure.prepare_timeout_s))
    except AnalyzerError as error:
        raise LoadFailed(f"cannot prepare: {error.message}", f"{job.log} has the details") from error


def _quality(
    config: RunConfig,
    folder: RunFolder,
    clips: Sequence[Clip],
    infos: Mapping[str, ClipInfo],
    store: ModelStore,
    overrides: Sequence[str],
    progress: Progress,
) -> QualityRecord:
    """Score against truth where there is one, and against the reference variant where there is none."""
    metric = instantiate(config.quality)
    results = folder.read_results()
    measured = [clip for clip in clips if clip.name in results]
    record = QualityRecord(primary=metric.primary, reference=config.analyzer.reference)
    if reason := str(getattr(instantiate(config.analyzer.constructor), "quality_absent_reason", "")):
        record.absent["quality"] = reason
        return record
    truths = {clip.name: clip.truth for clip in measured if clip.truth is not None}
    if truths:
        scores = metric.against_truth(results, truths)
        record.overall, record.per_clip = dict(scores.overall), {k: dict(v) for k, v in scores.per_clip.items()}
        record.absent |= dict(scores.absent)
    without = [clip for clip in measured if clip.truth is None]
    if not without:
        return record
    if config.variant == config.analyzer.reference:
        record.absent["agreement"] = "this variant is the reference"
        return record
    progress.stage(f"reference results ({config.analyzer.reference})")
    try:
        reference = reference_results(config, without, infos, store, overrides, folder.log)
    except (UnavailableError, AnalyzerError) as error:
        record.absent["agreement"] = f"the reference {config.analyzer.reference} did not run: {error.message}"
        return record
    scores = metric.agreement(results, reference)
    record.agreement = dict(scores.overall)
    record.agreement_per_clip = {k: dict(v) for k, v in scores.per_clip.items()}
    record.absent |= dict(scores.absent)
    return record


def _conclude(folder: RunFolder) -> None:
    record = folder.record
    record.summary |= summarize(folder.samples, folder.frames)
    record.summary["cold_start_s"] = record.cold_start.total_s
    record.status = "failed" if any(clip.status == "failed" for clip in record.clips) else "finished"
    record.invalid = str(record.evidence.get("contradiction", ""))
    if not any(row["kind"] == "timed" for row in folder.samples):
        record.invalid = "nothing could be measured"


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=1)
