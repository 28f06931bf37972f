"""A gate on a change of code: each (analyzer, variant) of a policy, a commit's code against the change's, interleaved.

policy → plan both arms of every check → measure one after another → answers → record. What cannot run is known before anything is
measured. The commit's code judges (`judge_change`, in a process of that code, which `launch` starts); the change's own does only
where the commit's cannot (`judge_itself`). `baseline` gates against runs that were kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Literal
from uuid import uuid4

from reelbench.bench.environment import environment, git_state
from reelbench.bench.manifest import reseal
from reelbench.bench.process import Code
from reelbench.bench.progress import Progress
from reelbench.bench.record_folder import read_record_file, settle_killed, write_record
from reelbench.bench.run_folder import safe_name
from reelbench.comparison.ab import Request, carry_out
from reelbench.comparison.arms import ArmPlan
from reelbench.comparison.calibrated import MOST_FALSE_ALARMS, proof, read_calibration
from reelbench.comparison.calibration.calibrate import calibrate
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.gate.arms import (
    WORKING_TREE,
    ForeignCode,
    Place,
    Sides,
    check_wire,
    compile_both,
    config_dir_of,
    plan_here,
    plan_there,
)
from reelbench.comparison.gate.environment import environment_of, environment_text, installed, requirements
from reelbench.comparison.gate.judge import answers, slow_down_limit
from reelbench.comparison.gate.judging import judging_files, tracked_calibration
from reelbench.comparison.gate.launch import Change, judging_commit, use_calibration_of_commit
from reelbench.comparison.gate.overlay import change_under_test, clip_folders, clips_of_commit, moved_node
from reelbench.comparison.gate.policy import Check, Policy
from reelbench.comparison.gate.records import STATUSES, CheckResult, GateRecord, Judging, Side
from reelbench.comparison.gate.starts import Starts, starts_of_both
from reelbench.comparison.gate.worktree import Commit, cache_dir, changed_files
from reelbench.comparison.records import ArmName, Calibrated, ComparisonRecord
from reelbench.comparison.verdict import invalidate, metric_name
from reelbench.config import RunConfig, compose, digest, search_path, variants
from reelbench.errors import EXIT_INTERRUPTED, AnalyzerError, ConfigError, UnavailableError
from reelbench.machine import fingerprint
from reelbench.owners import claim, new_folder, temporary_folder
from reelbench.paths import PACKAGE, describe_os_error, write_text

FILE = "gate.json"

Publish = Callable[[ComparisonFolder, RunConfig], Path]
"""What is done with a finished comparison (its page, MLflow); returns the page."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to gate: a policy, settings of the user for every check, and where the user's own configuration lies. ``policy_file``:
    the policy's file in the change's checkout, where it was named by its path. ``calibrate``: decisions to calibrate a machine with
    that nobody calibrated."""

    policy: Policy
    settings: tuple[str, ...] = ()
    config_dir: Path | None = None
    command: str = ""
    uncalibrated: bool = False
    policy_file: Path | None = None
    calibrate: int | None = None


def judge_change(order: Order, change: Change, progress: Progress, publish: Publish) -> tuple[Path, GateRecord]:
    """Hold ``change`` against the code that runs, a commit's, which judges; return the gate's folder and its record.

    Raises ConfigError and InputError for what the user must mend, UnavailableError where the machine was never calibrated;
    what a single check cannot do is part of the record.
    """
    tree, commit = judging_commit(change)
    mine = config_dir_of(order.config_dir, change.top, tree)
    edited = use_calibration_of_commit(change, commit, tree)
    calibrate_first(order, progress, mine)
    calibration = check_calibration(order.uncalibrated)
    check_floor(order.policy, calibration)
    with temporary_folder("reelbench-gate-") as scratch:
        under_test = change_under_test(change.top, tree, scratch / "change")
        state = git_state(change.top)
        sides = Sides(
            a=Place(tree, Code(sys.executable, tree / "src"), mine, commit.short, commit.sha),
            b=_change_place(change.top, Code(change.python, under_test / "src", (tree, change.top)), order, state),
            commit=commit,
            judge="a",
        )
        environment = environment_text(
            requirements(tree, order.policy.extras), requirements(change.top, order.policy.extras)
        )
        given = _Given(sides, change, state, environment, calibration, scratch=scratch)
        if edited:
            given.used[change.top / edited] = "calibration"
        return _gate(order, given, progress, publish)


def judge_itself(
    order: Order, change: Change, commit: Commit, tree: Path, why: str, progress: Progress, publish: Publish
) -> tuple[Path, GateRecord]:
    """Hold the code that runs, ``change``, against ``commit`` in ``tree``, whose code cannot judge: ``why``. As `judge_change`."""
    check_wire(tree, commit)
    calibrate_first(order, progress, order.config_dir)
    calibration = check_calibration(order.uncalibrated)
    check_floor(order.policy, calibration)
    found = environment_of(tree, change.top, cache_dir() / "environments", order.policy.extras)
    mine = config_dir_of(order.config_dir, change.top, tree)
    state = git_state(change.top)
    sides = Sides(
        a=Place(tree, Code(found.python, tree / "src", (change.top, tree)), mine, commit.short, commit.sha),
        b=_change_place(change.top, Code(sys.executable, PACKAGE.parent), order, state),
        commit=commit,
        judge="b",
    )
    given = _Given(sides, change, state, found.text, calibration, why=why)
    if name := tracked_calibration(change.top, commit, fingerprint()):
        given.used[change.top / name] = "calibration"
    return _gate(order, given, progress, publish)


def _change_place(top: Path, code: Code, order: Order, state: dict[str, Any]) -> Place:
    commit = str(state.get("commit", "")) + (f"+{state['change']}" if "change" in state else "")
    return Place(top, code, order.config_dir, WORKING_TREE, commit)


@dataclass(slots=True)
class _Given:
    """What both ways of judging hand on. ``scratch``: a folder for clips as the commit has them; ``why``: why the change judges
    itself; ``used``: files and folders of the change's checkout that the gate would read, with what they are."""

    sides: Sides
    change: Change
    state: dict[str, Any]
    environment: str
    calibration: Calibrated | None
    scratch: Path | None = None
    why: str = ""
    used: dict[Path, str] = field(default_factory=dict)


