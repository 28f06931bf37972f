"""The figures of a page, computed from a run's raw samples: never from prose, and None where nothing was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reelbench.bench.records import PHASES, ClipRecord
from reelbench.report.run_data import RunData


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """One clip. Seconds are per timed pass; ``ms`` figures are per sampled frame over all timed passes."""

    clip: ClipRecord
    passes: int = 0
    median_s: float | None = None
    min_s: float | None = None
    max_s: float | None = None
    x_realtime: float | None = None
    ms_p50: float | None = None
    ms_p95: float | None = None
    frames_sampled: int | None = None
    frames_inferred: int | None = None
    phases: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class PhaseShare:
    """Median seconds of one phase, and its share of all phases' medians."""

    phase: str
    seconds: float
    share: float


def clip_figures(run: RunData) -> list[ClipFigures]:
    """One entry a clip, in the order of the record."""
    return [_of_clip(run, clip) for clip in run.record.clips]


def _of_clip(run: RunData, clip: ClipRecord) -> ClipFigures:
    timed = run.timed(clip.name)
    if not timed:
        return ClipFigures(clip)
    totals = [sample.total_s for sample in timed]
    median = statistics.median(totals)
    steps = run.steps.get(clip.name)
    length = clip.duration_s if clip.duration_s is not None else timed[0].duration_s
    return ClipFigures(
        clip=clip,
        passes=len(timed),
        median_s=median,
        min_s=min(totals),
        max_s=max(totals),
        x_realtime=length / median if length and median > 0 else None,
        ms_p50=percentile(steps, 50),
        ms_p95=percentile(steps, 95),
        frames_sampled=timed[-1].frames_sampled,
        frames_inferred=timed[-1].frames_inferred,
        phases={phase: statistics.median(sample.phases[phase] for sample in timed) for phase in PHASES},
    )


def percentile(values: NDArray[np.float64] | None, at: float) -> float | None:
    """Linear interpolation between the two nearest values; None of nothing."""
    return float(np.percentile(values, at)) if values is not None and values.size else None


def corpus_phases(clips: Sequence[ClipFigures]) -> list[PhaseShare]:
    """One pass over every measured clip: for each phase the sum of the clips' medians."""
    measured = [clip.phases for clip in clips if clip.phases is not None]
    return shares({phase: sum(phases[phase] for phases in measured) for phase in PHASES}) if measured else []


def shares(seconds: Mapping[str, float]) -> list[PhaseShare]:
    """Seconds by phase, with each phase's share of them all."""
    total = sum(seconds.values())
    return [PhaseShare(phase, value, value / total if total > 0 else 0.0) for phase, value in seconds.items()]


def all_steps(run: RunData) -> NDArray[np.float64]:
    """Milliseconds per sampled frame of every timed pass of every clip, unsorted."""
    return np.concatenate(list(run.steps.values())) if run.steps else np.empty(0)


def baseline_index(names: Sequence[str]) -> int:
    """Which variant the others are put against: the one named 'baseline', else the first."""
    return list(names).index("baseline") if "baseline" in names else 0
