"""Compute the figures of a run again from its samples, its results and the ground truth.

A folder may come from anywhere: of what it names only the package's own metrics are built, and nothing of it is executed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reelbench.bench.integrity import Figure, differing
from reelbench.bench.observed import check_passes, contradictions
from reelbench.bench.summary import summarize
from reelbench.corpus.clip import Truth, truth_digest
from reelbench.corpus.folder import truth_beside
from reelbench.errors import InputError, ReelBenchError

if TYPE_CHECKING:
    from reelbench.bench.records import ClipRecord, QualityRecord, RunRecord
    from reelbench.quality.base import Metric
    from reelbench.results import AnalyzerResult

Row = dict[str, Any]
_OWN_METRICS = "reelbench.quality."


def run_figures(folder: Path, record: RunRecord) -> Iterator[Figure]:
    """Passes, summary, validity and quality."""
    try:
        yield from _run_figures(folder, record)
    except KeyError as error:
        raise InputError(f"{folder / 'samples.parquet'} is damaged: it has no column {error.args[0]}") from error
    yield from _quality_of_run(folder, record)


def _run_figures(folder: Path, record: RunRecord) -> Iterator[Figure]:
    samples, frames = read_rows(folder / "samples.parquet"), read_rows(folder / "frames.parquet", ["step_s"])
    passes = Counter(row["clip"] for row in samples if row["kind"] == "timed")
    for clip in record.clips:
        yield Figure(f"passes over {clip.name}", clip.repetitions, passes[clip.name], lasting=True)
    computed = _summary(samples, frames)
    for name, value in record.summary.items():
        if name in computed:
            yield Figure(name, value, computed[name], lasting=True)
    if "x_realtime" in record.summary and not computed:
        yield Figure("x_realtime", record.summary["x_realtime"], None, lasting=True)
    yield from _validity(record, samples)
    if "cold_start_s" in record.summary:
        yield Figure("cold_start_s", record.summary["cold_start_s"], record.cold_start.total_s, lasting=True)


def _validity(record: RunRecord, samples: list[Row]) -> Iterator[Figure]:
    """What the parent saw must still make the run invalid where it did, and the samples must say the same again."""
    recorded = {one.name: one for one in record.observed}
    seen = check_passes(samples, record.deterministic)
    for one in seen:
        if one.name in recorded:
            yield from differing(f"check '{one.name}'", recorded[one.name], one)
    yield from invalid_figures(
        "invalid", record.invalid, [str(record.evidence.get("contradiction") or ""), contradictions(record.observed)]
    )
    yield from invalid_figures("invalid", record.invalid, [contradictions(seen)], lasting=False)
    if record.status == "finished" and any(clip.status == "failed" for clip in record.clips):
        yield Figure("status", record.status, "failed")


def invalid_figures(name: str, recorded: str, reasons: Iterable[str], *, lasting: bool = True) -> Iterator[Figure]:
    """A figure where there is a reason to be invalid and the record is valid."""
    found = "; ".join(reason for reason in reasons if reason)
    if found and not recorded:
        yield Figure(name, recorded, found, lasting)


def quality_figures(
    recorded: QualityRecord,
    node: object,
    clips: list[ClipRecord],
    results: Mapping[str, AnalyzerResult],
    name: str = "quality",
) -> Iterator[Figure]:
    """The scores against ground truth, where every truth is the one that was scored; nothing elsewhere."""
    scored = [clip for clip in clips if clip.has_truth and clip.name in results]
    metric = own_metric(node)
    if metric is None or not scored or not recorded.overall:
        return
    truths: dict[str, Truth] = {}
    for clip in scored:
        truth = _truth(clip)
        if truth is None:
            return
        truths[clip.name] = truth
    scores = metric.against_truth(results, truths)
    yield from differing(name, recorded.overall, dict(scores.overall))
    for clip_name in sorted({*recorded.per_clip, *scores.per_clip}):
        yield from differing(
            f"{name} of {clip_name}", recorded.per_clip.get(clip_name, {}), dict(scores.per_clip.get(clip_name, {}))
        )


def own_metric(node: object) -> Metric | None:
    """The metric that a configuration names, where it is one of the package's own; of anyone else's nothing is imported."""
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if not (isinstance(node, Mapping) and isinstance(target, str) and target.startswith(_OWN_METRICS)):
        return None
    module, _, name = target.rpartition(".")
    settings = {str(key): value for key, value in node.items() if key != "_target_"}
    try:
        built: Metric = getattr(import_module(module), name)(**settings)
    except (ImportError, AttributeError, TypeError, ValueError, ReelBenchError):
        return None
    return built


def read_rows(file: Path, columns: list[str] | None = None) -> list[Row]:
    """The rows of a table; none where it is not there. InputError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        return []
    try:
        rows: list[Row] = pq.read_table(file, columns=columns).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file} is damaged: {error}") from error
    return rows


