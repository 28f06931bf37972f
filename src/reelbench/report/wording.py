"""How figures and names read, in the terminal and on the pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reelbench.bench.records import QualityRecord
from reelbench.masking import masked

NONE = "–"

_METRICS = {
    "map50": "mAP@0.5",
    "map": "mAP@[.5:.95]",
    "map50_95": "mAP@[.5:.95]",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "agreement_f1": "F1 at IoU 0.5",
    "agreement_precision": "precision",
    "agreement_recall": "recall",
    "false_positives_per_min": "false positives/min",
}

_INITIALS = {"bpm", "cer", "f1", "iou", "lufs", "mae", "vad", "wer"}

STATUS_WORDS = {
    "finished": "every clip was measured or refused",
    "failed": "the analyzer failed on some clip",
    "invalid": "the figures must not be used",
    "unavailable": "cannot run on this machine",
    "interrupted": "cut off; what was measured is kept",
    "running": "not finished yet",
}


def plain(text: str) -> str:
    """One printable line without passwords: control characters, line breaks and broken Unicode become '?' (a file's name is
    hostile input)."""
    return "".join(char if char.isprintable() else "?" for char in masked(text))


def number(value: float | None, digits: int = 3) -> str:
    """``digits`` significant digits, never an exponent: 0.0123, 1.23, 12.3, 123, 12345."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return NONE
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else -_leading_zeros(abs(value))
    return f"{value:.{max(0, min(6, digits - magnitude))}f}"


def _leading_zeros(value: float) -> int:
    zeros = 0
    while value < 0.1 and zeros < 6:
        value *= 10
        zeros += 1
    return zeros


def percent(share: float | None, digits: int = 0) -> str:
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def megabytes(value: float | None) -> str:
    """Bytes as millions, without the unit."""
    return NONE if value is None else f"{value / 1e6:.0f}"


def size(value: float | None) -> str:
    """Bytes with their decimal unit: 812 B, 4.10 kB, 14.0 GB, 1.23 TB."""
    if value is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{number(value) if unit != 'B' else round(value)} {unit}"
        value /= 1000
    return f"{number(value)} TB"


def duration(seconds: float) -> str:
    """Time left or spent, as people say it: '8 s', '2 min 05 s', '1 h 02 min'."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(iso: str) -> str:
    """A time stamp of a record as '2026-03-01 12:00 UTC'; as it stands where it is none."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at.tzinfo else f"{at:%Y-%m-%d %H:%M}"


def metric(name: str) -> str:
    """The field's way of writing a metric's name."""
    return _METRICS.get(name) or " ".join(word.upper() if word in _INITIALS else word for word in name.split("_"))


def main_quality(quality: QualityRecord) -> tuple[str, float] | None:
    """The figure that a table shows, with its name: the primary metric against truth, else agreement with its reference."""
    if quality.primary in quality.overall:
        return metric(quality.primary), quality.overall[quality.primary]
    if agreement := main_agreement(quality.agreement):
        return f"{metric(agreement)} vs {quality.reference}", quality.agreement[agreement]
    return None


def main_agreement(scores: Mapping[str, float]) -> str | None:
    """Which agreement metric stands for all: F1 where there is one."""
    names = [name for name in scores if "f1" in name.lower()] or list(scores)
    return names[0] if names else None


def variant_name(requested: str, effective: str) -> str:
    return requested if requested == effective else f"{requested} → {effective}"


def evidence_line(evidence: Mapping[str, Any]) -> str:
    """What executed in a few words: 'openvino CPU int8, 94 % of convolutions'."""
    if not evidence:
        return ""
    parts = [str(evidence.get(key) or "") for key in ("engine", "device", "precision")]
    line = " ".join(part for part in parts if part)
    if share := _convolution_share(evidence):
        line += f", {share}"
    if evidence.get("verified_on_hardware"):
        line += f", verified: {evidence.get('verified')}"
    elif evidence.get("verified_on_hardware") is False:
        line += f", {evidence.get('verified') or 'not verified on this machine'}"
    if evidence.get("uncompared"):
        line += ", not compared with FP32 here"
    if said := self_reported(evidence):
        line += f", self-reported: {', '.join(said)}"
    return line


def self_reported(evidence: Mapping[str, Any]) -> list[str]:
    """What of the evidence only the worker says: the parent found no way to check it."""
    checks = evidence.get("checks")
    return [name for name, how in checks.items() if how != "checked"] if isinstance(checks, Mapping) else []


def _convolution_share(evidence: Mapping[str, Any]) -> str:
    """How much of the convolutions ran in the precision that the evidence names, where the engine counts them by precision."""
    details = evidence.get("details")
    counts = details.get("convolutions") if isinstance(details, Mapping) else None
    if not isinstance(counts, Mapping):
        return ""
    by_precision = {str(name).lower(): count for name, count in counts.items() if isinstance(count, int | float)}
    total = sum(by_precision.values())
    precision = str(evidence.get("precision", "")).lower()
    return f"{percent(by_precision[precision] / total)} of convolutions" if total and precision in by_precision else ""
