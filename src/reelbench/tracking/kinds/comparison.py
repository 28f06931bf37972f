"""A comparison of two variants; its arms become child runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from reelbench.comparison.folder import FILE, ComparisonFolder, read_comparison
from reelbench.comparison.records import Arm, Calibrated, ComparisonRecord, Effect, Quality, Speed
from reelbench.config import Tracking
from reelbench.tracking.kinds import Kind, Part, asked_for
from reelbench.tracking.kinds.run import KIND as RUN
from reelbench.tracking.naming import flatten, safe_keys
from reelbench.tracking.payload import (
    COMPARISON_OF_TAG,
    KIND_TAG,
    Payload,
    clean_tags,
    content_digest,
    files_of,
    machine_tags,
    measured,
    mlflow_status,
    read_environment,
    unix_time,
)

COMPARISON_TAG = "reelbench.comparison_id"
_FILES = (FILE, "environment.json", "report.html", "report.md", "report.xml")


class ComparisonKind(Kind[ComparisonRecord]):
    home, file = ComparisonFolder.HOME, FILE

    def read(self, folder: Path) -> ComparisonRecord:
        return read_comparison(folder)

    def payload(self, folder: Path, record: ComparisonRecord) -> Payload:
        started = unix_time(record.created, folder / FILE)
        return Payload(
            run_id=record.id,
            name=f"{record.analyzer} {record.a.label} against {record.b.label}",
            digest=content_digest(record),
            status=mlflow_status(record.status),
            started_ms=int(started * 1000),
            ended_ms=int((started + record.seconds) * 1000),
            params=_params(record),
            metrics=_metrics(record),
            tags=_tags(folder, record),
            artifacts=files_of(folder, _FILES),
            id_tag=COMPARISON_TAG,
        )

    def parts(self, folder: Path, record: ComparisonRecord) -> Iterator[Part]:
        """The arms that lie inside the folder."""
        for arm in _arms(folder, record).values():
            if _inside(folder, arm):
                yield Part(arm, RUN, {COMPARISON_OF_TAG: record.id})

    def before(self, folder: Path, record: ComparisonRecord) -> Mapping[str, Path]:
        """Arms that were runs of their own."""
        return {name: arm for name, arm in _arms(folder, record).items() if not _inside(folder, arm)}

    def tracking(self, folder: Path, record: ComparisonRecord) -> Tracking:
        return asked_for(folder / record.a.folder, record.analyzer)

    def row(self, record: ComparisonRecord) -> dict[str, str]:
        return {
            "run": record.id,
            "analyzer": record.analyzer,
            "requested": f"{record.a.label} against {record.b.label}",
            "effective": f"{record.a.effective} against {record.b.effective}",
            "corpus": record.corpus,
            "status": record.verdict or record.status,
        }


KIND = ComparisonKind()


def _arms(folder: Path, record: ComparisonRecord) -> dict[str, Path]:
    """The run folders of the arms. An arm that never began has none."""
    found = {name: folder / arm.folder for name, arm in (("a", record.a), ("b", record.b))}
    return {name: path for name, path in found.items() if (path / RUN.file).is_file()}


def _inside(folder: Path, arm: Path) -> bool:
    return arm.resolve().is_relative_to(folder.resolve())


def _params(record: ComparisonRecord) -> dict[str, str]:
    """What was asked for. Results are metrics: MLflow never lets a parameter change, and a comparison may be resumed."""
    sides = {
        name: {"variant": arm.variant, "overrides": arm.overrides} for name, arm in (("a", record.a), ("b", record.b))
    }
    asked = {
        "analyzer": record.analyzer,
        "corpus": record.corpus,
        "measure": record.measure,
        "design": record.design,
        **sides,
    }
    return flatten(asked)


def _metrics(record: ComparisonRecord) -> dict[str, float]:
    """Ratios are time of B over time of A. What was not measured, or has no bound, is left out."""
    known: dict[str, float | None] = {
        "pairs": float(len(record.pairs)),
        "seconds": record.seconds,
        "parent_cpu_share": record.parent_cpu_share,
        "exit_code": float(record.exit_code),
    }
    if record.speed is not None:
        known |= speed_figures(record.speed)
        for clip, key in safe_keys(record.speed.per_clip).items():
            known |= _effect(f"clip.{key}.speed", record.speed.per_clip[clip])
    if record.quality is not None:
        known |= quality_figures(record.quality)
        known["agreement"] = record.quality.agreement
        for clip, key in safe_keys(record.quality.per_clip).items():
            of_clip = record.quality.per_clip[clip]
            known |= {f"clip.{key}.quality_a": of_clip.a, f"clip.{key}.quality_b": of_clip.b}
    known |= calibration_figures(record.calibration)
    known |= _arm_metrics("a", record.a) | _arm_metrics("b", record.b)
    return measured(known)


def speed_figures(speed: Speed) -> dict[str, float | None]:
    """The whole comparison's; those of each clip apart."""
    known: dict[str, float | None] = {
        **_effect("speed", speed.effect),
        "times_faster": 1 / speed.effect.ratio if speed.effect.ratio > 0 else None,
        "confidence": speed.confidence,
        "delta": speed.delta,
        "looks": float(len(speed.looks)),
        "minimum_detectable": speed.minimum_detectable,
        "pairs_needed": speed.pairs_needed,
    }
    for name, effect in (("speed_adjusted", speed.adjusted), ("speed_across_clips", speed.across_clips)):
        known |= _effect(name, effect) if effect is not None else {}
    return known