def _gate(order: Order, given: _Given, progress: Progress, publish: Publish) -> tuple[Path, GateRecord]:
    sides, commit = given.sides, given.sides.commit
    runs_dir = first_config(order, sides).runs_dir
    compile_both(sides)
    a = Side(
        label=commit.short,
        ref=given.change.ref,
        commit=commit.sha,
        subject=commit.subject,
        environment=given.environment,
    )
    b = Side(label=WORKING_TREE, commit=str(given.state.get("commit", "")), dirty=bool(given.state.get("dirty")))
    record = new_record(order, "code", a, b, given.calibration)
    with kept(record, runs_dir) as folder:
        planned = [_plan(order, check, variant, given) for check, variant in pairs_of(order.policy)]
        record.judging = _judging(order, given)
        for check, plans, result in planned:
            if plans is not None:
                progress.message(f"{result.name}: {commit.short} against the working tree")
                _measure(order, check, plans, sides, result, record, progress, publish)
            record.checks.append(tolerate(result, order.policy))
            save(record, folder)
    return folder, record


def _judging(order: Order, given: _Given) -> Judging:
    """Who judged, and which files of the change take part in that."""
    top, commit, used = given.change.top, given.sides.commit, given.used
    if order.policy_file is not None:
        used[order.policy_file] = "gate policy"
    files = judging_files(top, given.sides.a.top, commit, order.config_dir, used)
    by: Literal["commit", "change"] = "change" if given.why else "commit"
    return Judging(by=by, why=given.why, action=order.policy.on_changed_judge, files=files)


def calibrate_first(order: Order, progress: Progress, config_dir: Path | None) -> None:
    """Calibrate this machine with a variant of the policy, where that was asked for and nobody did before. Raises what `calibrate`
    raises. ``config_dir``: the user's own configuration, as the side that judges has it."""
    if order.calibrate is None or read_calibration(fingerprint()) is not None:
        return
    known = [
        (check, variant)
        for check, variant in pairs_of(order.policy)
        if variant in variants(check.analyzer, search_path(config_dir))
    ]
    check, variant = (known or pairs_of(order.policy))[0]
    settings = [*search_path(config_dir), *check.overrides(variant), *order.settings]
    calibrate(settings, order.command, progress, decisions=order.calibrate)


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


