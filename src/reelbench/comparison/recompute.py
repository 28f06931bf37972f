"""Compute the figures of a comparison again: pairs from samples, effect from pairs, quality from the arms' scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal

from pydantic import ValidationError

from reelbench.bench.integrity import Figure, differing
from reelbench.bench.recompute import own_metric, read_settings
from reelbench.bench.run_folder import Row, RunFolder
from reelbench.comparison.audits import audit_clocks, audit_idle, audit_parent
from reelbench.comparison.calibrated import process_deviation
from reelbench.comparison.offline.compare import judge_apart
from reelbench.comparison.records import ArmName, Audit, ComparisonRecord, Look, Pair
from reelbench.comparison.rule import Rule, log_ratios, shared_processes
from reelbench.comparison.schedule import stretched
from reelbench.comparison.verdict import judge
from reelbench.config import Judging, Pairs
from reelbench.errors import InputError

ARMS: tuple[ArmName, ArmName] = ("a", "b")


def comparison_figures(folder: Path, record: ComparisonRecord) -> Iterator[Figure]:
    """Pairs, effect, quality, verdict. Arms that were runs of their own may be gone: their figures are then passed over."""
    if (record.verdict == "invalid") != bool(record.invalid) and record.status == "finished":
        yield Figure("verdict", record.verdict, "invalid" if record.invalid else "a verdict on speed", lasting=True)
    failed = [audit.name for audit in record.audits if audit.status == "failed"]
    if failed and not record.invalid:
        yield Figure("verdict", record.verdict, f"invalid: {', '.join(failed)} failed", lasting=True)
    arms = {name: RunFolder.open(path) for name in ARMS if (path := _arm(folder, record, name)) is not None}
    if len(arms) == len(ARMS):
        statistic: Literal["min", "median"] = record.speed.statistic if record.speed is not None else "median"
        apart = record.design == "separate runs"
        yield from pair_figures(record.pairs, arms, statistic=statistic, apart=apart)
        if record.status == "finished" and record.speed is not None:
            yield from _audited(record, arms)
            yield from _judged(record, arms)
    if record.speed is not None and not record.invalid:
        yield Figure("verdict", record.verdict, record.speed.verdict, lasting=True)


def _arm(folder: Path, record: ComparisonRecord, name: ArmName) -> Path | None:
    path = folder / record.arm(name).folder
    return path if record.arm(name).folder and (path / "run.json").is_file() else None


def pair_figures(
    pairs: Sequence[Pair], arms: Mapping[ArmName, RunFolder], *, statistic: Literal["min", "median"], apart: bool
) -> Iterator[Figure]:
    """Each pair's times, from the passes that it names; of runs that were made ``apart`` from all passes over its clip."""
    timed: dict[ArmName, dict[str, list[Row]]] = {name: {} for name in ARMS}
    for name, run in arms.items():
        for row in run.samples:
            if row["kind"] == "timed":
                timed[name].setdefault(row["clip"], []).append(row)
    of_all = min if statistic == "min" else median
    for pair in pairs:
        first, end = pair.repetitions
        for name in ARMS:
            passes = [row for row in timed[name].get(pair.clip, []) if apart or first <= row["repetition"] < end]
            where = f"pair {pair.index} on {pair.clip}, arm {name}"
            recorded, queue = (pair.a_s, pair.a_queue) if name == "a" else (pair.b_s, pair.b_queue)
            if not passes:
                yield Figure(f"{where}: seconds", recorded, None, lasting=True)
                continue
            yield Figure(f"{where}: seconds", recorded, of_all(row["total_s"] for row in passes), lasting=True)
            if queue is not None and all(row["run_queue_s"] is not None for row in passes):
                share = mean(row["run_queue_s"] / row["total_s"] for row in passes)
                yield Figure(f"{where}: run-queue share", queue, share, lasting=True)


def _audited(record: ComparisonRecord, arms: Mapping[ArmName, RunFolder]) -> Iterator[Figure]:
    """The audits that rest on the pairs, and those that are the arms' own checks."""
    if record.design == "separate runs" or not record.audits or record.speed is None:
        return
    recorded = {(audit.arm, audit.name): audit.status for audit in record.audits}
    delta = record.speed.delta
    samples = {name: run.samples for name, run in arms.items()}
    clocks = audit_clocks(samples, record.pairs, delta)
    again = [audit_parent(record.pairs, delta), clocks, *(audit_idle(name, record.pairs, delta) for name in ARMS)]
    for name, run in arms.items():
        again += [Audit(name=o.name, arm=name, status=o.status, text=o.text) for o in run.record.observed]
    for audit in again:
        known = recorded.get((audit.arm, audit.name))
        if known is not None or audit.status == "failed":
            where = f" of arm {audit.arm}" if audit.arm else ""
            yield Figure(f"audit '{audit.name}'{where}", known, audit.status)


def _judged(record: ComparisonRecord, arms: Mapping[ArmName, RunFolder]) -> Iterator[Figure]:
    """The verdict given again by the present code, on a copy of the record."""
    assert record.speed is not None
    settings = read_settings(arms["b"].path)
    judging = _read(Judging, settings.get("comparison")).model_copy(update={"smallest_change": record.speed.delta})
    again = record.model_copy(deep=True)
    own = all(not Path(record.arm(name).folder).is_absolute() for name in ARMS)
    if not own:
        if record.design == "separate runs":
            yield from differing("speed", record.speed, judge_apart(record.pairs, record.calibration, judging))
        return
    pairs = _read(Pairs, _mapping(settings.get("measure")).get("pairs"))
    metric = own_metric(settings.get("quality"))
    name = str(getattr(metric, "primary_name", metric.primary)) if metric is not None else ""
    looks, comparisons = _looks(record, pairs, arms["b"])
    again.invalid, again.notes, again.verdict = "", [], None
    judge(again, arms["a"], arms["b"], judging, pairs, looks, comparisons, name)
    if again.invalid and not record.invalid:
        yield Figure("verdict", record.verdict, f"invalid: {again.invalid}")
        return
    recorded, computed = record.speed.model_dump(), again.speed.model_dump() if again.speed else None
    if computed is not None:
        recorded.pop("delta_source"), computed.pop("delta_source")  # names the calibration, which is no figure
    yield from differing("speed", recorded, computed)
    yield from differing("quality", record.quality, again.quality)
    if not record.invalid:
        yield Figure("exit_code", record.exit_code, again.exit_code)
        if metric is not None:
            yield Figure("sentence", record.sentence, again.sentence)


def _looks(record: ComparisonRecord, pairs: Pairs, b: RunFolder) -> tuple[list[Look], int]:
    """The looks that were made, judged again, and how many verdicts shared the threshold."""
    assert record.speed is not None
    clips = sum(clip.status != "refused" for clip in b.record.clips)
    deviation = process_deviation(record.calibration)
    rule = Rule(looks=stretched(pairs.looks, clips), delta=record.speed.delta, process_deviation=deviation)
    made = record.speed.looks
    if not made:
        return [], 1
    comparisons = max(1, round(rule.threshold / made[0].threshold)) if made[0].threshold > 0 else 1
    rule = replace(rule, comparisons=comparisons)
    d, clusters = log_ratios(record.pairs), shared_processes(record.pairs)
    again = [
        rule.look(d[: look.pairs], clusters and clusters[: look.pairs]) for look in made if 0 < look.pairs <= len(d)
    ]
    return again, comparisons


def _read(kind: type[Any], found: object) -> Any:
    try:
        return kind.model_validate(found or {})
    except ValidationError as error:
        raise InputError(f"the configuration of arm b cannot be read: {error.errors()[0]['msg']}") from error


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
