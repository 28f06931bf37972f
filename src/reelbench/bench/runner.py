"""One run from its configuration to a finished run folder.

    preflight → weights and clips → prepare (own process) → passes (own process) → quality → summary

Each stage is a function that can be read alone; `measure` is the order.
"""

from __future__ import annotations

from collections.abc import Sequence

from reelbench.bench.effective import job_of, make_ready, preflight
from reelbench.bench.observed import check_passes, contradictions
from reelbench.bench.passes import Passes
from reelbench.bench.progress import Progress
from reelbench.bench.records import QualityRecord
from reelbench.bench.reference import reference_results
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.scoring import add_agreement, against_truth
from reelbench.bench.setup import Clips, low_disk, open_clips, open_folder, upstream_of
from reelbench.bench.summary import summarize
from reelbench.config import RunConfig
from reelbench.errors import AnalyzerError, OutputError, UnavailableError
from reelbench.models.store import ModelStore


def measure(config: RunConfig, overrides: Sequence[str], command: str, progress: Progress) -> RunFolder:
    """Measure one configuration and return its folder. What was measured is on disk whatever happens afterwards.

    Raises UnavailableError, InputError, OutputError, WeightsError before anything is measured; KeyboardInterrupt and LoadFailed leave
    a folder whose record says so (``LoadFailed.folder``).
    """
    ready = preflight(config, overrides)
    store = ModelStore()
    clips = open_clips(ready.config, ready.analyzer.weights, store, progress)
    folder = open_folder(config, ready, command, clips, store.hashes(ready.analyzer.weights))
    progress.message(f"run folder: {folder.path}")
    try:
        effective = make_ready(folder, config, ready, overrides, store, progress).config
        job = job_of(effective, folder.log)
        given = upstream_of(effective, clips, store, overrides, folder.log, progress)
        disk = low_disk(config, [folder.path], progress)
        Passes(folder, clips.infos, job, effective.measure, progress, given, disk).run()
        folder.record.quality = _quality(effective, folder, clips, store, overrides, progress)
        conclude(folder)
    except (KeyboardInterrupt, OutputError):
        folder.record.status = "interrupted"
        folder.record.summary |= summarize(folder.samples, folder.frames)
        raise
    except (AnalyzerError, UnavailableError) as error:
        folder.record.status = "failed"
        folder.record.invalid = error.message
        raise
    finally:
        folder.save()
    return folder


def conclude(folder: RunFolder) -> None:
    """Summary, status and validity, from what was measured."""
    record = folder.record
    record.summary |= summarize(folder.samples, folder.frames)
    record.summary["cold_start_s"] = record.cold_start.total_s
    record.status = "failed" if any(clip.status == "failed" for clip in record.clips) else "finished"
    record.observed = [*check_passes(folder.samples, record.deterministic), *record.observed]
    reasons = str(record.evidence.get("contradiction", "")), contradictions(record.observed)
    record.invalid = "; ".join(reason for reason in reasons if reason)
    if not any(row["kind"] == "timed" for row in folder.samples):
        record.invalid = "nothing could be measured"


def _quality(
    config: RunConfig,
    folder: RunFolder,
    clips: Clips,
    store: ModelStore,
    overrides: Sequence[str],
    progress: Progress,
) -> QualityRecord:
    """Score against truth where there is one, and against the reference variant where there is none."""
    record, without = against_truth(config, folder, clips.clips)
    if not without:
        return record
    if config.variant == config.analyzer.reference:
        record.absent["agreement"] = "this variant is the reference"
        return record
    progress.stage(f"reference results ({config.analyzer.reference})")
    try:
        reference, failures = reference_results(config, without, clips.infos, store, overrides, folder.log)
    except (UnavailableError, AnalyzerError) as error:
        record.absent["agreement"] = f"the reference {config.analyzer.reference} did not run: {error.message}"
        return record
    for name, failure in failures.items():
        note = f"{name}: no agreement: the reference {config.analyzer.reference} {failure.status}: {failure.reason}"
        folder.record.notes.append(note)
        progress.message(note)
    if reference:
        add_agreement(record, config, folder, reference)
    else:
        record.absent["agreement"] = f"the reference {config.analyzer.reference} has no result of any clip"
    return record
