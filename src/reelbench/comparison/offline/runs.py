"""Read a run that was made before for a comparison, with what speaks against using it.

Nothing that a run folder says is executed: its configuration is read as data, never built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from reelbench.bench.record_folder import remarks_on
from reelbench.bench.records import RUN_VERSION, SAMPLE_COLUMNS, RunRecord
from reelbench.bench.run_folder import Row, RunFolder
from reelbench.comparison.audits import counted, counted_per_clip
from reelbench.comparison.non_inferiority import judge_quality
from reelbench.comparison.records import Quality
from reelbench.config import Judging, Pairs
from reelbench.errors import InputError
from reelbench.media.types import Limits
from reelbench.results import AnalyzerResult

_IMMATERIAL = ("name", "clip_timeout_s", "load_timeout_s", "prepare_timeout_s", "pairs")
"""Of the settings of ``measure``: they change neither how warm a pass is nor what a clip's time is taken from."""
_SHOWN = 8

Setting = TypeVar("Setting", Judging, Pairs)


@dataclass(frozen=True, slots=True)
class Measured:
    """A run folder with all that a comparison looks at. ``name`` is how texts call it ('run A (…)')."""

    name: str
    path: Path
    record: RunRecord
    timed: Mapping[str, list[Row]]
    results: Mapping[str, AnalyzerResult]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return str(self.environment.get("fingerprint", ""))

    @property
    def commit(self) -> str:
        """The commit of ReelBench's code, or of the code that an imported run is about; '' where it is not known."""
        return str(self._code.get("commit", ""))

    @property
    def commit_words(self) -> str:
        dirty = " with uncommitted changes" if self._code.get("dirty") else ""
        return f"{self.commit[:10]}{dirty}" if self.commit else "code of no known commit"

    @property
    def _code(self) -> Mapping[str, Any]:
        return _mapping(self.environment.get("code"))

    @property
    def judging(self) -> Judging:
        """What counts, as this run's own configuration says."""
        return _setting(Judging, self.config.get("comparison"), self.path)

    @property
    def pairs(self) -> Pairs:
        return _setting(Pairs, _mapping(self.config.get("measure")).get("pairs"), self.path)

    @property
    def failed(self) -> dict[str, str]:
        """Clip -> why the analyzer failed on it."""
        return {clip.name: clip.error for clip in self.record.clips if clip.status == "failed"}

    def contents(self) -> dict[str, str]:
        """Clip -> hash of its content, for every clip of the corpus."""
        return {clip.name: clip.sha256 for clip in self.record.clips}


def read_measured(path: Path, letter: str) -> Measured:
    """Read a run folder. InputError where it is none, or where a file of it cannot be read."""
    import yaml

    path = path.resolve()
    run = RunFolder.open(path)
    timed: dict[str, list[Row]] = {}
    if run.samples and (absent := set(SAMPLE_COLUMNS) - set(run.samples[0])):
        raise InputError(f"{path}: samples.parquet is damaged: it has no column {', '.join(sorted(absent))}")
    for row in run.samples:
        if row["kind"] == "timed":
            timed.setdefault(str(row["clip"]), []).append(row)
    try:
        results = run.read_results()
        config = yaml.safe_load(_text(path / "config.yaml"))
        environment = json.loads(_text(path / "environment.json") or "{}")
    except ValidationError as error:
        raise InputError(f"{path}: a result of this run is damaged: {error.errors()[0]['msg']}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: a file of this run is damaged: {error}") from error
    name = f"run {letter.upper()} ({run.record.run_id})"
    remarks = remarks_on(path, run.record)
    return Measured(name, path, run.record, timed, results, _mapping(config), _mapping(environment), remarks)


def failed_in_both(a: Measured, b: Measured) -> list[str]:
    """A line for each clip that neither run could measure: the figures are of the others."""
    errors = b.failed
    return [f"{name}: failed in both runs: {why}; {errors[name]}" for name, why in a.failed.items() if name in errors]


