"""Decide the verdict of a comparison from what both arms measured, and put it into the record."""

from __future__ import annotations

from collections.abc import Sequence

from reelbench.bench.run_folder import RunFolder
from reelbench.comparison.audits import counted, counted_per_clip
from reelbench.comparison.calibrated import delta, process_deviation
from reelbench.comparison.folder import ComparisonFolder
from reelbench.comparison.non_inferiority import judge_quality
from reelbench.comparison.records import ComparisonRecord, Look
from reelbench.comparison.rule import Rule, judge_speed
from reelbench.comparison.sentence import exit_code, sentence
from reelbench.config import Judging, Pairs, RunConfig, instantiate
from reelbench.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, InputError


def decide(folder: ComparisonFolder, config: RunConfig, looks: Sequence[Look], comparisons: int = 1) -> None:
    """Fill in speed, quality, verdict, sentence and exit code of the folder's record; what cannot be judged makes it invalid."""
    record = folder.record
    a, b = (RunFolder.open(folder.arm_folder(name)) for name in ("a", "b"))
    judge(record, a, b, config.comparison, config.measure.pairs, looks, comparisons, metric_name(config))


def judge(
    record: ComparisonRecord,
    a: RunFolder,
    b: RunFolder,
    judging: Judging,
    pairs: Pairs,
    looks: Sequence[Look],
    comparisons: int,
    name: str,
) -> None:
    """As `decide`, from arms that were read; ``name`` is how the primary metric reads. Nothing else is looked at, so that the same can
    be judged again."""
    smallest, source = delta(judging.smallest_change, record.calibration)
    rule = Rule(
        looks=pairs.looks,
        delta=smallest,
        comparisons=comparisons,
        process_deviation=process_deviation(record.calibration),
    )
    try:
        record.speed = judge_speed(record.pairs, rule, pairs.statistic, source, looks)
        found_a, found_b = a.read_results(), b.read_results()
        record.quality = judge_quality(
            a.record.quality,
            b.record.quality,
            margin_share=judging.quality_margin,
            identical=[clip for clip in found_a if clip in found_b and found_a[clip].events == found_b[clip].events],
            clips=sorted(set(found_a) & set(found_b)),
            counts=counted(found_a, found_b),
            counts_per_clip=counted_per_clip(found_a, found_b),
            counts_bounds=judging.counts,
            least_agreement=judging.least_agreement,
        )
    except InputError as error:
        invalidate(record, error.message)
        return
    record.notes += record.quality.remarks
    record.status = "finished"
    failed = [audit for audit in record.audits if audit.status == "failed"]
    if failed:
        invalidate(
            record, "; ".join(f"{f'arm {one.arm}: ' if one.arm else ''}{one.name}: {one.text}" for one in failed)
        )
        return
    record.verdict = record.speed.verdict
    conclude_record(record, name)
    statuses = {clip.status for arm in (a, b) for clip in arm.record.clips}
    if record.exit_code == EXIT_OK and statuses & {"failed", "refused"}:
        record.exit_code = EXIT_FAILED if "failed" in statuses else EXIT_USAGE


def conclude_record(record: ComparisonRecord, name: str = "") -> None:
    """Sentence and exit code of a record whose verdicts are there."""
    record.sentence = sentence(record, name)
    record.exit_code = exit_code(record)


def invalidate(record: ComparisonRecord, why: str) -> None:
    """Make the verdict 'invalid', whatever it was before; the figures stay."""
    record.invalid, record.verdict = why, "invalid"
    conclude_record(record)


def metric_name(config: RunConfig) -> str:
    """How the primary metric reads."""
    metric = instantiate(config.quality)
    return str(getattr(metric, "primary_name", metric.primary))
