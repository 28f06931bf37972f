"""A comparison of two whole systems; the runs of its arms become child runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from reelbench.comparison.records import ArmName
from reelbench.config import Tracking
from reelbench.system.ab.folder import SystemComparisonFolder, read_system_comparison
from reelbench.system.ab.records import ArmRun, Judged, SystemComparison
from reelbench.tracking.kinds import Kind, Part
from reelbench.tracking.kinds.comparison import calibration_figures, quality_figures, speed_figures
from reelbench.tracking.kinds.system import KIND as RUN
from reelbench.tracking.kinds.system import SYSTEM, as_json, asked_together
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

SYSTEM_COMPARISON_TAG = "reelbench.system_comparison_id"
EXPERIMENT = "system_comparison"
_ARMS: tuple[ArmName, ArmName] = ("a", "b")
_FILES = (SystemComparisonFolder.FILE, "environment.json", "report.html")
_OF_RUN = ("makespan_s", "load_wall_s", "cpu_s", "utilisation", "decode_share", "queue_share")


class SystemComparisonKind(Kind[SystemComparison]):
    home, file = SystemComparisonFolder.HOME, SystemComparisonFolder.FILE

    def read(self, folder: Path) -> SystemComparison:
        return read_system_comparison(folder)

    def payload(self, folder: Path, record: SystemComparison) -> Payload:
        started = unix_time(record.created, folder / self.file)
        return Payload(
            run_id=record.id,
            name=f"{record.a.label} against {record.b.label}",
            digest=content_digest(record),
            status=mlflow_status(record.status),
            started_ms=int(started * 1000),
            ended_ms=int((started + record.seconds) * 1000),
            params=_params(record),
            metrics=_metrics(record),
            tags=_tags(folder, record),
            artifacts=files_of(folder, _FILES),
            id_tag=SYSTEM_COMPARISON_TAG,
        )

    def parts(self, folder: Path, record: SystemComparison) -> Iterator[Part]:
        """Every run of an arm that came to an end. One that failed, or whose pair was measured again, belongs to no ``pair``."""
        for name in _ARMS:
            pairs = {folder / run.folder: run.pair for run in record.of(name)}
            for path in _runs(folder, name):
                if RUN.read(path).status != "running":
                    pair = {"pair": str(pairs[path] + 1)} if path in pairs else {}
                    yield Part(path, RUN, {COMPARISON_OF_TAG: record.id, "arm": name, **pair})

    def tracking(self, folder: Path, record: SystemComparison) -> Tracking:
        """As the newest run says: a resumption may be sent elsewhere."""
        runs = [path for name in _ARMS for path in _runs(folder, name)]
        return asked_together(max(runs, key=lambda path: path.name, default=folder), EXPERIMENT)

    def row(self, record: SystemComparison) -> dict[str, str]:
        return {
            "run": record.id,
            "analyzer": SYSTEM,
            "requested": f"{record.a.label} against {record.b.label}",
            "effective": f"{record.a.effective} against {record.b.effective}",
            "corpus": record.corpus,
            "status": record.verdict or record.status,
        }


KIND = SystemComparisonKind()


def _runs(folder: Path, arm: ArmName) -> list[Path]:
    return sorted(file.parent for file in folder.glob(f"{arm}/{RUN.home}/*/{RUN.file}"))


def _params(record: SystemComparison) -> dict[str, str]:
    """What was asked for: a resumption changes none of it."""
    asked: dict[str, Any] = {"corpus": record.corpus, "measure": record.measure, "cores": list(record.cores)}
    for arm in _ARMS:
        asked[arm] = {"variant": record.arm(arm).variant, "overrides": record.arm(arm).overrides}
    return flatten(asked)


def _metrics(record: SystemComparison) -> dict[str, float]:
    """Ratios are makespan of B over makespan of A."""
    known: dict[str, float | None] = {
        "pairs": float(len(record.pairs)),
        "clips": float(record.clips),
        "clips_refused": float(len(record.refused)),
        "seconds": record.seconds,
        "exit_code": float(record.exit_code),
        **(speed_figures(record.speed) if record.speed is not None else {}),
        **calibration_figures(record.calibration),
    }
    for arm in _ARMS:
        known |= {f"{arm}.{figure}": value for figure, value in _arm(record.of(arm)).items()}
    keys = safe_keys(record.analyzers)
    clips = safe_keys(dict.fromkeys(clip for one in record.analyzers.values() for clip in one.quality.per_clip))
    for name, judged in record.analyzers.items():
        known |= {f"analyzer.{keys[name]}.{figure}": value for figure, value in _judged(judged).items()}
        for clip, scores in judged.quality.per_clip.items():
            prefix = f"clip.{clips[clip]}.{keys[name]}.quality"
            known |= {f"{prefix}_a": scores.a, f"{prefix}_b": scores.b}
    return measured(known)


def _arm(runs: list[ArmRun]) -> dict[str, float | None]:
    """Medians over the runs of whole pairs; of memory the peak of all."""
    if not runs:
        return {}
    columns = {name: [getattr(run, name) for run in runs if getattr(run, name) is not None] for name in _OF_RUN}
    known: dict[str, float | None] = {name: median(column) if column else None for name, column in columns.items()}
    if all(run.video_s for run in runs):
        known["cpu_per_video_s"] = median(run.cpu_s / run.video_s for run in runs)
    known["pss_peak_bytes"] = max((run.pss_peak_bytes for run in runs if run.pss_peak_bytes is not None), default=None)
    return known


def _judged(judged: Judged) -> dict[str, float | None]:
    return {
        **quality_figures(judged.quality),
        "p_not_worse": judged.p_not_worse,
        "p_worse": judged.p_worse,
        "cpu_per_video_s_a": judged.cpu_per_video_s_a,
        "cpu_per_video_s_b": judged.cpu_per_video_s_b,
    }


def _tags(folder: Path, record: SystemComparison) -> dict[str, str]:
    tags: dict[str, object] = {
        SYSTEM_COMPARISON_TAG: record.id,
        KIND_TAG: EXPERIMENT,
        "verdict": record.verdict,
        "quality.verdict": record.quality,
        "invalid": record.invalid or "no",
        "audits.failed": ", ".join(f"{one.name} ({one.arm})" for one in record.audits if one.status == "failed"),
        "audits.passed": str(sum(one.status == "passed" for one in record.audits)),
        "ended_early": "true" if record.ended_early else "false",
        "corpus": record.corpus,
        "measure": record.measure,
        "status": record.status,
        "left_out": as_json(record.left_out),
        "refused": as_json(record.refused),
        "notes": "\n".join(record.notes),
        "mlflow.note.content": record.sentence,
        "mlflow.source.name": record.command,
        **machine_tags(read_environment(folder)),
        "machine": record.fingerprint,
    }
    for arm in _ARMS:
        tags |= {arm: record.arm(arm).label, f"{arm}.effective": record.arm(arm).effective}
    for name, key in safe_keys(record.analyzers).items():
        one = record.analyzers[name]
        tags |= {
            f"analyzer.{key}.quality": one.verdict,
            f"analyzer.{key}.metric": one.quality.metric,
            f"analyzer.{key}.invalid": one.invalid,
            f"analyzer.{key}.variants": f"{one.variant_a} against {one.variant_b}",
        }
    return clean_tags(tags)