def faults(run: Measured, other: Measured) -> list[str]:
    """Why the figures of this run must not be compared with those of ``other``; empty for a sound run. A clip that both failed on is
    no reason: the others are compared."""
    record = run.record
    found = [f"{run.name} is invalid: {record.invalid}"] if record.invalid else []
    alone = "; ".join(f"{name}: {why}" for name, why in run.failed.items() if name not in other.failed)
    if alone or record.status not in ("finished", "failed") or (record.status == "failed" and not run.failed):
        found.append(f"{run.name} is not finished but {record.status}{f' ({alone})' if alone else ''}")
    if record.requested != record.effective:
        why = f": {record.fallback_reason}" if record.fallback_reason else ""
        found.append(f"{run.name} was asked for {record.requested}, and ran {record.effective}{why}")
    if not run.timed:
        found.append(f"{run.name} has no samples of timed passes")
    for clip, rows in sorted(run.timed.items()):
        wrong = [row["total_s"] for row in rows if not _is_time(row["total_s"])]
        if wrong:
            found.append(f"{run.name}: a pass over {clip} took {wrong[0]} s, which no clock measured")
    scores = [
        (clip, name, value) for clip, by_name in record.quality.per_clip.items() for name, value in by_name.items()
    ]
    for clip, name, value in [*scores, *(("all clips", name, value) for name, value in record.quality.overall.items())]:
        if not isfinite(value):
            found.append(f"{run.name}: {name} on {clip} is {value}")
    return found


def differences(a: Measured, b: Measured) -> list[str]:
    """Why these two cannot be compared, though each may be sound."""
    found = []
    for what, of_a, of_b in (
        ("analyzer", a.record.analyzer, b.record.analyzer),
        ("run format", a.record.version, b.record.version),
        ("result schema", _schemas(a), _schemas(b)),
        ("machine", _machine(a), _machine(b)),
    ):
        if of_a != of_b:
            found.append(f"different {what}: {of_a} and {of_b}")
    found += [f"{run.name} has format {run.record.version}, {RUN_VERSION} is known here" for run in (a, b)
              if run.record.version != RUN_VERSION]  # fmt: skip
    found += [f"{run.name} does not say on which machine it was made" for run in (a, b) if not run.fingerprint]
    found += _clips(a, b)
    found += _truths(a, b)
    for what, left, right in (
        ("measure", _measure(a), _measure(b)),
        ("media.limits", _limits(a), _limits(b)),
        ("quality", _mapping(a.config.get("quality")), _mapping(b.config.get("quality"))),
    ):
        found += [f"different {what}.{key}: {left.get(key)} and {right.get(key)}" for key in sorted({*left, *right})
                  if left.get(key) != right.get(key)]  # fmt: skip
    return found


def changes(a: Measured, b: Measured) -> list[str]:
    """What else differs: perhaps what the comparison is about, perhaps not. A reader should know."""
    found = [f"{run.name}: {remark}" for run in (a, b) for remark in run.remarks]
    if a.commit_words != b.commit_words:
        found.append(f"different code: A {a.commit_words}, B {b.commit_words}")
    if a.environment.get("python") != b.environment.get("python"):
        found.append(f"different Python: A {a.environment.get('python')}, B {b.environment.get('python')}")
    left, right = _mapping(a.environment.get("packages")), _mapping(b.environment.get("packages"))
    packages = [f"{name} {left.get(name, 'absent')} → {right.get(name, 'absent')}" for name in sorted({*left, *right})
                if left.get(name) != right.get(name)]  # fmt: skip
    if packages:
        more = f" and {len(packages) - _SHOWN} more" if len(packages) > _SHOWN else ""
        found.append(f"different packages: {', '.join(packages[:_SHOWN])}{more}")
    if a.config.get("seed") != b.config.get("seed"):
        found.append(f"different seeds: A {a.config.get('seed')}, B {b.config.get('seed')}")
    if a.record.comparison and a.record.comparison == b.record.comparison:
        found.append(
            "both are arms of one comparison, whose comparison.json is not beside them: its pairs are not used"
        )
    found += [
        f"{run.name} was an arm of comparison {run.record.comparison}: another worker waited beside it"
        for run in (a, b)
        if run.record.comparison
    ]
    only = sorted({*a.timed} ^ {*b.timed})
    if only:
        found.append(
            f"measured in one run only, left out: {', '.join(only[:_SHOWN])}{' …' if len(only) > _SHOWN else ''}"
        )
    return found


