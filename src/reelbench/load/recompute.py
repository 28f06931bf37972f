"""The figures of a load run, computed again: each query from the run of the system, the rest from the queries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.bench.integrity import Figure, differing
from reelbench.load.arrivals import poisson
from reelbench.load.figures import add_figures, judge_bound
from reelbench.load.folder import MEMORY, QUERIES, table
from reelbench.load.records import Memory, Query
from reelbench.load.tell import invalid_of
from reelbench.system.folder import RECORD, SystemFolder

if TYPE_CHECKING:
    from reelbench.load.records import LoadRecord
    from reelbench.system.records import Span

_CLOCK_S = 1e-6


def recomputed(folder: Path, record: LoadRecord) -> Iterator[Figure]:
    """The queries from the run of the system, where that is there; the figures from the queries."""
    yield from _tables(folder, record)
    if record.system_run and (folder / record.system_run / RECORD).is_file():
        yield from _queries(record, SystemFolder.open(folder / record.system_run))
    yield from _arrivals(record)
    again = record.model_copy(deep=True)
    again.span_s = again.per_min = again.video_per_s = again.utilisation = None
    add_figures(again)
    if record.bound is not None:
        again.bound = judge_bound(record.counted, record.bound.percent, record.bound.limit_s)
    yield from differing("", record.model_dump(), again.model_dump())


def _tables(folder: Path, record: LoadRecord) -> Iterator[Figure]:
    """The tables hold what the record holds."""
    for name, written in ((QUERIES, table(Query, record.queries)), (MEMORY, table(Memory, record.memory))):
        file = folder / name
        if file.is_file() and (found := file.read_text(encoding="utf-8")) != written:
            lines = zip(found.splitlines(), written.splitlines(), strict=False)
            kept, said = next(((one, other) for one, other in lines if one != other), (found[-80:], written[-80:]))
            yield Figure(f"a line of {name}", kept, said)


def _queries(record: LoadRecord, run: SystemFolder) -> Iterator[Figure]:
    """What each query took, and when, from the timeline; whose figures are invalid."""
    by_query: dict[str, list[Span]] = {query.name: [] for query in record.queries}
    for span in run.spans:
        if span.clip in by_query:
            by_query[span.clip].append(span)
    zero: float | None = None
    for query in record.queries:
        work = [span for span in by_query[query.name] if span.kind == "task"]
        if query.began_s is None or not work:
            continue
        begun = min(span.start_s for span in work)
        zero = begun - query.began_s if zero is None else zero
        ended = max(span.end_s for span in by_query[query.name])
        yield from _moment(f"{query.name}: began_s", query.began_s, begun - zero)
        yield Figure(f"{query.name}: work_s", query.work_s, sum(len(s.cores) * (s.end_s - s.start_s) for s in work))
        yield Figure(f"{query.name}: cpu_s", query.cpu_s, sum(span.cpu_s or 0.0 for span in work))
        if query.ended_s is not None:
            yield from _moment(f"{query.name}: ended_s", query.ended_s, ended - zero)
        statuses = {item.outcomes[query.name].status for item in run.record.analyzers.values() if not item.unavailable}
        if "pending" not in statuses:
            yield Figure(f"{query.name}: status", query.status, "failed" if statuses - {"done"} else "done")
    yield from differing("analyzers", record.analyzers, {one.name: one.status for one in run.record.analyzers.values()})
    for name, why in invalid_of(run, record.queries, ()).items():
        if name not in record.invalid:
            yield Figure(f"{name}: invalid", "", why)
    if record.status == "finished":
        yield Figure("status", record.status, "failed" if run.record.status == "failed" else "finished")


def _arrivals(record: LoadRecord) -> Iterator[Figure]:
    """When counted queries arrived: all at once, or as the rate and the seed say. One after the other follows from no setting."""
    if record.scenario == "single_stream":
        return
    rate, seed = record.rate_per_min, int(record.settings.get("seed", 0))
    times = [0.0] * len(record.counted) if rate is None else poisson(len(record.counted), rate, seed)
    for query, at in zip(record.counted, times, strict=True):
        if query.arrived_s is not None:
            yield from _moment(f"{query.name}: arrived_s", query.arrived_s, at)


def _moment(name: str, recorded: float, computed: float) -> Iterator[Figure]:
    """Sums of clock readings differ in their last digits."""
    if abs(recorded - computed) > _CLOCK_S:
        yield Figure(name, recorded, computed)
