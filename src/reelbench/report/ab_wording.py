"""How a comparison's figures read, in the terminal and on its page alike."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from reelbench.comparison.calibrated import proof
from reelbench.comparison.records import Arm, Calibrated, ComparisonRecord, Effect, Quality
from reelbench.comparison.sentence import also as also
from reelbench.comparison.sentence import guard as guard
from reelbench.comparison.sentence import hidden as hidden
from reelbench.report import wording
from reelbench.report.run_data import RunData

NEVER_CALIBRATED = "never calibrated on this machine: run `reelbench calibrate`"
_SMALL = (0.67, 1.5)
"""Ratios between these read better as per cent than as 'times' (as in `reelbench.comparison.sentence`)."""
_TOLERANCE = 1e-6
"""Keeps 4.6, arrived at as 1 / 0.217…, from becoming 4.5 or 4.7."""

EXIT_WORDS = {
    0: "passes",
    1: "fails: slower, or quality is worse",
    2: "fails: the command, the configuration or the input was wrong",
    3: "undecided: speed inconclusive, or quality underpowered",
    4: "could not run here",
    5: "fails: the figures must not be used",
    130: "interrupted",
}
Level = Literal["good", "warn", "bad"]


def level(record: ComparisonRecord) -> Level:
    """How loudly to say it."""
    if record.invalid or record.verdict == "invalid" or record.exit_code in (1, 2, 5):
        return "bad"
    return "good" if record.exit_code == 0 and record.verdict is not None else "warn"


def verdict_words(record: ComparisonRecord) -> str:
    """The verdict on speed in a word or two, also where there is none."""
    return "invalid" if record.invalid else record.verdict or "not decided"


def in_times(effect: Effect) -> bool:
    """Whether an effect, and all that stands beside it, reads as 'times' rather than as per cent."""
    return not _SMALL[0] < effect.ratio < _SMALL[1]


def change(ratio: float, times: bool | None = None) -> str:
    """A ratio B/A in words: '4.05× faster', '1.60× slower', '−1.2 % time'. ``times`` chooses; None: by the ratio itself."""
    if not ratio > 0 or ratio == float("inf"):
        return wording.NONE
    if times if times is not None else not _SMALL[0] < ratio < _SMALL[1]:
        return f"{1 / ratio:.2f}× faster" if ratio <= 1 else f"{ratio:.2f}× slower"
    return f"{signed(100 * (ratio - 1), 1)} % time"


def interval(effect: Effect, times: bool | None = None) -> str:
    """The interval of an effect in the unit of `change`, its ends rounded outwards; an end beyond 'the same' is then below 1."""
    if not effect.bounded or effect.low <= 0:
        return "no bound yet"
    if not (times if times is not None else in_times(effect)):
        return f"{signed(_down(100 * (effect.low - 1), 1))} to {signed(_up(100 * (effect.high - 1), 1))} %"
    if effect.ratio <= 1:
        return f"{_down(1 / effect.high, 2):.2f} to {_up(1 / effect.low, 2):.2f}"
    return f"{_down(effect.low, 2):.2f} to {_up(effect.high, 2):.2f}"


def _down(value: float, digits: int) -> float:
    unit = 10.0**digits
    return floor(value * unit + _TOLERANCE) / unit


def _up(value: float, digits: int) -> float:
    unit = 10.0**digits
    return ceil(value * unit - _TOLERANCE) / unit


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a true minus, and no '-0.0'."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def points(difference: float | None) -> str:
    """A difference of scores in points of a hundred."""
    return wording.NONE if difference is None else signed(100 * difference, 1)


def bounds(quality: Quality) -> str:
    """'−3.4 to +0.6', points of a hundred, rounded outwards; empty where there are none."""
    if quality.low is None or quality.high is None:
        return ""
    return f"{signed(_down(100 * quality.low, 1))} to {signed(_up(100 * quality.high, 1))}"


def quality_bounds(quality: Quality) -> str:
    """'bounds −3.4 to +0.6, margin −0.7', as far as there are any; points of a hundred."""
    parts = [f"bounds {bounds(quality)}"] if bounds(quality) else []
    if quality.margin is not None:
        parts.append(f"margin {points(-quality.margin)}")
    return ", ".join(parts)


def pooled_words(quality: Quality) -> str:
    """The metric over all clips pooled, named as such; empty where there is none."""
    if quality.overall_a is None or quality.overall_b is None or quality.mean_a is None:
        return ""
    return f"A {wording.score(quality.overall_a)}, B {wording.score(quality.overall_b)} (the verdict is on the mean over clips)"


def calibration_line(found: Calibrated | None, fingerprint: str) -> str:
    """What is known of this machine's false alarms and power, in one line."""
    if found is None:
        return NEVER_CALIBRATED
    line = (
        f"{found.false_alarms} false alarms in {found.decisions} A/A decisions: {wording.percent(found.false_alarm_rate, 1)} "
        f"(95 % bounds {wording.percent(found.false_alarm_low, 1)} to {wording.percent(found.false_alarm_high, 1)})"
    )
    for slowdown, share in sorted(found.power.items(), key=lambda item: float(item[0])):
        line += f"; a real +{100 * float(slowdown):g} % found in {wording.percent(share)}"
    if proof(found) == "unproven":
        line += f"; unproven: up to {wording.percent(found.false_alarm_high, 1)} is possible"
    line += f"; floor ±{wording.percent(found.floor, 1)}"
    other = bool(found.fingerprint and fingerprint and found.fingerprint != fingerprint)
    return f"{line}; of another machine ({found.fingerprint})" if other else line


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm for a table. ``pass_s``: the median over the pairs of the declared statistic, seconds. ``quality``: the mean over clips,
    which is what the verdict compares; the metric over all clips pooled is another figure, and has a line of its own."""

    letter: Literal["a", "b"]
    label: str
    variant: str
    pass_s: float | None
    x_realtime: float | None
    ms_p50: float | None
    ms_p95: float | None
    cold_start_s: float | None
    cold_starts: int
    rss_peak_bytes: float | None
    vram_peak_bytes: float | None
    quality: float | None
    evidence: str


def arm_figures(record: ComparisonRecord, runs: Sequence[RunData | None] = (None, None)) -> tuple[ArmFigures, ...]:
    """Both arms; what their runs say of speed is absent where ``runs`` are not given."""
    return _figures(record, "a", record.a, runs[0]), _figures(record, "b", record.b, runs[1])


def _figures(record: ComparisonRecord, letter: Literal["a", "b"], arm: Arm, run: RunData | None) -> ArmFigures:
    seconds = [pair.a_s if letter == "a" else pair.b_s for pair in record.pairs]
    summary = run.record.summary if run else {}
    quality = record.quality
    return ArmFigures(
        letter=letter,
        label=arm.label,
        variant=wording.variant_name(arm.variant, arm.effective),
        pass_s=statistics.median(seconds) if seconds else None,
        x_realtime=summary.get("x_realtime"),
        ms_p50=summary.get("frame_ms_p50"),
        ms_p95=summary.get("frame_ms_p95"),
        cold_start_s=statistics.median(arm.cold_starts_s) if arm.cold_starts_s else summary.get("cold_start_s"),
        cold_starts=len(arm.cold_starts_s),
        rss_peak_bytes=arm.rss_peak_bytes,
        vram_peak_bytes=arm.vram_peak_bytes,
        quality=None if quality is None else quality.mean_a if letter == "a" else quality.mean_b,
        evidence=wording.evidence_line(arm.evidence),
    )
