"""Compute the verdict of an interleaved comparison again, from the pairs in which its arms were measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reelbench.comparison.calibrated import delta, process_deviation
from reelbench.comparison.offline.runs import Measured, faults, judge_results
from reelbench.comparison.records import ArmName, ComparisonRecord, Look, Pair, Speed
from reelbench.comparison.rule import Rule, judge_speed, log_ratios, shared_processes
from reelbench.comparison.schedule import stretched
from reelbench.config import Judging
from reelbench.errors import EXIT_FAILED, InputError


def judge_again(
    record: ComparisonRecord, original: ComparisonRecord, a: Measured, b: Measured, judging: Judging
) -> None:
    """Fill in ``record`` from ``original``, whose arms are ``a`` and ``b`` in either order.

    The looks are those that were made; each is judged anew by ``judging``. What made the original invalid still does.
    """
    turned = a.record.run_id != original.a.run_id
    record.design, record.calibration, record.fingerprint = original.design, original.calibration, original.fingerprint
    record.parent_cpu_share, record.seconds = original.parent_cpu_share, original.seconds
    record.pairs = [turn(pair) for pair in original.pairs] if turned else list(original.pairs)
    for mine, theirs in (
        (record.a, original.b if turned else original.a),
        (record.b, original.a if turned else original.b),
    ):
        mine.label, mine.overrides, mine.commit = theirs.label, theirs.overrides, theirs.commit
        mine.cold_starts_s = theirs.cold_starts_s
    other: dict[str, Any] = {"a": "b", "b": "a", "": ""}
    record.audits = [
        audit.model_copy(update={"arm": other[audit.arm]}) if turned else audit for audit in original.audits
    ]
    before = original.quality.remarks if original.quality else []  # names the arms as they were
    record.notes = [f"both are arms of comparison {original.id}: judged again from its pairs"]
    record.notes += [note for note in original.notes if note not in before]
    problems = [
        *([f"comparison {original.id}: {original.invalid}"] if original.invalid else []),
        *faults(a, b),
        *faults(b, a),
    ]
    if not problems:
        try:
            record.speed = _speed(record, original, b, judging)
            # What agrees was scored for the second arm against the first, and is not the same the other way round.
            record.quality = judge_results(a, b, judging, agreement=not turned)
            record.notes += record.quality.remarks if record.quality else []
        except InputError as error:
            problems = [error.message]
    if problems:
        record.invalid, record.verdict, record.exit_code = "; ".join(problems), "invalid", EXIT_FAILED
    else:
        assert record.speed is not None
        record.verdict = record.speed.verdict


def turn(pair: Pair) -> Pair:
    """The same pair with its arms swapped."""
    names: dict[ArmName, str] = {"a": "B", "b": "A"}
    order = "".join(names["a"] if letter == "A" else names["b"] for letter in pair.order)
    swapped = {"a_s": pair.b_s, "b_s": pair.a_s, "a_queue": pair.b_queue, "b_queue": pair.a_queue, "order": order}
    return pair.model_copy(update=swapped)


def _speed(record: ComparisonRecord, original: ComparisonRecord, b: Measured, judging: Judging) -> Speed:
    pairs = b.pairs
    smallest, source = delta(judging.smallest_change, record.calibration)
    measured = [clip for clip in b.record.clips if clip.status != "refused"]
    deviation = process_deviation(record.calibration)
    rule = Rule(looks=stretched(pairs.looks, len(measured)), delta=smallest, process_deviation=deviation)
    made = original.speed.looks if original.speed else []
    if made:  # several comparisons may have been judged together: each look then used a smaller p
        rule = replace(rule, comparisons=max(1, round(rule.threshold / made[0].threshold)))
    d, clusters = log_ratios(record.pairs), shared_processes(record.pairs)
    looks: list[Look] = [rule.look(d[: look.pairs], clusters and clusters[: look.pairs]) for look in made]
    return judge_speed(record.pairs, rule, pairs.statistic, source, looks)
