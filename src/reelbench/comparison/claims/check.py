"""Check claims against comparisons that were measured on this machine.

Only the ratio can be checked: a claim's seconds are about another machine and other videos. With the claim's bounds [c-, c+] (what the
stated figure may have been before it was rounded) and the measured interval [low, high] of the speed-up, 1 / ratio:

    opposite      high < 1               slower, whatever was claimed
    not reached   1 <= high < c-         the interval lies wholly below the claim
    exceeded      low > c+               the interval lies wholly above the claim
    confirmed     otherwise, if low > 1  the claim lies in the interval
    cannot be measured here              no valid comparison, or an interval too wide to speak: it holds the claim and 'no change' both
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.comparison.claims.gpu_report import GpuReport, OnGpu
from reelbench.comparison.claims.ledger import DiskClaim, Ledger, SpeedClaim
from reelbench.comparison.claims.measured import Comparisons, Measured, Missing, SpeedUp, cannot_run, together
from reelbench.comparison.records import ComparisonRecord
from reelbench.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REGRESSION, AnalyzerError, UnavailableError

ClaimVerdict = Literal["confirmed", "exceeded", "not reached", "opposite", "cannot be measured here"]
Compare = Callable[[str, str, str], ComparisonRecord]
"""Compare the variants a and b of an analyzer now: (analyzer, a, b). The comparison's folder lands where it is looked up."""
Found = Measured | OnGpu | Missing
PRUNING = "what was freed lay on another disk; 'reelbench models prune' shows what nothing needs on this one"


class Checked(BaseModel):
    """A claim beside what was measured. Speed-ups are times faster (1 / ratio); absent (None) where nothing was measured.

    ``claimed`` is the claim in its own figures, ``speed_up`` the stated one. ``quality``: the comparison's verdict, the worst of
    several. ``comparisons``: (id, date) of what it rests on.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    claimed: str
    speed_up: float | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    pairs: int | None = None
    quality: str = ""
    verdict: ClaimVerdict
    reason: str = ""
    variants: str = ""
    comparisons: list[tuple[str, str]] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    @property
    def worse(self) -> bool:
        return self.quality == "worse"


def check(
    ledger: Ledger,
    comparisons: Callable[[], Comparisons],
    compare: Compare | None = None,
    gpu_reports: Sequence[GpuReport] = (),
) -> list[Checked]:
    """One row a claim. With ``compare`` everything that can run here is compared first, each pair of variants once.

    What this machine has no comparison of is looked up in ``gpu_reports``, the first that has it.

    ``comparisons`` reads what there is; it is called after comparing. What ``compare`` raises for one analyzer (UnavailableError,
    AnalyzerError), or an invalid comparison, becomes that claim's reason: an older measurement does not stand in for a new one that
    failed. Any other error ends the command.
    """
    failed = _compare_all(ledger, compare) if compare else {}
    known = comparisons()
    rows = []
    for claim in ledger.claims:
        if isinstance(claim, DiskClaim):
            rows.append(_disk(claim))
            continue
        found: list[Found] = []
        for name in claim.about:
            here = failed.get((name, claim.a, claim.b)) or known.newest(name, claim.a, claim.b)
            found.append(_on_gpu(gpu_reports, name, claim, here) if isinstance(here, Missing) else here)
        rows.append(_speed(claim, found))
    return rows


def _on_gpu(reports: Sequence[GpuReport], name: str, claim: SpeedClaim, here: Missing) -> OnGpu | Missing:
    """What a GPU report has of an analyzer; else why this machine has nothing, with the reports' reasons."""
    answers = [report.find(name, claim.a, claim.b) for report in reports]
    measured = next((one for one in answers if isinstance(one, OnGpu)), None)
    if measured is not None:
        return measured
    reasons = [here.reason, *(one.reason for one in answers if isinstance(one, Missing))]
    return Missing(here.kind, "; ".join(reasons))


def exit_code(rows: Sequence[Checked]) -> int:
    """1 where a claim is not reached or opposite, or quality is worse; 3 where no speed could be measured; else 0."""
    if any(row.verdict in ("not reached", "opposite") or row.worse for row in rows):
        return EXIT_REGRESSION
    return EXIT_OK if any(row.verdict != "cannot be measured here" for row in rows) else EXIT_INCONCLUSIVE