def read_settings(folder: Path) -> Mapping[str, Any]:
    """The ``config.yaml`` of a folder as data; empty where there is none that can be read."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load((folder / "config.yaml").read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _summary(samples: list[Row], frames: list[Row]) -> dict[str, float]:
    timed = [row for row in samples if row["kind"] == "timed"]
    if timed and all(row["duration_s"] is None for row in timed):  # imported benchmarks: each weighs the same
        by_clip: dict[str, list[float]] = {}
        for row in timed:
            by_clip.setdefault(row["clip"], []).append(row["total_s"])
        return {"passes": float(len(timed)), "total_s_median": median(map(median, by_clip.values()))}
    return summarize(samples, frames)


def _quality_of_run(folder: Path, record: RunRecord) -> Iterator[Figure]:
    quality = record.quality
    if not (quality.overall or quality.agreement) or not record.deterministic:  # else every pass was scored
        return
    # Both arms of a comparison are scored by what B's configuration says.
    arm_b = folder.parent / "b"
    settings = read_settings(arm_b if record.comparison and (arm_b / "config.yaml").is_file() else folder)
    results = _results(folder, record)
    yield from quality_figures(quality, settings.get("quality"), record.clips, results)
    other = folder.parent / "a"
    metric = own_metric(settings.get("quality"))
    if quality.agreement and record.comparison and folder.name == "b" and metric is not None and other.is_dir():
        without = [clip for clip in record.clips if not clip.has_truth and clip.name in results]
        found = metric.agreement(results, _named(other, [clip.name for clip in without]))
        yield from differing("agreement", quality.agreement, dict(found.overall))
        yield from differing("agreement of clips", quality.agreement_per_clip, _plain(found.per_clip))


def _plain(per_clip: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {name: dict(found) for name, found in per_clip.items()}


def _results(folder: Path, record: RunRecord) -> dict[str, AnalyzerResult]:
    return _named(folder, [clip.name for clip in record.clips])


def _named(folder: Path, names: list[str]) -> dict[str, AnalyzerResult]:
    from pydantic import ValidationError

    from reelbench.bench.run_folder import safe_name
    from reelbench.results import AnalyzerResult

    found: dict[str, AnalyzerResult] = {}
    for name in names:
        file = folder / "results" / f"{safe_name(name)}.json"
        try:
            found[name] = AnalyzerResult.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValidationError) as error:
            raise InputError(f"{file} is damaged: {error}") from error
    return found


def _truth(clip: ClipRecord) -> Truth | None:
    """The ground truth of a clip, where it is still the one that the clip was scored with."""
    if not clip.path or not clip.truth_sha256:
        return None
    video = Path(clip.path)
    try:
        truth = truth_beside(video, video.parent)
    except (InputError, OSError, ValueError):
        return None
    return truth if truth is not None and truth_digest(truth) == clip.truth_sha256 else None
