"""Carry out one check of a gate: compare both sides, answer the policy's questions, apply what it tolerates."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from reelbench.bench.manifest import reseal
from reelbench.bench.progress import Progress
from reelbench.comparison.ab import Request, carry_out
from reelbench.comparison.arms import ArmPlan
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.gate.arms import Sides
from reelbench.comparison.gate.environment import installed
from reelbench.comparison.gate.judge import answers, slow_down_limit
from reelbench.comparison.gate.order import Order
from reelbench.comparison.gate.policy import Check, Policy
from reelbench.comparison.gate.records import STATUSES, CheckResult, GateRecord, Side
from reelbench.comparison.gate.starts import Starts, starts_of_both
from reelbench.comparison.records import ArmName, ComparisonRecord
from reelbench.comparison.verdict import invalidate, metric_name
from reelbench.config import RunConfig
from reelbench.errors import AnalyzerError, UnavailableError
from reelbench.paths import write_text

Publish = Callable[[ComparisonFolder, RunConfig], Path]
"""What is done with a finished comparison (its page, MLflow); returns the page."""


def new_result(check: Check, variant: str) -> CheckResult:
    return CheckResult.model_validate(
        {"analyzer": check.analyzer, "variant": variant, "corpus": check.corpus, "measure": check.measure,
         "questions": list(check.questions), "status": "inconclusive"}
    )  # fmt: skip


def tolerate(result: CheckResult, policy: Policy) -> CheckResult:
    """Mark what the policy lets pass. Nothing lets a broken limit or an invalid figure pass."""
    action = {"inconclusive": policy.on_inconclusive, "unavailable": policy.on_unavailable}.get(result.status, "fail")
    result.tolerated, result.warn = action != "fail", action == "warn"
    return result


def answer_check(
    result: CheckResult,
    comparison: ComparisonRecord,
    check: Check,
    folders: tuple[Path, Path],
    starts: Starts,
    metric: str = "",
    undecided: str = "",
) -> None:
    """Fill in a check from its comparison. ``undecided``: why speed cannot be decided whatever the interval; the others as
    `reelbench.comparison.gate.judge.answers`."""
    result.sentence, result.pairs, result.notes = comparison.sentence, len(comparison.pairs), list(comparison.notes)
    result.seconds = comparison.seconds
    if comparison.verdict == "invalid" or comparison.invalid:
        result.status, result.text = "invalid", comparison.invalid
        return
    floor = comparison.calibration.floor if comparison.calibration else None
    result.answers = answers(comparison, check, folders, floor, starts, metric)
    for answer in result.answers:
        if answer.question == "speed" and undecided:
            answer.status, answer.text = "inconclusive", f"{answer.text}; {undecided}"
    found = {answer.status for answer in result.answers}
    result.status = next(status for status in STATUSES if status in found)


def measure_check(
    order: Order,
    check: Check,
    plans: tuple[ArmPlan, ArmPlan],
    sides: Sides,
    result: CheckResult,
    record: GateRecord,
    progress: Progress,
    publish: Publish,
) -> None:
    """Measure both arms of a check and fill in ``result``; what cannot run here is said there."""
    a, b = plans
    limit = check.largest_slow_down
    floor = record.calibration.floor if record.calibration else None
    request = Request(
        a, b, order.command, design="code", comparisons=order.policy.verdicts,
        limit=None if limit is None else slow_down_limit(limit, floor),
    )  # fmt: skip
    try:
        folder = carry_out(request, progress)
    except UnavailableError as error:
        result.status, result.text, result.hint = "unavailable", error.message, error.hint
        return
    asked = check.cold_start is not None and folder.record.verdict != "invalid"
    starts = _starts(folder, plans, progress) if asked else ([], [])
    folder.record.notes.append(f"A is commit {record.a.commit}, its environment {record.a.environment}")
    other: ArmName = "b" if sides.judge == "a" else "a"
    side = record.b if other == "b" else record.a
    _say_whose_code(folder.arm_folder(other), side, sides.there.code.python)
    folder.save()
    paths = folder.arm_folder("a"), folder.arm_folder("b")
    answer_check(result, folder.record, check, paths, starts, metric_name(b.config))
    result.comparison = str(folder.path)
    result.page = str(publish(folder, b.config))


def _say_whose_code(run: Path, side: Side, python: str) -> None:
    """What a run folder says of the code and its packages is by default what the parent runs: this side ran other code."""
    file = run / "environment.json"
    if not file.is_file():
        return
    found = json.loads(file.read_bytes())
    found["code"] = {"commit": side.commit, "dirty": side.dirty}
    if (packages := installed(python)) is not None:
        found["packages"] = packages
    write_text(file, json.dumps(found, indent=1))
    reseal(run)


def _starts(folder: ComparisonFolder, plans: Sequence[ArmPlan], progress: Progress) -> Starts:
    """Cold starts of both arms, kept in the comparison's record; one that fails makes it invalid."""
    progress.stage("cold starts")
    a, b = ((plan.ready.config, folder.arm_folder(plan.name) / "worker.log", plan.code) for plan in plans)
    try:
        found = starts_of_both(a, b)
    except AnalyzerError as error:
        invalidate(folder.record, f"a start failed: {error.message}")
        return [], []
    folder.record.a.cold_starts_s += found[0]
    folder.record.b.cold_starts_s += found[1]
    return found
