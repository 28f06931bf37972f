"""From what ran to latency, throughput and memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from statistics import fmean, median

from reelbench.load.records import Bound, Figures, LoadRecord, Percentile, Query

PERCENTS = (50.0, 90.0, 99.0)


def percentile(values: Collection[float], percent: float) -> Percentile:
    """The nearest rank of at least one value: ordered[ceil(percent / 100 · n) - 1], as MLPerf's load generator takes it. Never a
    value in between, so that with fewer than 100 samples the 99th is the longest, and says so."""
    ordered = sorted(values)
    # The tolerance: 100 * (7 / 100) is 7.000000000000001 in binary, and must not become the eighth.
    rank = max(1, ceil(percent * len(ordered) / 100 - 1e-9))
    return Percentile(percent=percent, seconds=ordered[rank - 1], maximum=rank == len(ordered))


def figures(queries: Sequence[Query]) -> Figures:
    """What these queries say together."""
    done = [query for query in queries if query.status == "done" and query.latency_s is not None]
    found = Figures(queries=len(done), failed=sum(query.status == "failed" for query in queries))
    if not done:
        return found
    latencies = [query.latency_s or 0.0 for query in done]
    found.video_s = sum(query.video_s for query in done)
    found.percentiles = [percentile(latencies, percent) for percent in PERCENTS]
    found.mean_s = fmean(latencies)
    waited = [query.began_s - query.arrived_s for query in done if None not in (query.began_s, query.arrived_s)]  # type: ignore[operator]
    found.waited_s_median = median(waited) if waited else None
    if found.video_s:
        found.x_realtime = found.video_s / sum(latencies) if sum(latencies) else None
        found.work_per_video_s = sum(query.work_s for query in done) / found.video_s
        found.cpu_per_video_s = sum(query.cpu_s for query in done) / found.video_s
    return found


def most_at_once(queries: Sequence[Query]) -> int:
    """The most queries that had arrived and were not over."""
    return max((count for _, count in in_system(queries)), default=0)


def in_system(queries: Sequence[Query]) -> list[tuple[float, int]]:
    """How many queries had arrived and were not over, from each moment on at which that changed."""
    steps = [(query.arrived_s, 1) for query in queries if query.arrived_s is not None]
    steps += [(query.ended_s, -1) for query in queries if query.arrived_s is not None and query.ended_s is not None]
    found: list[tuple[float, int]] = []
    count = 0
    for at, step in sorted(steps):  # at the same moment one goes before the next comes
        count += step
        found.append((at, count))
    return found


def judge_bound(queries: Sequence[Query], percent: float, limit_s: float) -> Bound:
    """Whether so many per cent of the latencies kept the limit; a query that failed did not."""
    done = [query.latency_s for query in queries if query.status == "done" and query.latency_s is not None]
    bound = Bound(percent=percent, limit_s=limit_s, samples=len(done))
    failed = any(query.status == "failed" for query in queries)
    if done:
        found = percentile(done, percent)
        bound.found_s, bound.maximum = found.seconds, found.maximum
        bound.kept = found.seconds <= limit_s and not failed
    elif failed:
        bound.kept = False
    return bound


def add_figures(record: LoadRecord) -> None:
    """Fill the figures of the record from its queries and looks at the memory."""
    counted = record.counted
    record.figures = figures(counted)
    kinds = sorted({query.kind for query in counted})
    record.by_kind = {kind: figures([query for query in counted if query.kind == kind]) for kind in kinds}
    record.in_system_most = most_at_once(counted)
    record.pss_peak_bytes = max((look.pss_bytes for look in record.memory), default=None)
    ends = [query.ended_s for query in counted if query.ended_s is not None]
    record.span_s = max(ends, default=None)
    if record.span_s and record.figures.queries:
        record.per_min = 60 * record.figures.queries / record.span_s
        record.video_per_s = record.figures.video_s / record.span_s
        record.utilisation = sum(query.work_s for query in counted) / (len(record.cores) * record.span_s)
