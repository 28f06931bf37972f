"""A load run: a scenario, played once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reelbench.config import Tracking
from reelbench.load.folder import LoadFolder, read_load
from reelbench.load.records import Figures, LoadRecord
from reelbench.tracking.kinds import Kind
from reelbench.tracking.kinds.system import KIND as RUN
from reelbench.tracking.kinds.system import SYSTEM, as_json, asked_together, ended, status_counts
from reelbench.tracking.naming import flatten, safe_keys
from reelbench.tracking.payload import (
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

LOAD_TAG = "reelbench.load_id"
_FILES = (LoadFolder.FILE, "environment.json", "queries.csv", "memory.csv", "report.html")
_FIGURES = (
    "span_s",
    "per_min",
    "video_per_s",
    "rate_per_min",
    "utilisation",
    "load_wall_s",
    "pss_peak_bytes",
    "watching_cpu_s",
)


class LoadKind(Kind[LoadRecord]):
    home, file = LoadFolder.HOME, LoadFolder.FILE

    def read(self, folder: Path) -> LoadRecord:
        return read_load(folder)

    def payload(self, folder: Path, record: LoadRecord) -> Payload:
        started = unix_time(record.created, folder / self.file)
        run = folder / record.system_run
        over = ended(RUN.read(run)) if (run / RUN.file).is_file() else 0.0
        return Payload(
            run_id=record.id,
            name=f"{record.scenario} {record.system} plan {record.plan} {record.corpus}",
            digest=content_digest(record),
            status=mlflow_status(record.status),
            started_ms=int(started * 1000),
            ended_ms=int(max(started, over) * 1000),
            params=_params(record),
            metrics=_metrics(record),
            tags=_tags(folder, record),
            artifacts=(*files_of(folder, _FILES), *files_of(run, ["config.yaml"])),
            id_tag=LOAD_TAG,
        )

    def tracking(self, folder: Path, record: LoadRecord) -> Tracking:
        return asked_together(folder / record.system_run, self.home)

    def row(self, record: LoadRecord) -> dict[str, str]:
        made_of = f"{record.scenario} system={record.system} plan={record.plan}"
        return {
            "run": record.id,
            "analyzer": SYSTEM,
            "requested": made_of,
            "effective": made_of,
            "corpus": record.corpus,
            "status": record.status,
        }


KIND = LoadKind()


def _params(record: LoadRecord) -> dict[str, str]:
    asked = {
        "scenario": record.scenario,
        "system": record.system,
        "plan": record.plan,
        "corpus": record.corpus,
        "cores": list(record.cores),
        "load": record.settings,
    }
    return flatten(asked)


def _metrics(record: LoadRecord) -> dict[str, float]:
    """Over all clips, and over each kind of video as ``type.<kind>.…``."""
    known: dict[str, float | None] = {name: getattr(record, name) for name in _FIGURES}
    known |= {
        "in_system_most": float(record.in_system_most),
        "clips_refused": float(len(record.refused)),
        "exit_code": float(record.exit_code),
        **status_counts("analyzers", list(record.analyzers.values())),
        **_figures(record.figures),
    }
    for kind, key in safe_keys(record.by_kind).items():
        known |= _figures(record.by_kind[kind], f"type.{key}.")
    if record.bound is not None:
        known |= {"bound.limit_s": record.bound.limit_s, "bound.found_s": record.bound.found_s}
    return measured(known)


def _figures(found: Figures, prefix: str = "") -> dict[str, float | None]:
    known: dict[str, float | None] = {
        "queries": float(found.queries),
        "failed": float(found.failed),
        "video_s": found.video_s,
        "latency_mean_s": found.mean_s,
        "waited_s_median": found.waited_s_median,
        "x_realtime": found.x_realtime,
        "work_per_video_s": found.work_per_video_s,
        "cpu_per_video_s": found.cpu_per_video_s,
        **{f"latency_p{one.percent:g}_s": one.seconds for one in found.percentiles},
    }
    return {f"{prefix}{name}": value for name, value in known.items()}


def _tags(folder: Path, record: LoadRecord) -> dict[str, str]:
    kept = record.bound.kept if record.bound is not None else None
    wrong = {name: status for name, status in record.analyzers.items() if status not in ("done", "unavailable")}
    tags: dict[str, object] = {
        LOAD_TAG: record.id,
        KIND_TAG: "load",
        "scenario": record.scenario,
        "system": record.system,
        "plan": record.plan,
        "corpus": record.corpus,
        "status": record.status,
        "rate_source": record.rate_source,
        "bound": "" if kept is None else "kept" if kept else "broken",
        "latency.maximum": _maximum({"": record.figures} | record.by_kind),
        "not_done": as_json(wrong),
        "invalid": as_json(record.invalid) or "no",
        "refused": as_json(record.refused),
        "results": (folder / record.system_run / "results").absolute() if record.system_run else "",
        "notes": "\n".join(record.notes),
        "mlflow.source.name": record.command,
        **machine_tags(read_environment(folder)),
        "machine": record.fingerprint,
    }
    return clean_tags(tags)


def _maximum(figures: Mapping[str, Figures]) -> str:
    """Which percentiles are of so few clips that they are simply the longest: 'p99; talking: p90, p99'."""
    found = []
    for kind, one in figures.items():
        names = ", ".join(f"p{at.percent:g}" for at in one.percentiles if at.maximum)
        if names:
            found.append(f"{kind}: {names}" if kind else names)
    return "; ".join(found)
