"""What the folder of a system run holds. ``system.json`` is a `SystemRecord`; the rest lies beside it.

    system.json                     this record, rewritten as clips come out
    config.yaml                     the resolved configuration: system, plan, and every analyzer's
    environment.json                the machine and the software (`reelbench.bench.environment`)
    timeline.jsonl                  one line for each span of work (`Span`), as they ended; nothing in it is ever changed
    results/<clip>/<analyzer>.json  what the analyzer found (`reelbench.results.AnalyzerResult`)
    logs/<analyzer>.log             what its process wrote
    scratch/                        decoded frames, while they are needed
    manifest.json                   the hash of every other file, written last (`reelbench.bench.manifest`)
    report.html                     the page

A result counts when its file is there and its line with status 'done' is: both survive the death of the run.

History of ``SYSTEM_VERSION``:
    1  first version
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.bench.integrity import Checked, Figure
from reelbench.bench.records import ClipRecord, QualityRecord, RunRecord
from reelbench.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, AnalyzerError
from reelbench.results import Readable

SYSTEM_VERSION = 1

Status = Literal["pending", "done", "failed", "timed_out", "unavailable", "skipped"]
"""'failed', 'unavailable' and 'skipped' (upstream) come with the reason; 'timed_out' with how long was waited."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class Span(_Model):
    """A process at work for the run. ``kind``: 'load' (a worker is started and made ready), 'task' (a clip); 'verdict' is no work: a
    task that is over without having been tried.

    ``start_s`` and ``end_s`` count from the beginning of the ``session`` (each resumption begins one). ``cores`` are the processors
    that it was given. ``attempt`` counts from 1; ``final`` is false where the task was tried again. ``cpu_s`` is that of all its
    threads (None where the process died before it could say). ``sample`` are the phases of the pass (`bench.records.SAMPLE_COLUMNS`),
    as the worker reports them; ``observed`` is what the parent saw of the same (`reelbench.system.observed`).
    """

    session: int
    kind: Literal["load", "task", "verdict"]
    clip: str = ""
    name: str
    status: Status
    reason: str = ""
    start_s: float
    end_s: float
    cores: tuple[int, ...] = ()
    attempt: int = 1
    final: bool = True
    cpu_s: float | None = None
    rss_peak_bytes: int | None = None
    pss_bytes: int | None = None
    sample: dict[str, Any] = Field(default_factory=dict)
    observed: dict[str, float] = Field(default_factory=dict)


class Outcome(_Model):
    """How an analyzer ended on a clip."""

    status: Status = "pending"
    reason: str = ""
    mend: str = ""


class CopySeen(_Model):
    """What an analyzer did on the last copy of a clip that it was given (`reelbench.system.copy_check`).

    ``clip_s``: what it took for so much of the clip itself (not less than for its quickest clip), ``copy_s``
    for the copy, both free of waiting for a core. ``expected``: its events in the part that was copied, ``found`` those in the copy.
    ``failed``: why it came to no result. ``copies``: how many it was given, one after the other.
    """

    clip_s: float = 0.0
    copy_s: float = 0.0
    expected: int = 0
    found: int = 0
    failed: str = ""
    copies: int = 1


class CopyCheck(_Model):
    """The copy of a clip that a run was held against. ``why_not``: why there was none. ``video_s``: how
    much was copied, ``seconds``: what all of it cost, in no other figure."""

    clip: str = ""
    video_s: float = 0.0
    seconds: float = 0.0
    why_not: str = ""

    @property
    def words(self) -> str:
        if self.why_not:
            return f"no copy of a clip was looked at: {self.why_not}"
        return (
            f"a copy of {self.clip} ({self.video_s:.3g} s of video) was encoded anew and looked at, "
            f"which took {self.seconds:.3g} s"
        )