def _effect(name: str, effect: Effect) -> dict[str, float | None]:
    return {f"{name}_ratio": effect.ratio, f"{name}_low": effect.low, f"{name}_high": effect.high}


def quality_figures(quality: Quality) -> dict[str, float | None]:
    """Means over clips, as the verdict compares them; ``quality_pooled_…`` is the metric over all clips pooled."""
    return {
        "quality_difference": quality.difference,
        "quality_low": quality.low,
        "quality_high": quality.high,
        "quality_margin": quality.margin,
        "quality_clips": float(quality.clips),
        "quality_a": quality.mean_a,
        "quality_b": quality.mean_b,
        "quality_hidden_share": quality.hidden_share,
        "quality_pooled_a": quality.overall_a,
        "quality_pooled_b": quality.overall_b,
    }


def calibration_figures(found: Calibrated | None) -> dict[str, float | None]:
    if found is None:
        return {}
    return {
        "false_alarm_rate": found.false_alarm_rate,
        "false_alarm_low": found.false_alarm_low,
        "false_alarm_high": found.false_alarm_high,
        "floor": found.floor,
        **{f"power.{slowdown}": power for slowdown, power in found.power.items()},
    }


def _arm_metrics(name: str, arm: Arm) -> dict[str, float | None]:
    return {
        f"{name}.cold_start_s": median(arm.cold_starts_s) if arm.cold_starts_s else None,
        f"{name}.rss_peak_bytes": arm.rss_peak_bytes,
        f"{name}.vram_peak_bytes": arm.vram_peak_bytes,
    }


def _tags(folder: Path, record: ComparisonRecord) -> dict[str, str]:
    environment = read_environment(folder)
    quality = record.quality
    tags = {
        COMPARISON_TAG: record.id,
        KIND_TAG: "comparison",
        "verdict": record.verdict or "",
        "quality.verdict": quality.verdict if quality else "",
        "quality.reason": quality.reason if quality else "",
        "quality.metric": quality.metric if quality else "",
        "invalid": record.invalid or "no",
        "design": record.design,
        "analyzer": record.analyzer,
        "corpus": record.corpus,
        "measure": record.measure,
        "status": record.status,
        "audits.failed": ", ".join(_failed_audits(record)),
        "notes": "\n".join(record.notes),
        "mlflow.note.content": record.sentence,
        "mlflow.source.name": record.command,
        **machine_tags(environment),
        "machine": record.fingerprint,
    }
    for name, arm in (("a", record.a), ("b", record.b)):
        tags |= {
            name: arm.label,
            f"{name}.effective": arm.effective,
            f"{name}.run_id": arm.run_id,
            f"{name}.commit": arm.commit,
        }
    return clean_tags(tags)


def _failed_audits(record: ComparisonRecord) -> Sequence[str]:
    return [
        f"{audit.name} ({audit.arm})" if audit.arm else audit.name
        for audit in record.audits
        if audit.status == "failed"
    ]
