"""What the folder of a comparison of two whole systems holds. ``system_comparison.json`` is a `SystemComparison`.

    system_comparison.json   this record, rewritten after every run
    environment.json         the machine and the software
    a/system/<id>/, b/…      every run of the system (`reelbench.system.records`)
    manifest.json            the hash of every other file, written last (`reelbench.bench.manifest`)
    copy-a/…, copy-b/…       the runs over copies of a clip, for the audit
    report.html              the page

A pair is both arms over the whole corpus, one after the other. Times are makespans in seconds: from the first task to the last, workers
loaded before. Ratios are B over A.

History of ``SYSTEM_COMPARISON_VERSION``:
    1  first version
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.bench.integrity import Checked, Figure
from reelbench.comparison.records import (
    Arm,
    ArmName,
    Audit,
    Calibrated,
    ComparisonRecord,
    Pair,
    Quality,
    QualityVerdict,
    Speed,
)
from reelbench.comparison.records import Verdict as Verdict
from reelbench.results import Readable

SYSTEM_COMPARISON_VERSION = 1
CORPUS = "the whole corpus"
IN_BOTH = "in both arms: "
"""What a note begins with about a task that came to no result in either arm."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class ArmRun(_Model):
    """One run of the whole system, in a pair. ``folder`` is relative to the comparison's. ``queue_share``: run-queue delay of its
    tasks for a second of makespan."""

    pair: int
    arm: ArmName
    folder: str
    makespan_s: float
    video_s: float
    load_wall_s: float
    cpu_s: float
    utilisation: float | None = None
    decode_share: float | None = None
    pss_peak_bytes: int | None = None
    queue_share: float | None = None


class Judged(_Model):
    """One analyzer in both arms. ``quality`` is judged as if it were alone; ``verdict`` is that over all analyzers together:
    ``p_not_worse`` and ``p_worse`` are adjusted by Holm's step-down over the analyzers that have ground truth on two clips or more, and
    None elsewhere. ``cpu_…``: processor seconds for a second of video, of all runs of the arm. ``evidence_…``: what its workers
    executed in the first run; ``invalid``: why its figures must not be used (the audits that it failed)."""

    name: str
    variant_a: str
    variant_b: str
    quality: Quality
    verdict: QualityVerdict
    p_not_worse: float | None = None
    p_worse: float | None = None
    cpu_per_video_s_a: float | None = None
    cpu_per_video_s_b: float | None = None
    evidence_a: dict[str, Any] = Field(default_factory=dict)
    evidence_b: dict[str, Any] = Field(default_factory=dict)
    invalid: str = ""


class SystemComparison(_Model, Checked):
    """System A against system B, decided. ``quality`` is the worst of all analyzers' verdicts. ``left_out``: analyzers that neither
    arm can run here, and why. ``ended_early``: so few pairs were asked for that the rule had not decided. The other fields are as in
    `reelbench.comparison.records.ComparisonRecord`."""

    CODE: ClassVar[tuple[str, ...]] = (*ComparisonRecord.CODE, "system/*.py", "system/ab/*.py")

    version: int = SYSTEM_COMPARISON_VERSION
    id: str
    created: str
    corpus: str
    clips: int
    cores: tuple[int, ...]
    measure: str
    command: Readable
    fingerprint: str
    resume_key: str
    status: Literal["running", "finished", "failed", "interrupted"] = "running"
    verdict: Verdict | None = None
    quality: QualityVerdict | None = None
    invalid: str = ""
    sentence: str = ""
    exit_code: int = 0
    ended_early: bool = False
    a: Arm
    b: Arm
    pairs: list[Pair] = Field(default_factory=list)
    runs: list[ArmRun] = Field(default_factory=list)
    speed: Speed | None = None
    analyzers: dict[str, Judged] = Field(default_factory=dict)
    audits: list[Audit] = Field(default_factory=list)
    left_out: dict[str, str] = Field(default_factory=dict)
    refused: dict[str, str] = Field(default_factory=dict)
    calibration: Calibrated | None = None
    notes: list[str] = Field(default_factory=list)
    seconds: float = 0.0
    mlflow_run_id: str | None = None

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        from reelbench.system.ab.recompute import recomputed

        return recomputed(folder, self)

    def arm(self, name: ArmName) -> Arm:
        return self.a if name == "a" else self.b

    def of(self, name: ArmName) -> list[ArmRun]:
        """The runs of an arm that belong to whole pairs."""
        return [run for run in self.runs if run.arm == name and run.pair < len(self.pairs)]

    def as_comparison(self) -> ComparisonRecord:
        """The part that is the same for a comparison of any kind, for what tells and draws it."""
        return ComparisonRecord(
            id=self.id, created=self.created, analyzer="the whole system", corpus=self.corpus, measure=self.measure,
            command=self.command, fingerprint=self.fingerprint, status=self.status, verdict=self.verdict,
            invalid=self.invalid, sentence=self.sentence, exit_code=self.exit_code, a=self.a, b=self.b, pairs=self.pairs,
            speed=self.speed, calibration=self.calibration, notes=self.notes, audits=self.audits,
        )  # fmt: skip