def judge_results(a: Measured, b: Measured, judging: Judging, *, agreement: bool) -> Quality | None:
    """The verdict on quality; None where neither run found anything that could be judged (imported timings).

    ``agreement``: whether the agreement that B's run recorded is that with A. Raises InputError as `judge_quality` does.
    """
    if not (a.results or b.results or a.record.quality.primary or b.record.quality.primary):
        return None
    of_b = b.record.quality
    if not agreement:
        of_b = of_b.model_copy(update={"agreement": {}, "agreement_per_clip": {}})
    clips = sorted({*a.results} & {*b.results})
    return judge_quality(
        a.record.quality,
        of_b,
        margin_share=judging.quality_margin,
        identical=[clip for clip in clips if a.results[clip].events == b.results[clip].events],
        clips=clips,
        counts=counted(a.results, b.results),
        counts_per_clip=counted_per_clip(a.results, b.results),
        counts_bounds=judging.counts,
        least_agreement=judging.least_agreement,
    )


def _clips(a: Measured, b: Measured) -> list[str]:
    """Both must be about the same material. Benchmarks that were imported have no content to hash: the common names count."""
    left, right = a.contents(), b.contents()
    if any(left.values()) or any(right.values()):
        other = [name for name in sorted({*left, *right}) if left.get(name) != right.get(name)]
        if other and sorted(left.values()) != sorted(right.values()):
            shown = f"{', '.join(other[:_SHOWN])}{' …' if len(other) > _SHOWN else ''}"
            return [f"different clips: {shown} (absent in one corpus, or of other content)"]
    if a.timed and b.timed and not {*a.timed} & {*b.timed}:
        return ["no clip was measured in both runs"]
    return []


def _truths(a: Measured, b: Measured) -> list[str]:
    """Both must be scored against the same. Runs that are older than the hash of a truth say only whether there was one."""
    known = {clip.name: clip for clip in a.record.clips}
    other = []
    for of_b in b.record.clips:
        of_a = known.get(of_b.name)
        if of_a is None:
            continue
        if of_a.has_truth != of_b.has_truth:
            here, there = ("it" if clip.has_truth else "none" for clip in (of_a, of_b))
            other.append(f"{of_b.name} (A had {here}, B {there})")
        elif of_a.truth_sha256 and of_b.truth_sha256 and of_a.truth_sha256 != of_b.truth_sha256:
            other.append(f"{of_b.name} (sha256 {of_a.truth_sha256[:12]} and {of_b.truth_sha256[:12]})")
    more = " …" if len(other) > _SHOWN else ""
    return [f"different ground truth: {', '.join(other[:_SHOWN])}{more}"] if other else []


def _machine(run: Measured) -> str:
    described = _mapping(run.environment.get("machine"))
    cpu, threads = described.get("cpu"), described.get("usable_threads")
    return f"{run.fingerprint or 'unknown'}{f' ({cpu}, {threads} threads)' if cpu else ''}"


def _measure(run: Measured) -> dict[str, Any]:
    settings = _mapping(run.config.get("measure"))
    return {key: value for key, value in settings.items() if key not in _IMMATERIAL}


def _limits(run: Measured) -> Mapping[str, Any]:
    """The caps of ``run``. One that did not exist yet when it was measured counts as its default: caps only refuse clips, and
    which clips were measured is compared anyway."""
    return asdict(Limits()) | dict(_mapping(_mapping(run.config.get("media")).get("limits")))


def _schemas(run: Measured) -> list[int]:
    return sorted({result.schema_version for result in run.results.values()})


def _setting(kind: type[Setting], found: object, path: Path) -> Setting:
    try:
        return kind.model_validate(found or {})
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"{path / 'config.yaml'}: {where}: {error.errors()[0]['msg']}") from error


def _is_time(value: object) -> bool:
    return isinstance(value, float) and isfinite(value) and value > 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
