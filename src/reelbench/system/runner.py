"""One system run from its configuration to a finished folder.

who takes part → weights and clips → folder (new, or an interrupted one) → tasks → quality → figures
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from weakref import proxy

from reelbench.bench.progress import Progress
from reelbench.bench.records import QualityRecord
from reelbench.bench.setup import low_disk
from reelbench.config import instantiate
from reelbench.errors import OutputError
from reelbench.media.types import ClipInfo
from reelbench.results import AnalyzerResult
from reelbench.system.config import Composed
from reelbench.system.copy_check import check_copy
from reelbench.system.costs import add_costs
from reelbench.system.executor import Executor, Order
from reelbench.system.folder import SystemFolder
from reelbench.system.observed import judge
from reelbench.system.patience import Patient
from reelbench.system.planning.predict import predict, summary_of
from reelbench.system.plans import Plan
from reelbench.system.records import Outcome, Session, Status
from reelbench.system.setup import Prepared, open_folder, prepare, require_disk
from reelbench.system.tasks import BUILT_IN, Key


def run_system(composed: Composed, command: str, progress: Progress) -> SystemFolder:
    """Run everything and return the folder. What was finished is on disk whatever happens, and the same command goes on from there.

    Raises ConfigError, InputError, OutputError; KeyboardInterrupt leaves a folder whose record says so.
    """
    ready = prepare(composed, progress)
    folder = open_folder(ready, command)
    progress.message(f"run folder: {folder.path}")
    return carry_out(ready, folder, progress)


def carry_out(ready: Prepared, folder: SystemFolder, progress: Progress) -> SystemFolder:
    """The tasks that are left, quality, figures. Raises as `run_system`."""
    record = folder.record
    try:
        require_disk(ready, folder)
        _foresee(ready, folder)
        execute(ready, folder, progress)
        progress.stage("quality and figures")
        for name, part in ready.parts.items():
            if not part.unavailable:
                record.analyzers[name].quality = _quality(ready, folder, name)
        for name, why in record.invalid.items():
            progress.message(f"{name}: invalid: {why}")
        record.status = "failed" if _went_wrong(folder) else "finished"
    except (KeyboardInterrupt, OutputError):
        record.status = "interrupted"
        raise
    finally:
        _tell_outcomes(folder)
        add_costs(record, folder.spans)
        folder.save()
    return folder


def _foresee(ready: Prepared, folder: SystemFolder) -> None:
    """What measured timings say that the run will take, kept beside what it took; nothing where nobody measured, or in a resumption."""
    record = folder.record
    able = any(not part.unavailable for part in ready.parts.values())
    if not ready.timings.tasks or not able or record.sessions:
        return
    prediction = predict(ready, ready.timings)
    record.prediction = summary_of(prediction)
    record.notes += [note for note in prediction.notes if note not in record.notes]


def execute(ready: Prepared, folder: SystemFolder, progress: Progress) -> None:
    """Carry out what is left, by the plan."""
    composed, record = ready.composed, folder.record
    plan: Plan = Patient(
        instantiate(composed.plan.order), low_disk(composed.base, [folder.path, folder.scratch], progress)
    )
    tasks = ready.tasks
    states: dict[Key, Status] = {key: span.status for key, span in folder.settled().items()}
    states |= {t.key: "unavailable" for t in tasks if t.name in ready.parts and ready.parts[t.name].unavailable}
    for key in [t.key for t in tasks if t.name in BUILT_IN and t.key not in states]:
        if not any(t.clip == key[0] and key[1] in t.after and t.key not in states for t in tasks):
            states[key] = "done"  # nobody is left who would read it
    session = Session(began=datetime.now(UTC).isoformat(timespec="seconds"))
    record.sessions.append(session)
    _tell_outcomes(folder)
    folder.save()

    def settled(clip: str) -> None:
        _tell_outcomes(folder, clip)
        progress.message(_clip_line(folder, clip))
        folder.save()
        ready.arrivals.ended(clip, seen.now())

    running = {name: part for name, part in ready.parts.items() if not part.unavailable}
    order = Order(
        tasks=[task for task in tasks if task.name not in ready.parts or task.name in running],
        states=states,
        jobs={name: ready.job(name, folder) for name in (*running, *BUILT_IN)},
        infos=_known(folder, ready),
        frames={name: part.needs.frames for name, part in running.items() if part.needs.frames is not None},
        rates={name: part.needs.audio.rate for name, part in running.items() if part.needs.audio is not None},
        config=composed.system,
        machine=ready.machine,
        timings=ready.timings,
        clips_at_once=composed.plan.clips_at_once,
        copies=composed.plan.copies,
        decode_once=composed.plan.decode == "once",
        arrivals=ready.arrivals,
    )
    executor = Executor(order, plan, folder, progress, session, settled)
    seen = proxy(executor)  # a cycle would keep the lease on weights and clips
    try:
        executor.run(lambda: check_copy(ready, order, executor, progress))
    finally:
        judge(record, folder.spans, executor.crew.evidence)
        peaks, totals = executor.crew.peaks, record.totals
        totals.pss_peak_bytes = max(peaks.pss, totals.pss_peak_bytes or 0) or None
        totals.rss_peak_bytes = max(peaks.rss, totals.rss_peak_bytes or 0) or None
        totals.workers_peak = max(peaks.workers, totals.workers_peak)
        totals.stopped_idle += peaks.stopped_idle


def _known(folder: SystemFolder, ready: Prepared) -> dict[str, ClipInfo]:
    """The clips, with the durations that decoding found before this run was resumed."""
    found = {clip.name: clip.duration_s for clip in folder.record.clips if clip.duration_s is not None}
    return {
        name: replace(info, duration_s=found.get(name, info.duration_s)) for name, info in ready.clips.infos.items()
    }


def _tell_outcomes(folder: SystemFolder, only: str | None = None) -> None:
    """Bring the record's outcomes up to what the timeline says, of all clips or of one."""
    clips = {clip.name: clip for clip in folder.record.clips}
    for (clip, name), span in folder.settled(only).items():
        if name in folder.record.analyzers:
            folder.record.analyzers[name].outcomes[clip] = Outcome(status=span.status, reason=span.reason)
        elif span.status != "done" and clips[clip].status != "refused":
            clips[clip].status, clips[clip].error = "refused", span.reason
    for entry in clips.values() if only is None else (clips[only],):
        if entry.status == "pending" and _counts(folder, entry.name).get("pending", 0) == 0:
            entry.status = "measured"


