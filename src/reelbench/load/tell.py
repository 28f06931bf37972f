"""From the timeline of the system's run to the record of the load run. The record's clock begins with the first counted clip."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isfinite

from reelbench.bench.agreeing import same_events
from reelbench.bench.observed import contradictions, first_passes
from reelbench.load.arrivals import Query, Watched
from reelbench.load.figures import add_figures, judge_bound
from reelbench.load.memory import MemoryWatch
from reelbench.load.records import LoadRecord, Memory
from reelbench.load.records import Query as QueryRecord
from reelbench.results import AnalyzerResult
from reelbench.system.costs import busy_s
from reelbench.system.folder import SystemFolder
from reelbench.system.records import Span

Repeat = Query | QueryRecord


def tell(
    record: LoadRecord,
    run: SystemFolder,
    queries: Sequence[Query],
    arrivals: Watched,
    watch: MemoryWatch,
    deterministic: Collection[str] = (),
) -> None:
    """Fill the record from what ran, also where that was cut off.

    ``deterministic``: the analyzers that must find the same in every repeat of a clip.
    """
    system = run.record
    record.queries = [_query(query, record, run, arrivals) for query in queries]
    if arrivals.origin is not None and isfinite(arrivals.begin_s):
        zero = arrivals.origin + arrivals.begin_s
        record.memory = [
            Memory(at_s=look.at - zero, pss_bytes=look.pss, rss_bytes=look.rss, processes=look.processes)
            for look in watch.looks
            if look.at >= zero
        ]
        over_s = max((query.ended_s for query in record.queries if query.ended_s is not None), default=0.0)
        if record.status != "interrupted":
            record.memory = [look for look in record.memory if look.at_s <= over_s]  # then the workers end
    record.watching_cpu_s = watch.cpu_s
    record.load_wall_s = system.totals.load_wall_s
    record.analyzers = {item.name: item.status for item in system.analyzers.values()}
    record.executed = {item.name: item.evidence for item in system.analyzers.values() if item.evidence}
    record.invalid = invalid_of(run, queries, deterministic)
    differing = {name: why for name, why in differing_repeats(run, queries).items() if name not in deterministic}
    record.notes += [f"{name} {why}" for name, why in differing.items()]
    if system.copy_check is not None:
        record.notes.append(system.copy_check.words)
    if record.scenario != "offline" and system.prediction:
        system.prediction = {}  # it takes all clips to be there at once
        run.save()
    add_figures(record)
    if (limit_s := record.settings.get("bound_s")) is not None:
        record.bound = judge_bound(record.counted, float(record.settings["bound_percentile"]), float(limit_s))


def _query(query: Query, record: LoadRecord, run: SystemFolder, arrivals: Watched) -> QueryRecord:
    system = run.record
    clip = next(clip for clip in system.clips if clip.name == query.name)
    found = QueryRecord(
        name=query.name,
        clip=query.clip,
        kind=record.kinds[query.clip],
        video_s=clip.duration_s or 0.0,
        warmup=query.warmup,
    )
    began = system.sessions[-1].first_task_s if system.sessions else None
    at = arrivals.at(query.name)
    if began is None or not isfinite(at) or not isfinite(arrivals.begin_s):
        return found
    spans = [span for span in run.spans if span.clip == query.name]
    work = [span for span in spans if span.kind == "task"]
    found.arrived_s = at - arrivals.begin_s
    found.work_s = sum(len(span.cores) * (span.end_s - span.start_s) for span in work)
    found.cpu_s = sum(span.cpu_s or 0.0 for span in work)
    zero = began + arrivals.begin_s
    if work:
        found.began_s = min(span.start_s for span in work) - zero
    _tell_end(found, run, spans, zero)
    return found


def _tell_end(found: QueryRecord, run: SystemFolder, spans: Sequence[Span], zero: float) -> None:
    """How it ended, and when; it is 'pending' while any analyzer that can run here has not ended."""
    outcomes = {item.name: item.outcomes[found.name] for item in run.record.analyzers.values() if not item.unavailable}
    if any(outcome.status == "pending" for outcome in outcomes.values()):
        return
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome.status != "done"}
    found.status = "failed" if wrong else "done"
    found.reason = "; ".join(f"{name}: {one.status.replace('_', ' ')}: {one.reason}" for name, one in wrong.items())
    found.ended_s = max((span.end_s - zero for span in spans), default=None)


def invalid_of(run: SystemFolder, queries: Sequence[Repeat], deterministic: Collection[str]) -> dict[str, str]:
    """Whose figures must not be used: as the run of the system says, and what shows between the repeats of a clip."""
    found = {name: [why] for name, why in run.record.invalid.items()}
    for name, why in differing_repeats(run, queries).items():
        if name in deterministic:
            found.setdefault(name, []).append(f"{why}: it is not deterministic, and does not declare it")
    for name in run.record.analyzers:
        if remembered := contradictions([first_passes(_rows(run, queries, name))]):
            found.setdefault(name, []).append(remembered)
    return {name: "; ".join(reasons) for name, reasons in found.items()}


def _rows(run: SystemFolder, queries: Sequence[Repeat], name: str) -> list[dict[str, object]]:
    """The tasks of an analyzer in their order, each repeat under the name of its clip."""
    clips = {query.name: query.clip for query in queries}
    work = [s for s in run.spans if s.kind == "task" and s.name == name and s.status == "done" and s.clip in clips]
    return [
        {"clip": clips[span.clip], "worker": 0, "total_s": busy_s(span), "run_queue_s": 0.0, "cpu_s": span.cpu_s}
        for span in sorted(work, key=lambda span: span.start_s)
    ]


def differing_repeats(run: SystemFolder, queries: Sequence[Repeat]) -> dict[str, str]:
    """What is to be said of each analyzer that did not find the same every time it was given a clip."""
    found = {}
    for name, item in run.record.analyzers.items():
        first: dict[str, AnalyzerResult] = {}
        other: dict[str, None] = {}
        for query in queries:
            outcome = item.outcomes.get(query.name)
            result = run.result((query.name, name)) if outcome is not None and outcome.status == "done" else None
            if result is not None and not same_events(first.setdefault(query.clip, result), result):
                other[query.clip] = None
        if other:
            found[name] = f"did not find the same in every repeat of {', '.join(other)}"
    return found
