"""A gate on a change of code: each (analyzer, variant) of a policy, a commit's code against the working tree, interleaved.

policy → plan both arms of every check → measure one after another → answers → record. What cannot run is known before anything is
measured. `gate_baseline` gates against runs that were kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from uuid import uuid4

from reelbench.bench.environment import environment, git_state
from reelbench.bench.live import Progress
from reelbench.bench.record_folder import read_record_file, settle_killed
from reelbench.bench.run_folder import safe_name
from reelbench.comparison.ab import Request, carry_out
from reelbench.comparison.arms import ArmPlan
from reelbench.comparison.calibrated import MOST_FALSE_ALARMS, read_calibration
from reelbench.comparison.calibration.calibrate import calibrate
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.gate.arms import (
    WORKING_TREE,
    ForeignCode,
    Sides,
    check_wire,
    compile_both,
    plan_commit,
    plan_present,
)
from reelbench.comparison.gate.environment import environment_of, installed
from reelbench.comparison.gate.judge import answers, slow_down_limit
from reelbench.comparison.gate.policy import Check, Policy
from reelbench.comparison.gate.records import STATUSES, CheckResult, GateRecord, Side
from reelbench.comparison.gate.starts import Starts, starts_of_both
from reelbench.comparison.gate.worktree import cache_dir, checkout, resolve, worktree
from reelbench.comparison.records import Calibrated, ComparisonRecord
from reelbench.comparison.verdict import invalidate, metric_name
from reelbench.config import RunConfig, compose, search_path
from reelbench.errors import EXIT_INTERRUPTED, AnalyzerError, UnavailableError
from reelbench.owners import claim, new_folder
from reelbench.paths import describe_os_error, write_text

FILE = "gate.json"

Publish = Callable[[ComparisonFolder, RunConfig], Path]
"""What is done with a finished comparison (its page, MLflow); returns the page."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to gate: a policy, settings of the user for every check, and where the user's own configuration lies."""

    policy: Policy
    settings: tuple[str, ...] = ()
    config_dir: Path | None = None
    command: str = ""
    uncalibrated: bool = False


def gate_code(
    order: Order,
    ref: str,
    progress: Progress,
    publish: Publish,
    *,
    merge_base: bool = False,
    worktrees: Path | None = None,
) -> tuple[Path, GateRecord]:
    """Hold the working tree against the commit ``ref``; return the gate's folder and its record.

    Raises ConfigError and InputError for what the user must mend, UnavailableError where the machine was never calibrated or the
    commit's code cannot be run at all; what a single check cannot do is part of the record.
    """
    calibration = check_calibration(order.uncalibrated)
    top = checkout()
    commit = resolve(top, ref, merge_base=merge_base)
    runs_dir = first_config(order).runs_dir
    progress.stage(f"the code at {commit.short}")
    with worktree(top, commit, worktrees) as tree:
        check_wire(tree, commit)
        found = environment_of(tree, top, cache_dir() / "environments", order.policy.extras)
        sides = Sides(top, tree, commit, found, order.config_dir)
        compile_both(sides)
        state = git_state(top)
        a = Side(label=commit.short, ref=ref, commit=commit.sha, subject=commit.subject, environment=found.text)
        b = Side(label=WORKING_TREE, commit=str(state.get("commit", "")), dirty=bool(state.get("dirty")))
        record = new_record(order, "code", a, b, calibration)
        with kept(record, runs_dir) as folder:
            planned = [_plan(order, check, variant, sides) for check, variant in pairs_of(order.policy)]
            for check, plans, result in planned:
                if plans is not None:
                    progress.message(f"{result.name}: {commit.short} against the working tree")
                    _measure(order, check, plans, sides, result, record, progress, publish)
                record.checks.append(tolerate(result, order.policy))
                save(record, folder)
    return folder, record


def calibrate_first(order: Order, decisions: int, progress: Progress) -> None:
    """Calibrate this machine with the policy's first variant where nobody did before. Raises what `calibrate` raises."""
    if read_calibration(environment()["fingerprint"]) is not None:
        return
    check, variant = pairs_of(order.policy)[0]
    settings = [*search_path(order.config_dir), *check.overrides(variant), *order.settings]
    calibrate(settings, order.command, progress, decisions=decisions)


