"""From a system run's folder to what its page draws: who held which core when, what held the run up, what each analyzer cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reelbench.report.wording import number
from reelbench.system.costs import Link, critical_path
from reelbench.system.records import Span, SystemRecord
from reelbench.system.tasks import BUILT_IN, Task

LANE = 30
LEFT = 64
NARROWEST, WIDEST = 1040, 9000
_LABEL_FROM_PX = 46


@dataclass(frozen=True, slots=True)
class Block:
    """A span on a core, in pixels. ``label`` is empty where there is no room for it."""

    x: float
    y: float
    width: float
    fill: str
    label: str
    tip: str
    failed: bool
    critical: bool


@dataclass(frozen=True, slots=True)
class Gantt:
    width: int
    height: int
    blocks: list[Block]
    ticks: list[tuple[float, str]]
    lanes: list[tuple[float, str]]
    breaks: list[float]


@dataclass(frozen=True, slots=True)
class Held:
    """How much of the critical path an analyzer is: seconds of work on it, and how often."""

    name: str
    seconds: float
    share: float
    times: int


def colours(record: SystemRecord) -> dict[str, str]:
    """A hue for each analyzer, neighbours far apart; grey for what the system does itself."""
    found = dict.fromkeys((*BUILT_IN, "load"), "hsl(215 8% 60%)")
    for at, name in enumerate(record.analyzers):
        found[name] = f"hsl({round(at * 137.5) % 360} {58 if at % 2 else 46}% {50 if at % 3 else 62}%)"
    return found


def gantt(record: SystemRecord, spans: Sequence[Span]) -> Gantt | None:
    """One lane a core, the sessions one after the other; None where nothing ran."""
    shown = [span for span in spans if span.kind != "verdict" and span.cores]
    if not shown:
        return None
    offsets, total = _sessions(record, shown)
    per_s = min(WIDEST, max(NARROWEST, total * 14)) / total
    lanes = {core: 20.0 + at * LANE for at, core in enumerate(record.cores)}
    fills, critical = colours(record), {id(link.span) for link in path_of(record, spans)}
    blocks = [
        _block(
            span, core, lanes, LEFT + (offsets[span.session] + span.start_s) * per_s, per_s, fills, id(span) in critical
        )
        for span in shown
        for core in span.cores
        if core in lanes
    ]
    step = _step(total)
    ticks = [(LEFT + at * step * per_s, f"{at * step:g} s") for at in range(int(total / step) + 1)]
    names = [(y + LANE / 2, f"core {core}") for core, y in lanes.items()]
    breaks = [LEFT + offset * per_s for offset in list(offsets.values())[1:]]
    return Gantt(round(LEFT + total * per_s + 24), 44 + LANE * len(lanes), blocks, ticks, names, breaks)


def _sessions(record: SystemRecord, spans: Sequence[Span]) -> tuple[dict[int, float], float]:
    """Where each session begins on one axis without the gaps between them, and how long that is."""
    offsets: dict[int, float] = {}
    total = 0.0
    for number_, session in enumerate(record.sessions):
        offsets[number_] = total
        ends = [span.end_s for span in spans if span.session == number_]
        total += max([session.ended_s or 0.0, *ends])
    return offsets, max(total, 1e-3)


def _block(
    span: Span, core: int, lanes: dict[int, float], x: float, per_s: float, fills: dict[str, str], critical: bool
) -> Block:
    seconds = span.end_s - span.start_s
    width = max(1.0, seconds * per_s)
    what = f"load {span.name}" if span.kind == "load" else f"{span.name}, {span.clip}"
    ended = "" if span.status == "done" else f"; {span.status.replace('_', ' ')}: {span.reason}"
    cpu = f", {number(span.cpu_s)} CPU s" if span.cpu_s is not None else ""
    room = int(width / 7)
    label = span.name if width >= _LABEL_FROM_PX and span.kind == "task" else ""
    return Block(
        x=x,
        y=lanes[core],
        width=width,
        fill=fills.get("load" if span.kind == "load" else span.name, "hsl(0 0% 50%)"),
        label=label if len(label) <= room else f"{label[: room - 1]}…" if label else "",
        tip=f"{what}: {number(seconds)} s from {number(span.start_s)} s{cpu}{ended}",
        failed=span.status != "done",
        critical=critical,
    )


def _step(total: float) -> float:
    """A round distance of ticks, some 12 over the whole."""
    rough = total / 12
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def path_of(record: SystemRecord, spans: Sequence[Span]) -> list[Link]:
    tasks = [
        Task(clip.name, name, clip.duration_s or 0.0, rank, item.waits_for)
        for rank, clip in enumerate(record.clips)
        for name, item in record.analyzers.items()
    ]
    return critical_path(spans, tasks)


def held_up(record: SystemRecord, spans: Sequence[Span]) -> tuple[list[Held], float]:
    """The critical path by analyzer, the largest part first, and the seconds on it in which nothing of it ran."""
    links = path_of(record, spans)
    seconds: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for link in links:
        seconds[link.span.name] += link.span.end_s - link.span.start_s  # type: ignore[assignment]
        times[link.span.name] += 1
    waited = sum(link.waited_s for link in links)
    total = sum(seconds.values()) + waited
    return [Held(name, s, s / total if total else 0.0, times[name]) for name, s in seconds.most_common()], waited
