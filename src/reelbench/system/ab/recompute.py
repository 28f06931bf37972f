"""The figures of a comparison of systems, computed again: pairs from the arms' runs, the effect from the pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from reelbench.bench.integrity import Figure, differing
from reelbench.bench.recompute import invalid_figures
from reelbench.comparison.rule import Rule, judge_speed, log_ratios
from reelbench.system.ab.audits import copied, first_run, observed
from reelbench.system.ab.quality import worst
from reelbench.system.ab.words import exit_code, sentence
from reelbench.system.folder import RECORD, SystemFolder

if TYPE_CHECKING:
    from reelbench.comparison.records import ArmName
    from reelbench.system.ab.records import SystemComparison

ARMS: tuple[ArmName, ArmName] = ("a", "b")
_OF_RUN = ("makespan_s", "video_s", "load_wall_s", "cpu_s", "utilisation", "decode_share", "pss_peak_bytes")


def recomputed(folder: Path, record: SystemComparison) -> Iterator[Figure]:
    """Runs from their own folders, pairs, scores and audits from the runs, looks and effect from the
    pairs, and the words from all of it."""
    opened = {
        (run.pair, run.arm): SystemFolder.open(folder / run.folder)
        for run in record.runs
        if (folder / run.folder / RECORD).is_file()
    }
    for run in record.runs:
        if (run.pair, run.arm) in opened:
            totals = opened[run.pair, run.arm].record.totals
            for name in _OF_RUN:
                where = f"pair {run.pair}, arm {run.arm}: {name}"
                yield Figure(where, getattr(run, name), getattr(totals, name))
    makespans: dict[tuple[int, str], float] = {(run.pair, run.arm): run.makespan_s for run in record.runs}
    for pair in record.pairs:
        for arm, seconds in (("a", pair.a_s), ("b", pair.b_s)):
            where = f"pair {pair.index}, arm {arm}: seconds"
            yield Figure(where, seconds, makespans.get((pair.index, arm)), lasting=True)
    if record.status == "finished" and len(opened) == len(record.runs):
        for name in ARMS:
            runs = [opened[run.pair, run.arm] for run in record.of(name)]
            yield from _audited(record, name, runs)
            yield from _scores(record, name, runs)
    failed = [audit for audit in record.audits if audit.status == "failed"]
    yield from invalid_figures("invalid", record.invalid, [f"arm {one.arm}: {one.name}: {one.text}" for one in failed])
    if record.status == "finished":
        yield Figure("sentence", record.sentence, sentence(record))
        yield Figure("exit_code", record.exit_code, exit_code(record))
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
    yield Figure("verdict", record.verdict, "invalid" if record.invalid else record.speed.verdict, lasting=True)
    if record.analyzers:
        yield Figure("quality", record.quality, worst(record.analyzers))


def _audited(record: SystemComparison, name: ArmName, runs: Sequence[SystemFolder]) -> Iterator[Figure]:
    """The audits that rest on the runs alone; for the others, who declares what must be asked of the analyzers themselves."""
    recorded = {audit.name: audit.status for audit in record.audits if audit.arm == name}
    made = [observed(name, runs), first_run(name, runs)] if runs else []
    if runs and runs[0].record.copy_check is not None:  # else it is older, and looked at copies in runs of their own
        made.append(copied(name, runs))
    for again in made:
        known = recorded.get(again.audit.name)
        if known is not None or again.audit.status == "failed":
            yield Figure(f"audit '{again.audit.name}' of arm {name}", known, again.audit.status)


def _scores(record: SystemComparison, name: ArmName, runs: Sequence[SystemFolder]) -> Iterator[Figure]:
    """Each analyzer's score of a clip is the mean over the runs of the arm."""
    for analyzer, judged in record.analyzers.items():
        metric = judged.quality.metric
        for clip, score in judged.quality.per_clip.items():
            made = [run.record.analyzers[analyzer].quality.per_clip.get(clip, {}).get(metric) for run in runs]
            found = [one for one in made if one is not None]
            if found and len(found) == len(runs):
                yield Figure(f"{analyzer} on {clip}, arm {name}: {metric}", getattr(score, name), fmean(found))


def _looks(record: SystemComparison) -> tuple[int, ...]:
    assert record.speed is not None
    return tuple(sorted({look.pairs for look in record.speed.looks})) or (len(record.pairs),)
