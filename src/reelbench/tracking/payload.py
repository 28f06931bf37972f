"""What MLflow is told about a run, read from its folder, and what all payloads have in common. Nothing here needs MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel

from reelbench.bench.manifest import MANIFEST, manifest_digest
from reelbench.bench.records import PHASES, RunRecord
from reelbench.bench.run_folder import RunFolder
from reelbench.config import digest
from reelbench.errors import InputError
from reelbench.masking import masked
from reelbench.tracking.naming import TAG_LENGTH, cut, flatten, safe_key, safe_keys

RUN_TAG = "reelbench.run_id"
DIGEST_TAG = "reelbench.digest"
"""Set last of all: a run that has it is there in full, with just this content."""
MANIFEST_TAG = "reelbench.manifest"
"""The sha256 of the folder's manifest, which stands for every file in it."""
FIGURES_TAG = "reelbench.figures"
"""The hash of the metrics and of the tags that say what they are about (`figures_digest`), as they were when they were sent."""
_SAY_WHAT = (
    "analyzer", "requested", "effective", "corpus", "measure", "machine", "status", "invalid",
    "config_hash", "clips", "git.commit", "quality.primary", "quality.reference", "verdict",
    "quality.verdict",
)  # fmt: skip
COMPARISON_OF_TAG = "reelbench.arm_of"
"""On a run that was an arm of a comparison: the comparison's id."""

KIND_TAG = "reelbench.kind"
_STATUS = {"finished": "FINISHED", "failed": "FAILED"}
_FILES = (
    "run.json",
    "config.yaml",
    "environment.json",
    "samples.parquet",
    "frames.parquet",
    "report.html",
    "worker.log",
)


@dataclass(frozen=True, slots=True)
class Payload:
    """One run, or what else has a folder (then ``id_tag`` is another). ``artifacts`` are files with the artifact folder that they go
    to; times are Unix milliseconds."""

    run_id: str
    name: str
    digest: str
    status: str
    started_ms: int
    ended_ms: int
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifacts: tuple[tuple[Path, str], ...]
    id_tag: str = RUN_TAG


def read_payload(folder: Path) -> Payload:
    """Read a run folder. Raises InputError where it is none, or is damaged."""
    run = RunFolder.open(folder)
    record, config, environment = run.record, read_config(folder), read_environment(folder)
    started, ended = _times(run)
    return Payload(
        run_id=record.run_id,
        name=f"{record.analyzer} {record.effective} {record.corpus}",
        digest=content_digest(record),
        status=mlflow_status(record.status),
        started_ms=started,
        ended_ms=ended,
        params=flatten({**config, "requested": record.requested, "effective": record.effective}),
        metrics=_metrics(run),
        tags=_tags(record, environment),
        artifacts=tuple(_artifacts(folder)),
    )


def _metrics(run: RunFolder) -> dict[str, float]:
    """Overall figures under their own names; ``quality.…``, ``agreement.…``; ``clip.<clip>.…`` for each clip."""
    record = run.record
    metrics: dict[str, float] = {**record.summary}
    metrics |= {
        f"cold_start.{name}": value for name, value in record.cold_start.model_dump().items() if value is not None
    }
    metrics |= {f"quality.{name}": value for name, value in record.quality.overall.items()}
    metrics |= {f"agreement.{_plain(name)}": value for name, value in record.quality.agreement.items()}
    for clip, key in safe_keys(clip.name for clip in record.clips).items():
        figures: dict[str, float] = _clip_figures(run, clip)
        figures |= {f"quality.{name}": value for name, value in record.quality.per_clip.get(clip, {}).items()}
        of_clip = record.quality.agreement_per_clip.get(clip, {})
        figures |= {f"agreement.{_plain(name)}": value for name, value in of_clip.items()}
        metrics |= {f"clip.{key}.{name}": value for name, value in figures.items()}
    return measured(metrics)


def content_digest(record: BaseModel) -> str:
    """Of all of a record but where MLflow has it."""
    return digest(record.model_dump(mode="json", exclude={"mlflow_run_id"}))


def with_manifest(payload: Payload, folder: Path) -> Payload:
    """The payload with the folder's manifest and its hash, where the folder has one."""
    if not (found := manifest_digest(folder)):
        return payload
    artifacts = (*payload.artifacts, (folder / MANIFEST, ""))
    return replace(payload, tags={**payload.tags, MANIFEST_TAG: found}, artifacts=artifacts)