def check_floor(policy: Policy, calibration: Calibrated | None) -> None:
    """UnavailableError where this machine's floor would raise a limit of the policy beyond what the policy lets it."""
    floor = calibration.floor if calibration is not None else 0.0
    limits = [check.largest_slow_down for check in policy.checks if check.largest_slow_down is not None]
    raised = [limit for limit in limits if limit < floor]
    if raised and floor > policy.largest_floor:
        raise UnavailableError(
            f"this machine's floor is {100 * floor:.3g} %: it would raise the policy's limit of {100 * min(raised):.3g} % "
            f"to that, and the policy lets a floor raise it to {100 * policy.largest_floor:.3g} % at most",
            "quieten the machine and calibrate again (reelbench calibrate), gate on another one, or allow more in the policy "
            "(largest_slow_down, largest_floor)",
        )


def pairs_of(policy: Policy) -> list[tuple[Check, str]]:
    return [(check, variant) for check in policy.checks for variant in check.variants]


def first_config(order: Order, sides: Sides | None = None) -> RunConfig:
    """Every check composed once, so that a mistake is said before anything is measured; the first says where runs go.

    Of two ``sides`` it is the one that judges; what only the other has is composed without its variant.
    """
    config_dir = sides.here.config_dir if sides is not None else order.config_dir
    found = []
    for check, variant in pairs_of(order.policy):
        settings = [*search_path(config_dir), *check.overrides(variant), *order.settings]
        if (
            sides is not None
            and not sides.here.has(check.analyzer, variant)
            and sides.there.has(check.analyzer, variant)
        ):
            own = ("analyzer=", "variant=", "analyzer.", "+analyzer.", "~analyzer.")
            settings = [one for one in settings if not one.startswith(own)]
        found.append(compose(settings))
        if found[-1].on_unavailable != "fail":
            raise ConfigError(
                "on_unavailable=fallback: a gate compares what its policy names, and nothing in its place",
                "leave it out; on_unavailable: warn in the policy lets a check pass whose variant cannot run here",
            )
    return found[0]


def new_record(order: Order, design: str, a: Side, b: Side, calibration: Calibrated | None) -> GateRecord:
    machine = environment()
    warnings = []
    if order.uncalibrated and calibration is None:
        warnings.append("this machine was never calibrated: how often this gate raises a false alarm is not known")
    elif calibration is not None and calibration.false_alarm_low > MOST_FALSE_ALARMS:
        warnings.append("calibration found too many false alarms on this machine: a failure may mean nothing")
    elif calibration is not None and proof(calibration) == "unproven":
        warnings.append(
            f"unproven: the {calibration.decisions} decisions of the calibration allow a false-alarm rate of up to "
            f"{100 * calibration.false_alarm_high:.1f} % (at most {100 * MOST_FALSE_ALARMS:g} % is wanted); reelbench calibrate "
            "--decisions 72 can prove it"
        )
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
    write_record(folder, FILE, record)


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
    order: Order, check: Check, variant: str, given: _Given
) -> tuple[Check, tuple[ArmPlan, ArmPlan] | None, CheckResult]:
    result, sides = new_result(check, variant), given.sides
    try:
        judging = _on_clips_of_commit(plan_here(check, variant, order.settings, sides), given)
        other = plan_there(check, variant, order.settings, sides, judging)
    except ForeignCode:
        raise
    except UnavailableError as error:
        result.status, result.text, result.hint = "unavailable", error.message, error.hint
        return check, None, result
    return check, (judging, other) if sides.judge == "a" else (other, judging), result


def _on_clips_of_commit(arm: ArmPlan, given: _Given) -> ArmPlan:
    """The arm with clips and truth as the commit has them, where they lie in the change's checkout."""
    top, tree = given.change.top, given.sides.a.top
    folders = clip_folders(arm.config.corpus, top)
    given.used |= dict.fromkeys(folders, "clip of the corpus")
    if given.scratch is None or not folders:
        return arm
    changed = changed_files(top, given.sides.commit)
    moved = {
        folder: clips_of_commit(folder, top, tree, changed, given.scratch / "clips" / digest(str(folder))[:8])
        for folder in folders
    }
    corpus = moved_node(arm.config.corpus, moved, top)
    config, ready = (one.model_copy(update={"corpus": corpus}) for one in (arm.config, arm.ready.config))
    return replace(arm, config=config, ready=replace(arm.ready, config=ready))


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
