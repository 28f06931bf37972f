"""Compute the figures of the table from raw samples. Nothing here is a constant: every figure is computed from rows that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from reelbench.bench.records import PHASES

Row = dict[str, Any]


def summarize(samples: Sequence[Row], frames: Sequence[Row]) -> dict[str, float]:
    """Figures over all timed passes.

    A clip's time is the median over its passes. ``x_realtime`` is the clips' summed duration over their summed times;
    ``frames_per_s`` likewise with sampled frames. ``frame_ms_p50/p95`` are over all sampled frames of all timed passes. Phase
    figures are over passes, seconds. ``run_queue_share``: run-queue delay per second of wall time.
    """
    timed = [row for row in samples if row["kind"] == "timed"]
    if not timed:
        return {}
    clips = sorted({row["clip"] for row in timed})
    by_clip = [[row for row in timed if row["clip"] == clip] for clip in clips]
    seconds = sum(median(row["total_s"] for row in rows) for rows in by_clip)
    figures = {
        "x_realtime": sum(rows[0]["duration_s"] for rows in by_clip) / seconds,
        "frames_per_s": sum(rows[0]["frames_sampled"] for rows in by_clip) / seconds,
        "inferred_share": _share(sum(r["frames_inferred"] for r in timed), sum(r["frames_sampled"] for r in timed)),
        "rss_peak_bytes": float(max(row["rss_peak_bytes"] for row in timed)),
        "cpu_s_median": median(row["cpu_s"] for row in timed),
        "decode_busy_s_median": median(row["decode_busy_s"] for row in timed),
        "passes": float(len(timed)),
    }
    for name in ("total", *PHASES):
        values = [row[f"{name}_s"] for row in timed]
        figures[f"{name}_s_median"] = median(values)
        figures[f"{name}_s_p95"] = float(np.percentile(values, 95))
    if frames:
        steps = np.array([row["step_s"] for row in frames]) * 1e3
        figures["frame_ms_p50"], figures["frame_ms_p95"] = (float(v) for v in np.percentile(steps, (50, 95)))
    delays = [row["run_queue_s"] for row in timed if row["run_queue_s"] is not None]
    if delays:
        figures["run_queue_share"] = sum(delays) / sum(row["total_s"] for row in timed)
    vram = [row["vram_peak_bytes"] for row in timed if row["vram_peak_bytes"] is not None]
    if vram:
        figures["vram_peak_bytes"] = float(max(vram))
    return figures


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
