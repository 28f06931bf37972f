"""A run of the whole system."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from reelbench.config import Tracking, digest
from reelbench.errors import InputError
from reelbench.system.folder import RECORD, SystemFolder
from reelbench.system.records import AnalyzerRecord, Span, Status, SystemRecord
from reelbench.tracking.kinds import OFF, Kind
from reelbench.tracking.naming import flatten, safe_key, safe_keys
from reelbench.tracking.payload import (
    KIND_TAG,
    Payload,
    clean_tags,
    content_digest,
    files_of,
    machine_tags,
    measured,
    mlflow_status,
    read_config,
    read_environment,
    unix_time,
)

SYSTEM_TAG = "reelbench.system_id"
SYSTEM = "the whole system"
"""What stands where a run has its analyzer."""
_FILES = (RECORD, "config.yaml", "environment.json", "report.html")
_PREDICTED = ("makespan_s", "load_wall_s", "x_realtime", "utilisation", "pss_peak_bytes", "lower_s")


class SystemKind(Kind[SystemRecord]):
    home, file = "system", RECORD

    def read(self, folder: Path) -> SystemRecord:
        return SystemFolder.open(folder).record

    def payload(self, folder: Path, record: SystemRecord) -> Payload:
        started = unix_time(record.created, folder / RECORD)
        return Payload(
            run_id=record.id,
            name=f"{record.system} plan {record.plan} {record.corpus}",
            digest=content_digest(record),
            status=mlflow_status(record.status),
            started_ms=int(started * 1000),
            ended_ms=int(max(started, ended(record)) * 1000),
            params=_params(folder, record),
            metrics=_metrics(record, SystemFolder.open(folder).spans),
            tags=_tags(folder, record),
            artifacts=files_of(folder, _FILES),
            id_tag=SYSTEM_TAG,
        )

    def tracking(self, folder: Path, record: SystemRecord) -> Tracking:
        return asked_together(folder, self.home)

    def row(self, record: SystemRecord) -> dict[str, str]:
        made_of = f"system={record.system} plan={record.plan}"
        return {
            "run": record.id,
            "analyzer": SYSTEM,
            "requested": made_of,
            "effective": made_of,
            "corpus": record.corpus,
            "status": record.status,
        }


KIND = SystemKind()


def together(each: Mapping[str, Tracking], experiment: str) -> Tracking:
    """Where runs of several analyzers together go: what was asked for, else ``experiment``: that of each alone is its own name."""
    asked = next((one.experiment for name, one in each.items() if one.experiment != name), experiment)
    return Tracking(uri=next((one.uri for one in each.values()), OFF), experiment=asked)


def asked_together(folder: Path, experiment: str) -> Tracking:
    """`together` for what the ``config.yaml`` of a system run holds; OFF where it cannot be read."""
    try:
        nodes = read_config(folder).get("analyzers", {})
        each = {str(name): Tracking.model_validate(node["tracking"]) for name, node in nodes.items()}
    except (InputError, ValidationError, AttributeError, KeyError, TypeError):
        each = {}  # `Kind.payload` says what is wrong with the folder
    return together(each, experiment)


def ended(record: SystemRecord) -> float:
    """When the last session was over, in seconds since 1970; 0 where that is not known."""
    last = record.sessions[-1] if record.sessions else None
    if last is None or last.ended_s is None:
        return 0.0
    return datetime.fromisoformat(last.began).timestamp() + last.ended_s


def _params(folder: Path, record: SystemRecord) -> dict[str, str]:
    """What was asked for; a resumption changes none of it. The settings of each analyzer are in the artifact config.yaml."""
    config = read_config(folder)
    asked: dict[str, Any] = {
        "corpus": record.corpus,
        "cores": list(record.cores),
        "memory_bytes": record.memory_bytes,
        "variant": {name: analyzer.variants for name, analyzer in record.analyzers.items()},
        "plan": config.get("plan") or {"name": record.plan},
        "system": config.get("system") or {"name": record.system},
    }
    return flatten(asked)


def _metrics(record: SystemRecord, spans: Sequence[Span]) -> dict[str, float]:
    """The run's figures, each analyzer's as ``analyzer.<name>.…`` and each clip's as ``clip.<clip>.…``."""
    outcomes = [outcome.status for analyzer in record.analyzers.values() for outcome in analyzer.outcomes.values()]
    known: dict[str, float | None] = {
        "clips": float(sum(clip.status != "refused" for clip in record.clips)),
        "clips_refused": float(sum(clip.status == "refused" for clip in record.clips)),
        "sessions": float(len(record.sessions)),
        "exit_code": float(record.exit_code),
        **status_counts("analyzers", [analyzer.status for analyzer in record.analyzers.values()]),
        **status_counts("tasks", outcomes),
        **{f"predicted.{name}": _number(record.prediction.get(name)) for name in _PREDICTED},
    }
    if record.totals.makespan_s:
        known |= record.totals.model_dump()
    for name, key in safe_keys(record.analyzers).items():
        known |= _analyzer(f"analyzer.{key}", record.analyzers[name])
    known |= _clips(record, spans)
    return measured(known)