def check_calibration(uncalibrated: bool) -> Calibrated | None:
    """What is known of this machine. UnavailableError where that is too little, or too bad, for a gate, unless told to go on."""
    found = read_calibration(environment()["fingerprint"])
    if uncalibrated:
        return found
    if found is None:
        raise UnavailableError(
            "this machine was never calibrated: nobody knows how often a gate raises a false alarm on it",
            "reelbench calibrate; or say --calibrate 20, or --uncalibrated",
        )
    if found.false_alarm_low > MOST_FALSE_ALARMS:
        raise UnavailableError(
            f"this machine raises a false alarm in at least {100 * found.false_alarm_low:.1f} % of decisions "
            f"({found.false_alarms} of {found.decisions}): a gate on it means nothing",
            "quieten the machine and calibrate again (reelbench calibrate); or say --uncalibrated",
        )
    return found


def pairs_of(policy: Policy) -> list[tuple[Check, str]]:
    return [(check, variant) for check in policy.checks for variant in check.variants]


def first_config(order: Order) -> RunConfig:
    """Every check composed once, so that a mistake is said before anything is measured; the first says where runs go."""
    found = [
        compose([*search_path(order.config_dir), *check.overrides(variant), *order.settings])
        for check, variant in pairs_of(order.policy)
    ]
    return found[0]


def new_record(order: Order, design: str, a: Side, b: Side, calibration: Calibrated | None) -> GateRecord:
    machine = environment()
    warnings = []
    if order.uncalibrated and calibration is None:
        warnings.append("this machine was never calibrated: how often this gate raises a false alarm is not known")
    elif calibration is not None and calibration.false_alarm_low > MOST_FALSE_ALARMS:
        warnings.append("calibration found too many false alarms on this machine: a failure may mean nothing")
    return GateRecord.model_validate(
        {
            "id": f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(order.policy.name)}-{uuid4().hex[:6]}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "policy": order.policy.name,
            "design": design,
            "command": order.command,
            "fingerprint": machine["fingerprint"],
            "machine": {key: machine["machine"].get(key) for key in ("cpu", "usable_threads", "memory_gib", "gpus")},
            "a": a,
            "b": b,
            "calibration": calibration,
            "warnings": warnings,
        }
    )


@contextmanager
def kept(record: GateRecord, runs_dir: Path) -> Iterator[Path]:
    """The folder of a gate, whose record is concluded and written however its measuring ends."""
    folder, started = runs_dir / "gates" / record.id, perf_counter()
    settle_killed(folder.parent, FILE, GateRecord)
    record.interrupted = True
    record.status, record.exit_code = "running", EXIT_INTERRUPTED
    try:
        with new_folder(folder) as made:
            lock = claim(made)
            save(record, made)
    except OSError as error:
        raise describe_os_error(error, folder, "cannot create the gate's folder") from error
    try:
        yield folder
        record.interrupted = False
    finally:
        record.seconds = perf_counter() - started
        record.conclude()
        save(record, folder)
        if lock is not None:
            lock.release()


def read_gate(folder: Path) -> GateRecord:
    """The record of a gate; InputError where there is none, or it is damaged."""
    return read_record_file(folder / FILE, GateRecord, "the folder of a gate")


def save(record: GateRecord, folder: Path) -> None:
    write_text(folder / FILE, record.model_dump_json(indent=1))


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


def _plan(
    order: Order, check: Check, variant: str, sides: Sides
) -> tuple[Check, tuple[ArmPlan, ArmPlan] | None, CheckResult]:
    result = new_result(check, variant)
    try:
        b = plan_present(check, variant, order.settings, sides)
        a = plan_commit(check, variant, order.settings, sides, b)
    except ForeignCode:
        raise
    except UnavailableError as error:
        result.status, result.text, result.hint = "unavailable", error.message, error.hint
        return check, None, result
    return check, (a, b), result


def _measure(
    order: Order,
    check: Check,
    plans: tuple[ArmPlan, ArmPlan],
    sides: Sides,
    result: CheckResult,
    record: GateRecord,
    progress: Progress,
    publish: Publish,
) -> None:
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
    folder.save()
    _say_whose_code(folder.arm_folder("a"), sides)
    paths = folder.arm_folder("a"), folder.arm_folder("b")
    answer_check(result, folder.record, check, paths, starts, metric_name(b.config))
    result.comparison = str(folder.path)
    result.page = str(publish(folder, b.config))


def _say_whose_code(run: Path, sides: Sides) -> None:
    """What a run folder says of the code and its packages is by default what the parent runs: A ran another commit."""
    file = run / "environment.json"
    if not file.is_file():
        return
    found = json.loads(file.read_bytes())
    found["code"] = {"commit": sides.commit.sha, "dirty": False}
    if (packages := installed(sides.environment)) is not None:
        found["packages"] = packages
    write_text(file, json.dumps(found, indent=1))


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
