"""The figures of a comparison of systems, computed again: pairs from the arms' runs, the effect from the pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.bench.integrity import Figure, differing
from reelbench.comparison.rule import Rule, judge_speed, log_ratios
from reelbench.system.ab.quality import worst
from reelbench.system.folder import RECORD, SystemFolder

if TYPE_CHECKING:
    from reelbench.system.ab.records import SystemComparison

_OF_RUN = ("makespan_s", "video_s", "load_wall_s", "cpu_s", "utilisation", "decode_share", "pss_peak_bytes")


def recomputed(folder: Path, record: SystemComparison) -> Iterator[Figure]:
    """Runs from their own folders, pairs from the runs, looks and effect from the pairs, the verdict on quality from the analyzers'."""
    for run in record.runs:
        if (folder / run.folder / RECORD).is_file():
            totals = SystemFolder.open(folder / run.folder).record.totals
            for name in _OF_RUN:
                where = f"pair {run.pair}, arm {run.arm}: {name}"
                yield Figure(where, getattr(run, name), getattr(totals, name))
    makespans: dict[tuple[int, str], float] = {(run.pair, run.arm): run.makespan_s for run in record.runs}
    for pair in record.pairs:
        for arm, seconds in (("a", pair.a_s), ("b", pair.b_s)):
            where = f"pair {pair.index}, arm {arm}: seconds"
            yield Figure(where, seconds, makespans.get((pair.index, arm)), lasting=True)
    if record.speed is None or record.status != "finished" or not record.pairs:
        return
    d = log_ratios(record.pairs)
    rule = Rule(looks=_looks(record), delta=record.speed.delta)
    looks = [rule.look(d[: look.pairs]) for look in record.speed.looks if 0 < look.pairs <= len(d)]
    again = judge_speed(record.pairs, rule, record.speed.statistic, record.speed.delta_source, looks)
    # How many looks were planned is in no record: what rests on that number is held against the manifest alone.
    for look, made in zip(record.speed.looks, looks, strict=False):
        yield Figure(f"effect after {look.pairs} pairs", look.effect.ratio, made.effect.ratio)
    yield Figure("effect", record.speed.effect.ratio, again.effect.ratio)
    yield from differing("speed.per_clip", record.speed.per_clip, again.per_clip)
    if not record.invalid:
        yield Figure("verdict", record.verdict, record.speed.verdict, lasting=True)
        if record.analyzers:
            yield Figure("quality", record.quality, worst(record.analyzers))


def _looks(record: SystemComparison) -> tuple[int, ...]:
    assert record.speed is not None
    return tuple(sorted({look.pairs for look in record.speed.looks})) or (len(record.pairs),)
