"""Timings from what system runs took: for each analyzer, seconds = fixed_s + per_video_s × length of the clip, and how many times as
long that takes beside others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from reelbench.errors import InputError
from reelbench.system.costs import wall_s
from reelbench.system.folder import SystemFolder
from reelbench.system.planning.crowding import Pass, crowds, slowdown, stretched
from reelbench.system.records import Span
from reelbench.system.tasks import Timing, Timings

SAME_LENGTH = 0.02
"""Clips whose lengths differ by less cannot say what a second of video adds: all is put down to the length."""

Clip = tuple[str, float]
"""Its name and its length in seconds."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A timing and how well it fits: the ``clips`` it was fitted to, and the median over them of |fitted − measured| / measured."""

    name: str
    timing: Timing
    clips: int
    error: float


def timings_of(
    folders: Sequence[SystemFolder], command: str, seconds: Callable[[Span], float] = wall_s
) -> tuple[Timings, list[Fit]]:
    """Fit all that was done in these runs; ``seconds`` says what counts of a span. InputError where nothing was done, or the runs
    are of different machines or variants."""
    fingerprint, machine = _machine(folders)
    variants = _variants(folders)
    loads: dict[str, list[Span]] = {}
    tasks: dict[str, dict[Clip, list[tuple[Span, float]]]] = {}
    for folder in folders:
        lengths = {clip.name: clip.duration_s for clip in folder.record.clips}
        for span, crowd in zip(folder.spans, crowds(folder.spans, len(folder.record.cores)), strict=True):
            if span.status != "done":
                continue
            length = lengths.get(span.clip)
            if span.kind == "load":
                loads.setdefault(span.name, []).append(span)
            elif span.kind == "task" and length:
                tasks.setdefault(span.name, {}).setdefault((span.clip, length), []).append((span, crowd))
    if not tasks:
        raise InputError(f"{folders[0].path}: no task was done, so there is nothing to measure")
    fits = [_fit(name, variants.get(name, ""), tasks[name], loads.get(name, []), seconds) for name in sorted(tasks)]
    found = Timings(
        fingerprint=fingerprint,
        machine=machine,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        tasks={fit.name: fit.timing for fit in fits},
    )
    return found, fits


def _fit(
    name: str,
    variant: str,
    clips: Mapping[Clip, Sequence[tuple[Span, float]]],
    loads: Sequence[Span],
    counted: Callable[[Span], float],
) -> Fit:
    lengths = [length for _, length in clips]
    passes = [[Pass(counted(span), crowd) for span, crowd in own] for own in clips.values()]
    beside = slowdown(passes)
    seconds = [median(one.seconds / stretched(beside or 1.0, one.crowd) for one in own) for own in passes]
    fixed_s, per_video_s = line(lengths, seconds)
    errors = [abs(fixed_s + per_video_s * x - y) / y for x, y in zip(lengths, seconds, strict=True) if y > 0]
    spans = [span for own in clips.values() for span, _ in own]
    cpu = sum(median(span.cpu_s or 0.0 for span, _ in own) for own in clips.values())
    timing = Timing(
        variant=variant,
        fixed_s=fixed_s,
        per_video_s=per_video_s,
        cpu_per_video_s=cpu / sum(lengths),
        beside=beside,
        load_s=median(counted(span) for span in loads) if loads else 0.0,
        pss_bytes=max((span.pss_bytes or 0 for span in [*spans, *loads]), default=0),
        seen=len(spans),
    )
    return Fit(name, timing, len(clips), median(errors) if errors else 0.0)


def line(lengths: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """The non-negative (fixed, slope) of seconds = fixed + slope × length with the least squares (Lawson and Hanson's NNLS)."""
    if max(lengths) - min(lengths) <= SAME_LENGTH * max(lengths):
        return 0.0, sum(seconds) / sum(lengths)
    import numpy as np
    from scipy.optimize import nnls

    matrix = np.stack([np.ones(len(lengths)), np.asarray(lengths, dtype=float)], axis=1)
    (fixed, slope), _ = nnls(matrix, np.asarray(seconds, dtype=float))
    return float(fixed), float(slope)


def _machine(folders: Sequence[SystemFolder]) -> tuple[str, str]:
    """The fingerprint of the machine that all runs were made on, and a word for it."""
    found: dict[str, str] = {}
    for folder in folders:
        path = folder.path / "environment.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            found[str(kept["fingerprint"])] = described(kept["machine"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: it does not say on which machine the run was made") from error
    if len(found) > 1:
        raise InputError("these runs were made on different machines: " + "; ".join(found.values()))
    return next(iter(found.items()))


def described(machine: Mapping[str, Any]) -> str:
    """The machine of `bench.environment` in a few words."""
    words = [str(machine.get("cpu", "")), f"{machine.get('usable_threads')} cores", f"{machine.get('memory_gib')} GiB"]
    return ", ".join([*words, *(str(gpu.get("name")) for gpu in machine.get("gpus") or [])])


def _variants(folders: Sequence[SystemFolder]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in folders:
        for name, record in folder.record.analyzers.items():
            if found.setdefault(name, record.variant) != record.variant:
                raise InputError(f"{name} is '{found[name]}' in one run and '{record.variant}' in another")
    return found
