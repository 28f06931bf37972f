"""Import timings of pytest-benchmark as run folders, on which `reelbench report`, `compare` and the history work.

A benchmark becomes a clip, one of its data (seconds a call, a mean over a round's iterations) a sample. What pytest-benchmark does not
measure stays absent: no video, no results, no quality, no memory, no warm-up; all of the time is in the phase 'other'. When a round
began is not recorded either, so ``started`` is the time of the whole file. The format is pytest-benchmark's own: version 4 and 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from reelbench.bench.records import PHASES, SAMPLE_COLUMNS, ClipRecord, RunRecord
from reelbench.bench.run_folder import Row, RunFolder, safe_name
from reelbench.config import digest
from reelbench.errors import InputError
from reelbench.paths import write_text

ANALYZER = "pytest-benchmark"
MEASURE = "imported"
_HINT = "pytest --benchmark-json=FILE keeps every value; --benchmark-save does so only with --benchmark-save-data"


@dataclass(frozen=True, slots=True)
class Imported:
    """``new`` is False where the same file was imported before under the same names: nothing was written then."""

    folder: Path
    record: RunRecord
    new: bool


def import_benchmark(file: Path, runs_dir: Path, *, name: str = "", analyzer: str = ANALYZER) -> Imported:
    """Turn one pytest-benchmark JSON file into a run folder in ``runs_dir``.

    ``name`` is the run's variant, by default the commit that the file names, else the file's own name. Runs are compared, and make one
    line of history, where ``analyzer`` (and for history the variant) agree. Raises InputError for a file that is not
    pytest-benchmark's, that has no raw data, or in which a value is no time; OutputError where the folder cannot be written.
    """
    content = _read(file)
    samples = _samples(content, file)
    record = _record(content, samples, file, name or _variant(content, file), analyzer)
    path = runs_dir / record.run_id
    if (path / "run.json").is_file():
        return Imported(path, record, new=False)
    folder = RunFolder.create(runs_dir, record)
    folder.samples = samples
    write_text(path / "environment.json", json.dumps(_environment(content), indent=1))
    # JSON is YAML; a value of nothing here is a setting that was run.
    settings = {"analyzer": {"name": analyzer}, "variant": record.requested, "measure": {"name": MEASURE}}
    write_text(path / "config.yaml", json.dumps(settings, indent=1))
    folder.save()
    return Imported(path, record, new=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    if not isinstance(content, dict) or "benchmarks" not in content or "machine_info" not in content:
        raise InputError(
            f"{file} is not a file of pytest-benchmark: it has no 'benchmarks' with a 'machine_info'", _HINT
        )
    if not content["benchmarks"]:
        raise InputError(f"{file} has no benchmarks", "pytest-benchmark writes one for each test that uses its fixture")
    return content


def _samples(content: Mapping[str, Any], file: Path) -> list[Row]:
    """All values of all benchmarks, as rows with every column."""
    rows: list[Row] = []
    without = []
    seen: set[str] = set()
    started = _created(content, file).timestamp()
    for benchmark in content["benchmarks"]:
        clip = _clip(benchmark, file)
        if clip in seen:  # their values would be taken for passes of one benchmark
            raise InputError(f"{file} has two benchmarks that are called {clip}", "give each a name of its own")
        seen.add(clip)
        data = (benchmark.get("stats") or {}).get("data")
        if not data:
            without.append(clip)
            continue
        for repetition, seconds in enumerate(data):
            if not (isinstance(seconds, int | float) and isfinite(seconds) and seconds > 0):
                raise InputError(f"{file}: {clip}: value {repetition + 1} is {seconds} s, which no clock measured")
            rows.append(_row(clip, repetition, float(seconds), started))
    if without:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        raise InputError(
            f"{file} has statistics only, without the values that they come from: {without[0]}{more}", _HINT
        )
    return rows


def _row(clip: str, repetition: int, seconds: float, started: float) -> Row:
    known = {"clip": clip, "kind": "timed", "repetition": repetition, "started": started, "total_s": seconds}
    phases = {f"{phase}_s": 0.0 for phase in PHASES} | {"other_s": seconds}
    return dict.fromkeys(SAMPLE_COLUMNS) | known | phases


def _clip(benchmark: object, file: Path) -> str:
    name = (benchmark.get("fullname") or benchmark.get("name")) if isinstance(benchmark, Mapping) else None
    if not name:
        raise InputError(f"{file}: a benchmark has no name")
    return str(name)


def _record(content: Mapping[str, Any], samples: Sequence[Row], file: Path, variant: str, analyzer: str) -> RunRecord:
    created = _created(content, file)
    key = digest([content, variant, analyzer])
    by_clip: dict[str, list[float]] = {}
    for row in samples:
        by_clip.setdefault(row["clip"], []).append(row["total_s"])
    return RunRecord(
        run_id=f"{created:%Y%m%d-%H%M%S}-{safe_name(analyzer)}-{safe_name(variant)}-{key[:6]}",
        created=created.isoformat(timespec="seconds"),
        analyzer=analyzer,
        requested=variant,
        effective=variant,
        corpus=str(_part(content, "commit_info").get("project") or "benchmarks"),
        measure=MEASURE,
        command=f"reelbench import {file.name}",
        config_hash=digest([ANALYZER, analyzer, variant]),
        resume_key=key,
        status="finished",
        evidence={"engine": ANALYZER, "version": str(content.get("version", "")), "device": "CPU"},
        clips=[ClipRecord(name=clip, status="measured", repetitions=len(values)) for clip, values in by_clip.items()],
        summary={
            "passes": float(len(samples)),
            # Each benchmark weighs the same, however many rounds pytest-benchmark found time for.
            "total_s_median": median(median(values) for values in by_clip.values()),
        },
        notes=[f"imported from {file.name}: timings by pytest-benchmark {content.get('version', '')}, seconds a call"],
    )


def _variant(content: Mapping[str, Any], file: Path) -> str:
    """The commit, marked where it had uncommitted changes."""
    commit = _commit(content)
    return f"{commit[:10]}{'-dirty' if _part(content, 'commit_info').get('dirty') else ''}" if commit else file.stem


def _commit(content: Mapping[str, Any]) -> str:
    """pytest-benchmark says 'unversioned' or 'unknown' outside of a checkout."""
    commit = str(_part(content, "commit_info").get("id") or "")
    return commit if commit not in ("unversioned", "unknown") else ""


def _environment(content: Mapping[str, Any]) -> dict[str, Any]:
    """Another fingerprint than ReelBench's own, which knows more: an imported run is comparable with imported ones only.

    The host's name is left out of it: containers of one machine have a new one each time.
    """
    told, cpu = _part(content, "machine_info"), _part(_part(content, "machine_info"), "cpu")
    machine = {
        "imported": ANALYZER,
        "cpu": str(cpu.get("brand_raw") or told.get("processor") or ""),
        "features": sorted(str(flag) for flag in cpu.get("flags") or []),
        "usable_threads": cpu.get("count"),
        "os": told.get("system"),
        "kernel": told.get("release"),
        "architecture": told.get("machine"),
    }
    commit = _commit(content)
    return {
        "fingerprint": f"imported-{digest(machine)[:16]}",
        "imported": ANALYZER,
        "machine": machine,
        "python": told.get("python_version"),
        "packages": {ANALYZER: str(content.get("version", ""))},
        "code": {"commit": commit, "dirty": bool(_part(content, "commit_info").get("dirty"))} if commit else {},
    }


def _created(content: Mapping[str, Any], file: Path) -> datetime:
    """When the file was written; older versions give UTC without saying so."""
    try:
        found = datetime.fromisoformat(str(content.get("datetime", "")))
    except ValueError as error:
        raise InputError(f"{file}: datetime: {error}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _part(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = content.get(key)
    return found if isinstance(found, Mapping) else {}
