"""Geometry of a load run's charts, in the units of `reelbench.report.charts`: per cent across, pixels down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reelbench.load.figures import in_system
from reelbench.load.records import LoadRecord
from reelbench.report.charts import Dot, Scatter, Tick, nice_ticks
from reelbench.report.wording import number


@dataclass(frozen=True, slots=True)
class Line:
    """A curve over time. ``path`` is an SVG path in a box of 100 × 100."""

    height: int
    path: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def latencies(record: LoadRecord, height: int = 220) -> Scatter | None:
    """Each query at the moment at which it arrived (offline, where all arrive at once: at which it was done), and its latency."""
    shown = [
        (query.ended_s if record.scenario == "offline" else query.arrived_s, query.latency_s, query)
        for query in record.counted
        if query.ended_s is not None and query.arrived_s is not None and query.latency_s is not None
    ]
    if not shown:
        return None
    x_ticks = _times(record)
    y_ticks = nice_ticks(0.0, max(*(y for _, y, _ in shown), 1e-3))
    dots = [
        Dot(
            x=100 * (x or 0.0) / x_ticks[-1],
            y=height * (1 - y / y_ticks[-1]),
            kind="dirty" if query.status == "failed" else "",
            tip=f"{query.name} ({query.kind}): {number(y)} s from its arrival at {number(query.arrived_s)} s"
            + (f"; failed: {query.reason}" if query.status == "failed" else ""),
        )
        for x, y, query in shown
    ]
    return Scatter(height, dots, _across(x_ticks), _upright(y_ticks, height, " s"))


def clips_in_system(record: LoadRecord, height: int = 150) -> Line | None:
    """How many clips had arrived and were not done."""
    steps = [(at, float(count)) for at, count in in_system(record.counted)]
    if not steps:
        return None
    whole = [tick for tick in nice_ticks(0.0, max(1.0, *(count for _, count in steps)), 4) if tick.is_integer()]
    return _line(steps, height, "", _times(record), whole, stepped=True)


def memory(record: LoadRecord, height: int = 170) -> Line | None:
    """Memory of all processes, shared pages counted once."""
    looks = [(look.at_s, look.pss_bytes / 1e6) for look in record.memory if look.at_s >= 0]
    if len(looks) < 2:
        return None
    return _line(looks, height, " MB", _times(record), nice_ticks(0.0, max(*(y for _, y in looks), 1e-3), 4))


def _times(record: LoadRecord) -> list[float]:
    """The same axis of time for every chart, so that what stands above one another happened at once."""
    ends = [query.ended_s for query in record.counted if query.ended_s is not None]
    return nice_ticks(0.0, max([1e-3, *ends, *(look.at_s for look in record.memory)]))


def _line(
    points: Sequence[tuple[float, float]],
    height: int,
    unit: str,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    *,
    stepped: bool = False,
) -> Line:
    path, before = "", 100.0
    for place, (x, y) in enumerate(points):
        at, up = 100 * x / x_ticks[-1], 100 * (1 - y / y_ticks[-1])
        if stepped and place:
            path += f"L{at:.2f} {before:.2f}"
        path += f"{'L' if place else 'M'}{at:.2f} {up:.2f}"
        before = up
    return Line(height, path, _across(x_ticks), _upright(y_ticks, height, unit))


def _across(ticks: Sequence[float]) -> list[Tick]:
    return [Tick(100 * tick / ticks[-1], f"{tick:g} s" if tick else "0") for tick in ticks]


def _upright(ticks: Sequence[float], height: int, unit: str) -> list[Tick]:
    return [Tick(height * (1 - tick / ticks[-1]), f"{tick:g}{unit if tick else ''}") for tick in ticks]
