"""Read reports of ``benchmarks/gpu`` as measurements for claims: speed of variants on a GPU, with random weights.

A report says nothing about quality, and it was measured in one process: what rests on it says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelbench.comparison.claims.measured import Missing, SpeedUp
from reelbench.errors import ConfigError

SCHEMA = 2
SIZE = "2b"
"""Of Qwen2-VL: the size of the weights that the analyzer comes with."""
CONFIDENCE = 0.95
_HINT = "docs/gpu.md says how a report is made"


@dataclass(frozen=True, slots=True)
class OnGpu:
    """The speed-up of two variants as a report has it. Quality is never judged."""

    speed_up: SpeedUp
    notes: tuple[str, ...]
    quality: str = "not judged"


class GpuReport:
    """One JSON file of ``benchmarks/gpu/run.py``. Raises ConfigError for another file, and for a rehearsal on a CPU."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            version, self._rows = data["schema_version"], dict(data["rows"])
            self._about = dict(data["environment"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{file}: not a GPU report ({error})", _HINT) from error
        if version != SCHEMA:
            raise ConfigError(f"{file}: schema version {version}, not {SCHEMA}: measure again", _HINT)
        if "gpu" not in self._about:
            raise ConfigError(f"{file}: a rehearsal on a CPU, not a measurement of a GPU", _HINT)

    def find(self, analyzer: str, a: str, b: str) -> OnGpu | Missing:
        """How many times faster ``b`` is than ``a``, which must be the arm that the report measures all others beside."""
        base, arm = (self._rows.get(f"{analyzer} {SIZE} | {variant}") for variant in (a, b))
        if base is None or arm is None:
            lacking = b if base is not None else a
            return Missing("comparison", f"{self._file.name} has no arm {lacking} of {analyzer} {SIZE}")
        for variant, row in ((a, base), (b, arm)):
            if problem := _problem(row):
                reason = f"{self._file.name}: {analyzer} {SIZE}, {variant}: {problem}"
                return Missing("comparison", reason)
        return OnGpu(
            _speed_up(_passes(base) + list(arm["samples_s"]["baseline_around"]), _passes(arm)), self._notes(arm)
        )

    def _notes(self, arm: dict[str, Any]) -> tuple[str, ...]:
        passes = len(arm["samples_s"]["encode"])
        packages = self._about.get("packages", {})
        versions = ", ".join(f"{name} {packages.get(name)}" for name in ("torch", "transformers"))
        return (
            f"on {self._about['gpu']}, random weights: speed only ({self._file.name}; Qwen2-VL {SIZE}, "
            f"{passes} passes in one process, {versions})",
        )


def _problem(row: dict[str, Any]) -> str:
    if row["status"] != "measured":
        return f"{row['status']}: {row.get('reason', '')}"
    return str(row.get("contradiction") or "")


def _passes(row: dict[str, Any]) -> list[float]:
    """Seconds of each pass: preprocessing and all tokens."""
    samples = row["samples_s"]
    return [a + b for a, b in zip(samples["encode"], samples["all_tokens"], strict=True)]


def _speed_up(before: Sequence[float], after: Sequence[float]) -> SpeedUp:
    """The ratio of geometric means with Welch's t interval on the logarithms (unequal variances); without one below two passes."""
    from scipy.stats import ttest_ind

    logs = [[math.log(seconds) for seconds in passes] for passes in (before, after)]
    point = math.exp(sum(logs[0]) / len(logs[0]) - sum(logs[1]) / len(logs[1]))
    if min(len(before), len(after)) < 2:
        return SpeedUp(point, 0.0, math.inf, CONFIDENCE, len(after))
    interval = ttest_ind(*logs, equal_var=False).confidence_interval(CONFIDENCE)
    low, high = (math.exp(float(end)) for end in (interval.low, interval.high))
    return SpeedUp(point, low, high, CONFIDENCE, len(after))