def status_counts(prefix: str, statuses: Sequence[str]) -> dict[str, float]:
    """How many have which status. None is left out: after a resumption there are 0 of what there were some before."""
    found = Counter(statuses)
    return {f"{prefix}.{status}": float(found[status]) for status in get_args(Status)}


def _analyzer(prefix: str, record: AnalyzerRecord) -> dict[str, float | None]:
    names = ("seconds", "cpu_s", "cpu_per_video_s", "share", "load_s", "rss_peak_bytes")
    known: dict[str, float | None] = {f"{prefix}.{name}": getattr(record, name) for name in names}
    known[f"{prefix}.quality"] = record.quality.overall.get(record.quality.primary)
    return known | {f"{prefix}.quality.{safe_key(name)}": value for name, value in record.quality.overall.items()}


def _clips(record: SystemRecord, spans: Sequence[Span]) -> dict[str, float | None]:
    """``work_s``: the seconds in which tasks of the clip held a core."""
    keys = safe_keys(record.analyzers)
    known: dict[str, float | None] = {}
    for clip, key in safe_keys(clip.name for clip in record.clips).items():
        work = [span for span in spans if span.kind == "task" and span.clip == clip]
        video_s = next(one.duration_s for one in record.clips if one.name == clip)
        cpu_s = sum(span.cpu_s or 0.0 for span in work)
        if work:
            known |= {
                f"clip.{key}.video_s": video_s,
                f"clip.{key}.cpu_s": cpu_s,
                f"clip.{key}.cpu_per_video_s": cpu_s / video_s if video_s else None,
                f"clip.{key}.work_s": sum(len(span.cores) * (span.end_s - span.start_s) for span in work),
            }
        for name, analyzer in record.analyzers.items():
            scores = analyzer.quality.per_clip.get(clip, {})
            known[f"clip.{key}.{keys[name]}.quality"] = scores.get(analyzer.quality.primary)
    return known


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tags(folder: Path, record: SystemRecord) -> dict[str, str]:
    keys = safe_keys(record.analyzers)
    absent = {name: one.quality.absent for name, one in record.analyzers.items() if one.quality.absent}
    wrong = {name: one.status for name, one in record.analyzers.items() if one.status not in ("done", "unavailable")}
    executed = {f"analyzer.{keys[name]}.executed": _executed(one) for name, one in record.analyzers.items()}
    unavailable = {name: one.unavailable for name, one in record.analyzers.items() if one.unavailable}
    weights = {name: sha for one in record.analyzers.values() for name, sha in one.weights.items()}
    tags: dict[str, object] = {
        SYSTEM_TAG: record.id,
        KIND_TAG: "system",
        "system": record.system,
        "plan": record.plan,
        "corpus": record.corpus,
        "status": record.status,
        "unavailable": as_json(unavailable),
        "not_done": as_json(wrong),
        "invalid": as_json(record.invalid) or "no",
        "quality.absent": as_json(absent),
        "clips": digest(sorted(clip.sha256 for clip in record.clips if clip.status == "measured"))[:16],
        "results": (folder / "results").absolute(),
        "notes": "\n".join(record.said),
        "mlflow.source.name": record.command,
        **machine_tags(read_environment(folder)),
        **executed,
        **{f"analyzer.{keys[name]}.metric": one.quality.primary for name, one in record.analyzers.items()},
        **{f"weights.{safe_key(name)}": sha for name, sha in weights.items()},
    }
    return clean_tags(tags)


def _executed(record: AnalyzerRecord) -> str:
    parts = (str(record.evidence.get(key) or "") for key in ("engine", "device", "precision"))
    return " ".join(part for part in parts if part)


def as_json(found: Mapping[str, object]) -> str:
    return json.dumps(found) if found else ""