def judge(claim: SpeedClaim, measured: SpeedUp) -> tuple[ClaimVerdict, str]:
    """The verdict as this module's head defines it, and the reason where there is none."""
    least, most = claim.bounds
    if not measured.bounded:
        return "cannot be measured here", f"inconclusive: {measured.pairs} pairs are too few for an interval"
    if measured.high < 1:
        return "opposite", ""
    if measured.high < least:
        return "not reached", ""
    if measured.low > most:
        return "exceeded", ""
    if measured.low <= 1:
        return (
            "cannot be measured here",
            "inconclusive: the interval holds both the claim and no change at all; it takes more pairs",
        )
    return "confirmed", ""


def _compare_all(ledger: Ledger, compare: Compare) -> dict[tuple[str, str, str], Missing]:
    """Compare what can run here; what failed, by (analyzer, a, b)."""
    wanted = {
        (name, claim.a, claim.b): None
        for claim in ledger.claims
        if isinstance(claim, SpeedClaim)
        for name in claim.about
    }
    failed: dict[tuple[str, str, str], Missing] = {}
    for key in wanted:
        if problem := cannot_run(*key):
            failed[key] = problem
            continue
        try:
            record = compare(*key)
        except (UnavailableError, AnalyzerError) as error:
            failed[key] = Missing("comparison", f"the comparison failed: {error}")
            continue
        if record.invalid:
            failed[key] = Missing("comparison", f"comparison {record.id} does not count: {record.invalid}")
    return failed


def _speed(claim: SpeedClaim, found: Sequence[Found]) -> Checked:
    row = Checked(
        id=claim.id,
        claimed=f"{claim.before} → {claim.after} s, {claim.speed_up}×",
        speed_up=float(claim.speed_up),
        verdict="cannot be measured here",
        variants=f"{claim.a} → {claim.b}",
        notes=[note for note in (claim.note and f"the claim's note: {claim.note}", claim.contradiction) if note],
    )
    measured = [one for one in found if not isinstance(one, Missing)]
    missing = [one for one in found if isinstance(one, Missing)]
    if missing:
        row.reason = _why(missing, claim.about, found)
        return row
    row.notes += [note for one in measured for note in one.notes]
    compared = [one for one in measured if isinstance(one, Measured)]
    if len(measured) > 1 and len(compared) < len(measured):
        row.reason = "a GPU report times segments, not clips: it cannot be added to comparisons of other analyzers"
        return row
    speed_up = measured[0].speed_up if len(measured) == 1 else together(compared)
    if speed_up is None:
        row.reason = "the analyzers were compared on different clips: compare them again"
        return row
    row.verdict, row.reason = judge(claim, speed_up)
    row.measured = speed_up.point
    row.low, row.high = (speed_up.low, speed_up.high) if speed_up.bounded else (None, None)
    row.confidence, row.pairs = speed_up.confidence, speed_up.pairs
    row.quality = _worst([one.quality for one in measured])
    row.comparisons = [(one.record.id, one.record.created) for one in compared]
    return row


def _why(missing: Sequence[Missing], names: Sequence[str], found: Sequence[Found]) -> str:
    if len(names) == 1:
        return missing[0].reason
    unborn = [one for one in missing if one.kind == "analyzer"]
    if unborn:
        verb = "does" if len(unborn) == 1 else "do"
        return f"{len(unborn)} of {len(names)} analyzers {verb} not exist yet"
    return "; ".join(
        f"{name}: {one.reason}" for name, one in zip(names, found, strict=True) if isinstance(one, Missing)
    )


def _worst(verdicts: Sequence[str]) -> str:
    return next(word for word in ("worse", "not judged", "underpowered", "not worse") if word in verdicts)


def _disk(claim: DiskClaim) -> Checked:
    note = [f"the claim's note: {claim.note}"] if claim.note else []
    return Checked(
        id=claim.id,
        claimed=f"{claim.freed} GB freed",
        verdict="cannot be measured here",
        reason=PRUNING,
        notes=note,
    )