def _counts(folder: SystemFolder, clip: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for analyzer in folder.record.analyzers.values():
        if clip in analyzer.outcomes:
            status = analyzer.outcomes[clip].status
            found[status] = found.get(status, 0) + 1
    return found


def _clip_line(folder: SystemFolder, clip: str) -> str:
    counts = _counts(folder, clip)
    words = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items() if count)
    return f"{clip}: {words}"


def _went_wrong(folder: SystemFolder) -> bool:
    found = [o.status for analyzer in folder.record.analyzers.values() for o in analyzer.outcomes.values()]
    return "failed" in found or "timed_out" in found


def _quality(ready: Prepared, folder: SystemFolder, name: str) -> QualityRecord:
    """The analyzer's results against ground truth, where there is one."""
    config = ready.parts[name].config
    metric = instantiate(config.quality)
    record = QualityRecord(primary=metric.primary, reference=config.analyzer.reference)
    if reason := str(getattr(instantiate(config.analyzer.constructor), "quality_absent_reason", "")):
        record.absent["quality"] = reason
        return record
    results = results_of(folder, name)
    truths = {clip.name: clip.truth for clip in ready.clips.clips if clip.name in results and clip.truth is not None}
    if not truths:
        record.absent["quality"] = "no clip with a result has ground truth"
        return record
    scores = metric.against_truth({clip: results[clip] for clip in truths}, truths)
    record.overall, record.per_clip = dict(scores.overall), {key: dict(one) for key, one in scores.per_clip.items()}
    record.absent |= dict(scores.absent)
    return record


def results_of(folder: SystemFolder, name: str) -> Mapping[str, AnalyzerResult]:
    """The results of one analyzer, by clip."""
    found: dict[str, AnalyzerResult] = {}
    for clip, outcome in folder.record.analyzers[name].outcomes.items():
        if outcome.status == "done" and (result := folder.result((clip, name))) is not None:
            found[clip] = result
    return found