def figures_digest(metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """The hash of what a database holds of a run: an edited row changes it."""
    return digest([sorted(metrics.items()), [(name, tags.get(name, "")) for name in _SAY_WHAT]])


def mlflow_status(status: str) -> str:
    return _STATUS.get(status, "KILLED")


def measured(figures: Mapping[str, float | None]) -> dict[str, float]:
    """What is None or not a number was not measured: it is left out, never sent as 0 or NaN."""
    return {name: float(value) for name, value in figures.items() if value is not None and isfinite(value)}


def clean_tags(tags: Mapping[str, object]) -> dict[str, str]:
    """Tags as MLflow takes them, without passwords; empty ones are left out."""
    return {name: cut(masked(str(value)), TAG_LENGTH) for name, value in tags.items() if value}


def files_of(folder: Path, names: Iterable[str]) -> tuple[tuple[Path, str], ...]:
    """Those of the named files that are there, as artifacts."""
    return tuple((folder / name, "") for name in names if (folder / name).is_file())


def _plain(name: str) -> str:
    return name.removeprefix("agreement_")


def _clip_figures(run: RunFolder, clip: str) -> dict[str, float]:
    """Medians over the timed passes of one clip; empty where there is none."""
    rows = [row for row in run.samples if row["clip"] == clip and row["kind"] == "timed"]
    if not rows:
        return {}
    figures = {f"{name}_s_median": median(row[f"{name}_s"] for row in rows) for name in ("total", *PHASES)}
    if figures["total_s_median"] > 0 and rows[0]["duration_s"] is not None:
        figures["x_realtime"] = rows[0]["duration_s"] / figures["total_s_median"]
    return figures


def _tags(record: RunRecord, environment: Mapping[str, Any]) -> dict[str, str]:
    tags = {
        RUN_TAG: record.run_id,
        COMPARISON_OF_TAG: record.comparison,
        "analyzer": record.analyzer,
        "requested": record.requested,
        "effective": record.effective,
        "fallback_reason": record.fallback_reason,
        "status": record.status,
        "invalid": record.invalid or "no",
        "corpus": record.corpus,
        "measure": record.measure,
        "config_hash": record.config_hash,
        "clips": digest(sorted(clip.sha256 for clip in record.clips if clip.status == "measured"))[:16],
        "quality.primary": record.quality.primary,
        "quality.reference": record.quality.reference,
        "quality.absent": json.dumps(record.quality.absent) if record.quality.absent else "",
        "notes": "\n".join(record.notes),
        "mlflow.source.name": record.command,
        **machine_tags(environment),
    }
    tags |= {f"evidence.{safe_key(key)}": _word(value) for key, value in record.evidence.items() if _is_scalar(value)}
    tags |= {f"weights.{safe_key(name)}": value for name, value in record.weights.items()}
    return clean_tags(tags)


def machine_tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """The machine and the code that figures belong to."""
    code = environment.get("code") or {}
    commit = str(code.get("commit") or "")
    return {
        "reelbench.version": str(environment.get("reelbench") or ""),
        "git.commit": commit,
        "git.dirty": _word(code.get("dirty")),
        "machine": str(environment.get("fingerprint") or ""),
        "machine.name": _machine_name(environment.get("machine") or {}),
        "mlflow.source.git.commit": commit,
    }


def _machine_name(machine: Mapping[str, Any]) -> str:
    """'Xeon 8370C, 2 threads, Tesla T4': what a reader knows a machine by; its fingerprint is what tells it apart."""
    threads = machine.get("usable_threads")
    gpus = [str(gpu.get("name", "")) for gpu in machine.get("gpus") or []]
    parts = [str(machine.get("cpu") or ""), f"{threads} threads" if threads else "", *gpus]
    return ", ".join(part for part in parts if part)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)


def _word(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _times(run: RunFolder) -> tuple[int, int]:
    started = unix_time(run.record.created, run.path / "run.json")
    ended = max((row["started"] + row["total_s"] for row in run.samples), default=started)
    return int(started * 1000), int(max(started, ended) * 1000)


def unix_time(moment: str, file: Path) -> float:
    """Seconds since 1970 of a moment in ``file``; InputError where it is none."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error


def _artifacts(folder: Path) -> list[tuple[Path, str]]:
    return [
        *files_of(folder, _FILES),
        *((file, "results") for file in sorted((folder / "results").glob("[!.]*.json"))),
    ]


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.yaml`` of a folder; empty where it has none, InputError where it is damaged."""
    import yaml

    # That of a whole system is long, and libyaml reads it eight times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    file = folder / "config.yaml"
    try:
        return _mapping(file, yaml.load(_text(file), Loader=loader))
    except yaml.YAMLError as error:
        raise InputError(f"{file} cannot be read: {error}") from error


def read_environment(folder: Path) -> dict[str, Any]:
    """The ``environment.json`` of a folder; empty where it has none, InputError where it is damaged."""
    file = folder / "environment.json"
    try:
        return _mapping(file, json.loads(_text(file) or "{}"))
    except ValueError as error:
        raise InputError(f"{file} cannot be read: {error}") from error


def _text(file: Path) -> str:
    """Empty where a run was cut off before it wrote the file."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error


def _mapping(file: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | None):
        raise InputError(f"{file} cannot be read: it holds a {type(value).__name__}, not a mapping")
    return value or {}
