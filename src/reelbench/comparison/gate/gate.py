"""A gate on a change of code: each (analyzer, variant) of a policy, a commit's code against the change's, interleaved.

policy → plan both arms of every check → measure one after another → answers → record. What cannot run is known before anything is
measured. The commit's code judges (`judge_change`, in a process of that code, which `launch` starts); the change's own does only
where the commit's cannot (`judge_itself`). `baseline` gates against runs that were kept.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from reelbench.bench.environment import git_state
from reelbench.bench.process import Code
from reelbench.bench.progress import Progress
from reelbench.comparison.arms import ArmPlan
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
from reelbench.comparison.gate.checks import Publish, measure_check, new_result, tolerate
from reelbench.comparison.gate.environment import environment_of, environment_text, requirements
from reelbench.comparison.gate.folder import kept, new_record, save
from reelbench.comparison.gate.judging import judging_files, tracked_calibration
from reelbench.comparison.gate.launch import Change, judging_commit, use_calibration_of_commit
from reelbench.comparison.gate.order import (
    Order,
    calibrate_first,
    check_calibration,
    check_floor,
    first_config,
    pairs_of,
)
from reelbench.comparison.gate.overlay import change_under_test, clip_folders, clips_of_commit, moved_node
from reelbench.comparison.gate.policy import Check
from reelbench.comparison.gate.records import CheckResult, GateRecord, Judging, Side
from reelbench.comparison.gate.worktree import Commit, cache_dir, changed_files
from reelbench.comparison.records import Calibrated
from reelbench.config import digest
from reelbench.errors import UnavailableError
from reelbench.machine import fingerprint
from reelbench.owners import temporary_folder
from reelbench.paths import PACKAGE


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
                measure_check(order, check, plans, sides, result, record, progress, publish)
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
