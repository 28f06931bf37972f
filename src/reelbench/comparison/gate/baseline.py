"""A gate against runs that were kept: a folder with run folders and ``baseline.json``.

Weaker than a gate against a commit: the runs were made at different times, and a machine drifts. The interval is widened by how far
identical code differs between runs on this machine, and where nobody knows that, speed is not decided (`..offline.compare`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reelbench.bench.environment import environment, git_state
from reelbench.bench.manifest import changed_since, read_manifest, seal
from reelbench.bench.progress import Progress
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.runner import measure
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.gate.arms import WORKING_TREE
from reelbench.comparison.gate.checks import Publish, answer_check, new_result, tolerate
from reelbench.comparison.gate.folder import kept, new_record, save
from reelbench.comparison.gate.order import (
    Order,
    calibrate_first,
    check_calibration,
    check_floor,
    first_config,
    pairs_of,
)
from reelbench.comparison.gate.policy import Check
from reelbench.comparison.gate.records import CheckResult, GateRecord, Side
from reelbench.comparison.gate.starts import STARTS, start_once
from reelbench.comparison.offline.compare import compare_runs, save_comparison
from reelbench.comparison.verdict import metric_name
from reelbench.config import RunConfig, compose, search_path
from reelbench.errors import AnalyzerError, InputError, OutputError, UnavailableError
from reelbench.paths import PACKAGE, write_text

FILE = "baseline.json"
BASELINE_VERSION = 1
UNKNOWN_DRIFT = (
    "how far identical code differs between runs on this machine is not known (reelbench calibrate finds out)"
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Kept(_Strict):
    """One run of a baseline; ``folder`` relative to the baseline's. ``cold_starts_s``: starts made one after another."""

    analyzer: str
    variant: str
    corpus: str
    measure: str
    folder: str
    cold_starts_s: list[float]


class Baseline(_Strict):
    version: int = BASELINE_VERSION
    created: str
    policy: str
    fingerprint: str
    commit: str
    dirty: bool
    runs: list[Kept]


