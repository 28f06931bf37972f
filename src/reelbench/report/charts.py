"""Geometry of the charts: from figures to percent and pixels, for the templates to draw.

Across, positions are per cent of the plot's width, so that a chart fits a phone and its text keeps its size; upwards they are
pixels from the top of a plot that is ``height`` high. Nothing here knows colours or words of the page.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.report.figures import PhaseShare, percentile
from reelbench.report.run_data import RunData, Sample
from reelbench.report.wording import number


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """``start`` and ``size`` in per cent across; ``top`` and ``height`` in pixels where the bar stands upright."""

    start: float
    size: float
    tip: str
    kind: str = ""
    label: str = ""
    top: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A named vertical line. ``row`` sets apart labels that would lie on each other."""

    x: float
    label: str
    row: int = 0
    flip: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Histogram and cumulative share of milliseconds per frame. ``curve`` is an SVG path in a box of 100 × 100."""

    height: int
    bars: list[Bar]
    curve: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    count: int
    beyond: int
    longest_ms: float
    edge_ms: float


@dataclass(frozen=True, slots=True)
class Scatter:
    height: int
    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    title: str = ""


def stacked(phases: Sequence[PhaseShare], *, full_s: float | None = None) -> list[Bar]:
    """Phases one after the other along one bar; ``full_s`` seconds fill the width (the phases' own sum where it is None)."""
    total = full_s or sum(part.seconds for part in phases)
    bars: list[Bar] = []
    start = 0.0
    for part in phases:
        size = 100 * part.seconds / total if total > 0 else 0.0
        tip = f"{part.phase}: {number(part.seconds)} s, {100 * part.share:.1f} %"
        label = (
            f"{part.phase} {100 * part.share:.0f} %"
            if size >= 22
            else (f"{100 * part.share:.0f} %" if size >= 9 else "")
        )
        bars.append(Bar(start, size, tip, part.phase, label))
        start += size
    return bars


def latency(steps_ms: NDArray[np.float64], height: int = 200) -> Latency | None:
    """Histogram with cumulative curve; None where no frame was timed.

    The axis ends a little after the 99th percentile where the slowest frame would squeeze everything else; how many frames
    lie beyond is said, none is dropped from the percentiles.
    """
    if steps_ms.size == 0:
        return None
    values = np.sort(steps_ms)
    longest = float(values[-1])
    p50, p95, p99 = (percentile(values, at) or 0.0 for at in (50, 95, 99))
    edge = longest if longest <= 1.6 * p99 else 1.25 * p99
    ticks = nice_ticks(0.0, edge or 1.0)
    edge = max(edge, ticks[-1]) or 1.0
    spread = float(min(edge, longest) - values[0]) or edge
    bins = int(min(60, max(8, round(edge / spread * 2 * values.size ** (1 / 3)))))
    counts, edges = np.histogram(values, bins=bins, range=(0.0, edge))
    most = max(1, int(counts.max()))
    bars = [
        Bar(
            start=100 * low / edge,
            size=100 * (high - low) / edge,
            tip=f"{number(low)} to {number(high)} ms: {count} of {values.size} frames ({100 * count / values.size:.1f} %)",
            top=height * (1 - count / most),
            height=height * count / most,
        )
        for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        if count
    ]
    near = 100 * abs(p95 - p50) / edge < 26
    marks = [
        Mark(100 * p50 / edge, f"p50 {number(p50)} ms", flip=p50 > 0.7 * edge),
        Mark(100 * p95 / edge, f"p95 {number(p95)} ms", row=1 if near else 0, flip=p95 > 0.7 * edge),
    ]
    shares = [Tick(height * (1 - share / 100), f"{share} %") for share in (0, 25, 50, 75, 100)]
    return Latency(
        height=height,
        bars=bars,
        curve=_ecdf(values, edge),
        x_ticks=[Tick(100 * tick / edge, f"{tick:g}") for tick in ticks],
        y_ticks=shares,
        marks=marks,
        count=int(values.size),
        beyond=int((values > edge).sum()),
        longest_ms=longest,
        edge_ms=edge,
    )


def _ecdf(values: NDArray[np.float64], edge: float, most_points: int = 240) -> str:
    """The share of frames that took at most so long, as a path; thinned to what a screen can show."""
    ranks = np.unique(np.linspace(0, values.size - 1, min(most_points, values.size)).round().astype(int))
    steps = [(100 * float(values[rank]) / edge, 100 * (1 - (rank + 1) / values.size)) for rank in ranks]
    inside = [(x, y) for x, y in steps if x <= 100]
    if not inside:
        return ""
    path = f"M{inside[0][0]:.2f} 100" + "".join(
        f"V{y:.2f}" if i == 0 else f"H{x:.2f}V{y:.2f}" for i, (x, y) in enumerate(inside)
    )
    return path + "H100"


def drift(run: RunData, height: int = 170) -> Scatter | None:
    """Every pass of every clip over the time of day: seconds relative to the median of the same clip's timed passes."""
    medians = {
        clip.name: statistics.median(sample.total_s for sample in timed)
        for clip in run.record.clips
        if (timed := run.timed(clip.name))
    }
    shown = [sample for sample in run.samples if medians.get(sample.clip, 0.0) > 0]
    if not shown:
        return None
    ratios = [sample.total_s / medians[sample.clip] for sample in shown]
    low, high = min(0.9, *ratios), max(1.1, *ratios)
    begin = min(sample.started for sample in shown)
    end = max(sample.started for sample in shown)
    unit, word = (60.0, "min") if end - begin > 180 else (1.0, "s")
    span = max((end - begin) / unit, 1e-9)
    x_ticks = nice_ticks(0.0, span) if end > begin else [0.0]
    span = max(span, x_ticks[-1])
    y_ticks = nice_ticks(low, high, 4)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])
    dots = [
        Dot(
            x=100 * (sample.started - begin) / unit / span,
            y=height * (high - ratio) / (high - low),
            kind=sample.kind,
            tip=f"{sample.clip}, {_pass_name(sample)}: {number(sample.total_s)} s, {number(ratio)} × its median",
        )
        for sample, ratio in zip(shown, ratios, strict=True)
    ]
    return Scatter(
        height=height,
        dots=dots,
        x_ticks=[Tick(100 * tick / span, f"{tick:g} {word}" if tick else "0") for tick in x_ticks],
        y_ticks=[Tick(height * (high - tick) / (high - low), f"{tick:.2f}") for tick in y_ticks],
    )


def passes(run: RunData, clip: str, height: int = 84) -> Scatter | None:
    """The passes of one clip in the order in which they ran: total seconds, from zero."""
    samples = sorted((sample for sample in run.samples if sample.clip == clip), key=lambda sample: sample.started)
    if not samples:
        return None
    ticks = nice_ticks(0.0, max(sample.total_s for sample in samples) or 1.0, 2)
    top = max(ticks[-1], *(sample.total_s for sample in samples))
    dots = [
        Dot(
            x=100 * (position + 0.5) / len(samples),
            y=height * (1 - sample.total_s / top),
            kind=sample.kind,
            tip=f"{_pass_name(sample)}: {number(sample.total_s)} s",
        )
        for position, sample in enumerate(samples)
    ]
    y_ticks = [Tick(height * (1 - tick / top), f"{tick:g}") for tick in ticks]
    return Scatter(height=height, dots=dots, x_ticks=[], y_ticks=y_ticks, title=clip)


def _pass_name(sample: Sample) -> str:
    return f"warm-up pass {sample.repetition + 1}" if sample.kind == "warmup" else f"timed pass {sample.repetition + 1}"


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about so many; the last may lie one step beyond."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]
