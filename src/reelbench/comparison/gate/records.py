"""The record of a gate: ``gate.json`` in ``<runs_dir>/gates/<id>/`` is a `GateRecord`.

Exit codes, the worst first (`EXIT_ORDER`): 5 something is invalid, 1 a limit is broken, 4 something could not run here, 3 something
could not be decided, 0 everything passed. What the policy tolerates (warn, pass) does not count.

History of ``GATE_VERSION``:
    1  first version
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.bench.integrity import Checked, Figure
from reelbench.comparison.records import Calibrated, ComparisonRecord
from reelbench.errors import (
    EXIT_FAILED,
    EXIT_INCONCLUSIVE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_REGRESSION,
    EXIT_UNAVAILABLE,
)
from reelbench.results import Readable

GATE_VERSION = 1

Question = Literal["speed", "quality", "memory", "cold start"]
Answered = Literal["passed", "failed", "inconclusive"]
Status = Literal["passed", "failed", "inconclusive", "unavailable", "invalid"]
EXIT_CODES: dict[Status, int] = {
    "invalid": EXIT_FAILED,
    "failed": EXIT_REGRESSION,
    "unavailable": EXIT_UNAVAILABLE,
    "inconclusive": EXIT_INCONCLUSIVE,
    "passed": EXIT_OK,
}
"""The worst first."""
GateStatus = Literal[Status, "running", "interrupted"]
"""``running`` is also what is left on the disk of a gate that was killed; whoever reads it finds out
(`reelbench.bench.record_folder.read_record_file`)."""
STATUSES: tuple[Status, ...] = tuple(EXIT_CODES)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class Answer(_Model):
    """One question of one check. ``value`` is a ratio B/A (for quality the difference B - A), ``low`` and ``high`` its bounds where
    there are any, ``limit`` what it is held against (a share; for quality the margin in points of the metric). ``policy_limit`` is
    the policy's own, where the machine's floor raised it to ``limit``."""

    question: Question
    status: Answered
    text: str
    limit: float | None = None
    policy_limit: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


class CheckResult(_Model):
    """One (analyzer, variant). ``questions`` are those that the policy asks; ``answers`` are empty where nothing was measured, and
    ``text`` then says why. ``tolerated``: the policy lets this status pass. ``comparison`` and ``page``: paths of its folder and page.
    """

    analyzer: str
    variant: str
    corpus: str
    measure: str
    questions: list[Question]
    status: Status
    text: str = ""
    hint: str = ""
    tolerated: bool = False
    warn: bool = False
    answers: list[Answer] = Field(default_factory=list)
    sentence: str = ""
    comparison: str = ""
    page: str = ""
    notes: list[str] = Field(default_factory=list)
    pairs: int = 0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.analyzer} {self.variant}"

    def answer(self, question: str) -> Answer | None:
        return next((answer for answer in self.answers if answer.question == question), None)


class Side(_Model):
    """What was measured as A or B: a label for readers, the commit (empty for none), and how its environment came about."""

    label: str
    ref: str = ""
    commit: str = ""
    subject: str = ""
    dirty: bool = False
    environment: str = ""


class JudgingFile(_Model):
    """A file of the change that takes part in judging; ``kind`` says how ('gate policy', 'ground truth' …)."""

    path: str
    kind: str
    change: Literal["added", "changed", "removed"]


class Judging(_Model):
    """Whose code, policy, corpus, truth and calibration judged, and which files of that kind the change edits.

    ``by``: 'commit', or 'change' where the commit's code cannot judge, and ``why``. ``action``: what the policy makes of it.
    """

    by: Literal["commit", "change"]
    why: str = ""
    action: Literal["warn", "fail"] = "warn"
    files: list[JudgingFile] = Field(default_factory=list)

    @property
    def matters(self) -> bool:
        return bool(self.files) or self.by == "change"

    @property
    def sentence(self) -> str:
        """What a reader must know; '' where there is nothing."""
        count = len(self.files)
        many = f"{count} file{'' if count == 1 else 's'} of the change take{'s' if count == 1 else ''} part in judging"
        if self.by == "change":
            return f"The change judged itself: {self.why}{f'; {many}' if count else ''}."
        return f"{many}; what judged was the commit's." if count else ""


class GateRecord(_Model, Checked):
    """A gate, decided. ``design``: 'code' (a commit against the working tree, interleaved) or 'baseline' (runs kept from before)."""

    CODE: ClassVar[tuple[str, ...]] = (*ComparisonRecord.CODE, "comparison/gate/*.py")

    version: int = GATE_VERSION
    id: str
    created: str
    policy: str
    design: Literal["code", "baseline"]
    command: Readable
    fingerprint: str
    machine: dict[str, Any] = Field(default_factory=dict)
    a: Side
    b: Side
    calibration: Calibrated | None = None
    judging: Judging | None = None
    checks: list[CheckResult] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    status: GateStatus = "passed"
    interrupted: bool = False
    exit_code: int = 0
    seconds: float = 0.0

    def recomputed(self, folder: Path) -> Iterable[Figure]:
        from reelbench.comparison.gate.recompute import recomputed

        return recomputed(folder, self)

    def conclude(self) -> None:
        """Status and exit code from the checks: the worst that the policy does not tolerate."""
        if self.interrupted:
            self.status, self.exit_code = "interrupted", EXIT_INTERRUPTED
            return
        counted = {check.status for check in self.checks if not check.tolerated}
        if self.judging_fails:
            counted.add("failed")
        worst: Status = next((status for status in STATUSES if status in counted), "passed")
        self.status, self.exit_code = worst, EXIT_CODES[worst]

    @property
    def judging_fails(self) -> bool:
        """The change edits what judges it, or judged itself, and the policy does not allow that."""
        return self.judging is not None and self.judging.matters and self.judging.action == "fail"

    @property
    def sentence(self) -> str:
        """The whole answer for a reader in a hurry."""
        total = len(self.checks)
        counts = {status: sum(check.status == status for check in self.checks) for status in STATUSES}
        parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        word = "passes" if self.status == "passed" else "fails" if self.exit_code in (1, 5) else f"is {self.status}"
        tolerated = sum(check.tolerated and check.status != "passed" for check in self.checks)
        allowed = f" ({tolerated} of them allowed by the policy)" if tolerated else ""
        judged = f" {self.judging.sentence}" if self.judging is not None and self.judging.matters else ""
        return (
            f"The gate {self.policy} {word}: {self.b.label} against {self.a.label}, {total} check{'' if total == 1 else 's'}"
            f"{f', {parts}' if parts else ''}{allowed}.{judged}"
        )
