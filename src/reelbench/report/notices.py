"""What a reader must know before any figure: whether the run is valid, and what weakens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reelbench.bench.records import RunRecord
from reelbench.report.run_data import RunData
from reelbench.report.wording import number

BUSY_SHARE = 0.10
"""From so many seconds of run-queue delay a second on (all threads together, so it may pass 1) the machine is called busy.
It changes no figure."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One banner. 'bad': do not use the figures; 'warn': read them with this in mind; 'good': nothing speaks against them."""

    level: Literal["bad", "warn", "good"]
    title: str
    text: str


def notices(record: RunRecord, *, only_bad: bool = False) -> list[Notice]:
    """Every reason for caution, the gravest first. Where there is none, one notice says that the run is valid."""
    found = [*_invalidating(record), *_cautions(record)]
    if found or only_bad:
        return found
    return [Notice("good", "Valid run", "What executed agrees with what was requested, and every clip has a status.")]


def unlike(runs: Sequence[RunData]) -> list[Notice]:
    """What makes runs unfit to be put side by side: another machine, another analyzer, other clips."""
    questions = (
        (
            "Different machines",
            "their fingerprints",
            {str(run.environment.get("fingerprint") or "") for run in runs} - {""},
        ),
        ("Different analyzers", "they are of", {run.record.analyzer for run in runs}),
        ("Different corpora", "they are over", {run.record.corpus for run in runs}),
    )
    return [
        Notice("warn", title, f"These runs are not comparable as they stand; {what}: {', '.join(sorted(found))}.")
        for title, what, found in questions
        if len(found) > 1
    ]


def _invalidating(record: RunRecord) -> list[Notice]:
    found = []
    if record.invalid:
        found.append(Notice("bad", "Invalid: do not use these figures", record.invalid))
    contradiction = str(record.evidence.get("contradiction") or "")
    if contradiction and contradiction not in record.invalid:
        found.append(Notice("bad", "The evidence contradicts the request", contradiction))
    failed = [clip.name for clip in record.clips if clip.status == "failed"]
    if failed:
        text = f"The analyzer failed on {len(failed)} of {len(record.clips)} clips; the figures are of the others."
        found.append(Notice("bad", "Some clips failed", text))
    elif record.status == "failed" and not record.invalid:
        found.append(Notice("bad", "The run failed", "See the notes and the worker's log in the run folder."))
    return found


def _is_unusual(record: RunRecord) -> bool:
    """Whether it ran elsewhere than on a CPU in FP32, which every test of ReelBench runs on."""
    device, precision = record.evidence.get("device"), record.evidence.get("precision")
    return not str(device).upper().startswith("CPU") or precision != "fp32"


def _cautions(record: RunRecord) -> list[Notice]:
    found = []
    if record.status in ("interrupted", "running"):
        found.append(Notice("warn", "Not complete", "The run was cut off or still goes on; this is what was measured."))
    if record.requested != record.effective:
        text = f"{record.requested} was requested, {record.effective} ran. {record.fallback_reason}".strip()
        found.append(Notice("warn", "Fallback", text))
    if record.evidence.get("verified_on_hardware") is False and _is_unusual(record):
        text = "Nothing proves that this engine computes here what it should: 'reelbench doctor' compares it with FP32."
        found.append(Notice("warn", "Not verified on this machine", text))
    if uncompared := record.evidence.get("uncompared"):
        found.append(Notice("warn", "Lowered precision, not compared with FP32", f"{uncompared}."))
    refused = sum(clip.status == "refused" for clip in record.clips)
    if refused:
        found.append(Notice("warn", "Refused clips", f"{refused} of {len(record.clips)} clips could not be opened."))
    if record.warmup.passes and not record.warmup.stationary:
        text = f"After {record.warmup.passes} warm-up passes the times still drifted; the spread below shows how much."
        found.append(Notice("warn", "No steady state", text))
    queue = record.summary.get("run_queue_share", 0.0)
    if queue >= BUSY_SHARE:
        text = (
            f"For each second of measured time the worker's threads waited {number(queue)} s for a processor: other programs "
            "had it, or this variant runs more threads than there are processors."
        )
        found.append(Notice("warn", "Waiting for a processor", text))
    return found