class AnalyzerRecord(_Model):
    """One analyzer in this run. ``variant`` is the one that runs; where that is a fallback ``requested`` is what it stands
    for, and ``fallback_reason`` says why. ``outcomes`` by clip; ``waits_for`` names tasks of the same clip. The figures are over the
    clips that are done: ``cpu_per_video_s`` is processor seconds a second of video, ``share`` of all
    processor time of the run's tasks; None where nothing was done. ``evidence`` is what its workers said
    that they executed, read back when their work was done. ``invalid`` says why its figures must not be
    used: what its workers report contradicts what was asked for, or what the parent saw of them."""

    name: str
    variant: str
    requested: str = ""
    fallback_reason: str = ""
    unavailable: str = ""
    mend: str = ""
    waits_for: tuple[str, ...] = ()
    weights: dict[str, str] = Field(default_factory=dict)
    evidence: dict[str, Any] = Field(default_factory=dict)
    invalid: str = ""
    copy_seen: CopySeen | None = None
    outcomes: dict[str, Outcome] = Field(default_factory=dict)
    seconds: float | None = None
    cpu_s: float | None = None
    cpu_per_video_s: float | None = None
    share: float | None = None
    load_s: float | None = None
    rss_peak_bytes: int | None = None
    quality: QualityRecord = Field(default_factory=QualityRecord)

    @property
    def variants(self) -> str:
        """The variant that runs and, where that is another, the one that was requested before it."""
        return f"{self.requested} → {self.variant}" if self.fallback_reason else self.variant

    @property
    def fallback(self) -> str:
        """A sentence where another variant runs than was requested, else nothing."""
        if not self.fallback_reason:
            return ""
        return f"{self.name}: {self.requested} was requested, {self.variant} ran: {self.fallback_reason}"

    @property
    def counts(self) -> Counter[str]:
        return Counter(outcome.status for outcome in self.outcomes.values())

    @property
    def status(self) -> Status:
        """The worst that happened; 'done' where every clip is."""
        if self.unavailable:
            return "unavailable"
        counts = self.counts
        worst: tuple[Status, ...] = ("pending", "failed", "timed_out", "skipped", "unavailable")
        return next((status for status in worst if counts[status]), "done")


class Session(_Model):
    """One process that worked on this run. Seconds since it began: ``first_task_s``, when the first clip was touched (all workers
    were loaded before it where ``preload`` is on), and ``ended_s``. ``idle_cpu_s``: by analyzer, the CPU seconds that its
    workers and what they started used after a task, while they had nothing to do."""

    began: str
    first_task_s: float | None = None
    ended_s: float | None = None
    parent_cpu_s: float = 0.0
    idle_cpu_s: dict[str, float] = Field(default_factory=dict)


class Totals(_Model):
    """The run in figures. ``makespan_s`` is the wall time of all sessions from their first task to their end; ``load_wall_s`` what came
    before. ``utilisation``: the share of the cores' time in which a task held them; ``decode_share`` of all processor time.
    ``pss_peak_bytes``: the largest proportional set size of this process and all workers together that was seen."""

    video_s: float = 0.0
    makespan_s: float = 0.0
    load_wall_s: float = 0.0
    x_realtime: float | None = None
    cpu_s: float = 0.0
    load_cpu_s: float = 0.0
    utilisation: float | None = None
    decode_share: float | None = None
    pss_peak_bytes: int | None = None
    rss_peak_bytes: int | None = None
    workers_peak: int = 0
    stopped_idle: int = 0


class SystemRecord(_Model, Checked):
    """One run of the whole system."""

    CODE: ClassVar[tuple[str, ...]] = (
        *RunRecord.CODE,
        "system/costs.py",
        "system/observed.py",
        "system/recompute.py",
    )

    version: int = SYSTEM_VERSION
    id: str
    created: str
    command: Readable
    corpus: str
    system: str
    plan: str
    decode: Literal["once", "each"]
    cores: tuple[int, ...]
    memory_bytes: int
    key: str
    status: Literal["running", "finished", "failed", "interrupted"] = "running"
    clips: list[ClipRecord] = Field(default_factory=list)
    analyzers: dict[str, AnalyzerRecord] = Field(default_factory=dict)
    sessions: list[Session] = Field(default_factory=list)
    totals: Totals = Field(default_factory=Totals)
    prediction: dict[str, Any] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    copy_check: CopyCheck | None = None
    mlflow_run_id: str | None = None

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        from reelbench.system.recompute import system_figures

        return system_figures(folder, self)

    @property
    def said(self) -> list[str]:
        """The notes, and what became of the copy of a clip."""
        return [*self.notes, *([self.copy_check.words] if self.copy_check is not None else [])]

    @property
    def counts(self) -> Counter[str]:
        """How many analyzers have which status."""
        return Counter(analyzer.status for analyzer in self.analyzers.values())

    @property
    def invalid(self) -> dict[str, str]:
        """The analyzers whose figures must not be used, and why."""
        return {name: item.invalid for name, item in self.analyzers.items() if item.invalid}

    @property
    def exit_code(self) -> int:
        """0 when all is done or unavailable, 5 where something failed or is invalid, 2 where only a clip could not be read, 130
        interrupted."""
        if self.status in ("interrupted", "running"):
            return EXIT_INTERRUPTED
        outcomes = [outcome.status for analyzer in self.analyzers.values() for outcome in analyzer.outcomes.values()]
        if "failed" in outcomes or "timed_out" in outcomes or self.invalid:
            return AnalyzerError.exit_code
        return EXIT_USAGE if any(clip.status == "refused" for clip in self.clips) else EXIT_OK