def save_baseline(order: Order, target: Path, progress: Progress) -> Baseline:
    """Measure every variant of the policy and keep the runs in ``target``, a new folder. Raises what a run raises."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target} is there already", "name a new folder, or remove the old baseline")
    first_config(order)
    calibrate_first(order, progress, order.config_dir)
    state = git_state(PACKAGE)
    found = Baseline(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        policy=order.policy.name,
        fingerprint=environment()["fingerprint"],
        commit=str(state.get("commit", "")),
        dirty=bool(state.get("dirty")),
        runs=[],
    )
    for check, variant in pairs_of(order.policy):
        run, _, starts = _measure(order, check, variant, target, progress)
        record = run.record
        if record.invalid or record.status not in ("finished", "failed"):
            raise AnalyzerError(f"{check.analyzer} {variant} cannot be a baseline: {record.invalid or record.status}")
        found.runs.append(
            Kept(
                analyzer=check.analyzer,
                variant=variant,
                corpus=check.corpus,
                measure=check.measure,
                folder=run.path.name,
                cold_starts_s=starts,
            )
        )
    write_text(target / FILE, found.model_dump_json(indent=1))
    seal(target, FILE)
    return found


def read_baseline(folder: Path) -> Baseline:
    """InputError where ``folder`` holds none, or a file in it is not as it was when the baseline was made."""
    manifest = read_manifest(folder)
    if manifest is not None and (changed := changed_since(folder, manifest)):
        raise InputError(
            f"{folder}: {changed}", "put it back as it was, or make a new one: reelbench gate --save-baseline"
        )
    try:
        return Baseline.model_validate_json((folder / FILE).read_bytes())
    except OSError as error:
        raise InputError(
            f"{folder} is no baseline: it has no {FILE}", "reelbench gate --save-baseline makes one"
        ) from error
    except ValidationError as error:
        raise InputError(f"{folder / FILE} is damaged: {error.errors()[0]['msg']}") from error


def gate_baseline(order: Order, folder: Path, progress: Progress, publish: Publish) -> tuple[Path, GateRecord]:
    """Measure the policy's variants now and hold them against those in ``folder``; as `reelbench.comparison.gate.gate.judge_change`.

    Raises UnavailableError for a baseline of another machine.
    """
    baseline = read_baseline(folder)
    here = environment()["fingerprint"]
    if baseline.fingerprint != here:
        raise UnavailableError(
            f"the baseline {folder} was measured on another machine ({baseline.fingerprint}, this is {here})",
            "gate on that machine, or gate against a commit (--against), which measures both here",
        )
    calibrate_first(order, progress, order.config_dir)
    calibration = check_calibration(order.uncalibrated)
    check_floor(order.policy, calibration)
    runs_dir = first_config(order).runs_dir
    label = f"baseline of {baseline.created[:10]}"
    a = Side(label=label, ref=str(folder), commit=baseline.commit, dirty=baseline.dirty, environment="that of the time")
    state = git_state(PACKAGE)
    b = Side(label=WORKING_TREE, commit=str(state.get("commit", "")), dirty=bool(state.get("dirty")))
    record = new_record(order, "baseline", a, b, calibration)
    record.warnings += [
        "measured at different times: a gate against a commit (--against) measures both now",
        "the present code, policy and corpus judged: a baseline holds none of its own",
    ]
    known = {(run.analyzer, run.variant, run.corpus, run.measure): run for run in baseline.runs}
    with kept(record, runs_dir) as gate_folder:
        for check, variant in pairs_of(order.policy):
            result = new_result(check, variant)
            entry = known.get((check.analyzer, variant, check.corpus, check.measure))
            if entry is None:
                result.status, result.text = (
                    "unavailable",
                    f"the baseline has no {check.analyzer} {variant} on {check.corpus}",
                )
            else:
                _hold(order, check, folder / entry.folder, entry, result, record, progress, publish)
            record.checks.append(tolerate(result, order.policy))
            save(record, gate_folder)
    return gate_folder, record


def _hold(
    order: Order,
    check: Check,
    before: Path,
    entry: Kept,
    result: CheckResult,
    record: GateRecord,
    progress: Progress,
    publish: Publish,
) -> None:
    try:
        run, config, starts = _measure(order, check, entry.variant, None, progress)
    except UnavailableError as error:
        result.status, result.text, result.hint = "unavailable", error.message, error.hint
        return
    except AnalyzerError as error:
        result.status, result.text, result.hint = "invalid", error.message, error.hint
        return
    comparison = compare_runs(
        before, run.path, judging=config.comparison, command=order.command, metric_name=metric_name(config)
    )
    comparison.a.label, comparison.b.label = record.a.label, record.b.label
    comparison.a.cold_starts_s, comparison.b.cold_starts_s = entry.cold_starts_s, starts
    calibration = record.calibration
    drift = "" if calibration and calibration.floor_between_runs is not None else UNKNOWN_DRIFT
    answer_check(
        result, comparison, check, (before, run.path), (entry.cold_starts_s, starts), metric_name(config), drift
    )
    path = save_comparison(comparison, config.runs_dir)
    result.comparison = str(path)
    result.page = str(publish(ComparisonFolder(path, comparison), config))


def _measure(
    order: Order, check: Check, variant: str, target: Path | None, progress: Progress
) -> tuple[RunFolder, RunConfig, list[float]]:
    """One run, and cold starts after it where the policy asks for them."""
    where = [] if target is None else [f"runs_dir='{target}'"]
    overrides = [*search_path(order.config_dir), *check.overrides(variant), *order.settings, "resume=false", *where]
    config = compose(overrides)
    run = measure(config, overrides, order.command, progress)
    starts: list[float] = []
    if check.cold_start is not None:
        progress.stage("cold starts")
        starts = [start_once(config, run.log) for _ in range(STARTS)]
    return run, config, starts
