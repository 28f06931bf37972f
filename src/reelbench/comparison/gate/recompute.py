"""A gate's answers, computed again from the comparisons behind them, and its status from the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.bench.integrity import Figure, differing
from reelbench.comparison.folder import FILE, read_comparison
from reelbench.comparison.gate.judge import memory, quality, speed
from reelbench.comparison.gate.records import STATUSES, Answer, CheckResult, GateRecord

if TYPE_CHECKING:
    from reelbench.comparison.records import ComparisonRecord

_FIGURES = ("status", "value", "low", "high", "limit", "policy_limit")
_TOLERABLE = ("passed", "inconclusive", "unavailable")


def recomputed(folder: Path, record: GateRecord) -> Iterator[Figure]:
    """Comparisons may be gone: their answers are then passed over."""
    again = record.model_copy(deep=True)
    for check in again.checks:
        if check.tolerated and check.status not in _TOLERABLE:
            yield Figure(f"{check.name}: tolerated", True, False, lasting=True)
        if check.answers:
            found = {answer.status for answer in check.answers}
            worst = next(status for status in STATUSES if status in found)
            yield Figure(f"{check.name}: status", check.status, worst, lasting=True)
        path = _comparison(folder, check)
        if path is not None:
            yield from _check(record, check, path, read_comparison(path))
    again.conclude()
    yield Figure("status", record.status, again.status, lasting=True)
    yield Figure("exit_code", record.exit_code, again.exit_code, lasting=True)


def _comparison(folder: Path, check: CheckResult) -> Path | None:
    """Where the comparison of a check lies: as it is noted, or beside the gates where all were moved together."""
    if not check.comparison:
        return None
    noted = Path(check.comparison)
    beside = folder.resolve().parent.parent / noted.parent.name / noted.name
    return next((path for path in (beside, noted) if (path / FILE).is_file()), None)


def _check(record: GateRecord, check: CheckResult, path: Path, comparison: ComparisonRecord) -> Iterator[Figure]:
    yield Figure(f"{check.name}: sentence", check.sentence, comparison.sentence)
    if comparison.invalid or comparison.verdict == "invalid":
        yield Figure(f"{check.name}: status", check.status, "invalid", lasting=True)
        return
    floor = comparison.calibration.floor if comparison.calibration else None
    a, b = (path / comparison.arm(name).folder for name in ("a", "b"))
    for answer in check.answers:
        limit = answer.limit if answer.policy_limit is None else answer.policy_limit
        again: Answer | None = None
        if answer.question == "speed" and limit is not None:
            again = speed(comparison.speed.effect if comparison.speed else None, limit, floor)
        elif answer.question == "quality":
            again = quality(comparison.quality)
        elif answer.question == "memory" and limit is not None and (a / "run.json").is_file():
            again = memory((a, b), limit)
        if again is None:
            continue
        # Runs that were measured at different times decide nothing where the drift between them is not known.
        left_open = record.design == "baseline" and answer.status == "inconclusive"
        for field in _FIGURES[1:] if left_open else _FIGURES:
            name = f"{check.name}: {answer.question}: {field}"
            yield from differing(name, getattr(answer, field), getattr(again, field))
