"""Results that a run needs but does not measure: those of the reference variant for clips without ground truth, and those of the
analyzers upstream. One untimed pass each, kept until anything that it depends on changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from reelbench import __version__
from reelbench.bench.decoded import corrected
from reelbench.bench.own_code import code_of_run
from reelbench.bench.process import WorkerProcess, checked_result
from reelbench.bench.records import UpstreamCost
from reelbench.bench.restarting import ClipFailure, LoadFailed, RestartingWorker
from reelbench.bench.worker import Job
from reelbench.config import RunConfig, digest, instantiate, other_analyzer, other_variant
from reelbench.corpus.clip import Clip
from reelbench.errors import AnalyzerError, ConfigError, UnavailableError
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.paths import write_text
from reelbench.results import AnalyzerResult

Results = dict[str, AnalyzerResult]
"""By clip."""
Failures = dict[str, ClipFailure]
"""By clip."""
Costs = dict[str, tuple[float, float]]
"""Wall and CPU seconds of the one pass that a result was made in, by clip."""


@dataclass
class Upstream:
    """What the analyzers upstream found: ``results`` by clip and by their name. ``failed`` are the clips that lack something which is
    needed, with the reason; ``notes`` say which clips go without something that is merely welcome;
    ``costs`` say what the results took, by analyzer."""

    results: dict[str, Results] = field(default_factory=dict)
    failed: Failures = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    costs: dict[str, UpstreamCost] = field(default_factory=dict)

    def of(self, clip: str) -> Results:
        """The results for one clip, by analyzer."""
        return self.results.get(clip, {})


def reference_results(
    config: RunConfig,
    clips: Sequence[Clip],
    infos: Mapping[str, ClipInfo],
    store: ModelStore,
    overrides: Sequence[str],
    log: Path,
) -> tuple[Results, Failures]:
    """The reference variant's results, and the clips that it failed on.

    Raises UnavailableError where the reference cannot run here and LoadFailed where it cannot be loaded.
    """
    reference = other_variant(overrides, config.analyzer.reference)
    results, failures, _ = _kept(reference, clips, infos, store, overrides, log)
    return results, failures


def upstream_results(
    config: RunConfig,
    clips: Sequence[Clip],
    infos: Mapping[str, ClipInfo],
    store: ModelStore,
    overrides: Sequence[str],
    log: Path,
) -> Upstream:
    """What the analyzers upstream found, by clip and by their name; each in the variant that ``analyzer.upstream`` names.

    What an analyzer merely likes to have (``Needs.upstream_if_any``) is left out where it cannot run. Raises ConfigError where one
    that it needs is not named, UnavailableError where it cannot run here, and LoadFailed where it cannot be loaded.
    """
    needs = instantiate(config.analyzer.constructor).needs
    named = config.analyzer.upstream
    if missing := [name for name in needs.upstream if name not in named]:
        raise ConfigError(
            f"{config.analyzer.name} needs the results of {missing[0]}",
            f"say which variant: +analyzer.upstream.{missing[0]}=optimized",
        )
    found = Upstream({clip.name: {} for clip in clips})
    for name in (*needs.upstream, *(name for name in needs.upstream_if_any if name in named)):
        needed = name in needs.upstream
        wanted = [clip for clip in clips if clip.name not in found.failed]
        try:
            other = other_analyzer(overrides, name, named[name])
            results, failures, costs = _kept(other, wanted, infos, store, overrides, log)
        except UnavailableError as error:
            if needed:
                raise UnavailableError(f"{name}, upstream, is unavailable here: {error.message}", error.hint) from error
            continue
        found.costs[name] = UpstreamCost(
            variant=named[name],
            seconds=sum(wall_s for wall_s, _ in costs.values()),
            cpu_s=sum(cpu_s for _, cpu_s in costs.values()),
            clips=len(costs),
        )
        for clip, result in results.items():
            found.results[clip][name] = result
        for clip, failure in failures.items():
            if needed:
                found.failed[clip] = failure.seen_from(f"{name}, upstream")
            else:
                found.notes.append(
                    f"{clip}: measured without {name}, upstream, which {failure.status}: {failure.reason}"
                )
    return found


def _kept(
    config: RunConfig,
    clips: Sequence[Clip],
    infos: Mapping[str, ClipInfo],
    store: ModelStore,
    overrides: Sequence[str],
    log: Path,
) -> tuple[Results, Failures, Costs]:
    """The results of this configuration, from ``<runs_dir>/reference`` where they are still true, else made now; the clips that
    it failed on, which is not kept: the next run tries them again; and what each result took when it was made."""
    analyzer = instantiate(config.analyzer.constructor)
    if not (verdict := analyzer.available()).ok:
        raise UnavailableError(verdict.reason, verdict.mend)
    store.ensure(analyzer.weights, download=config.download)
    weights = store.hashes(analyzer.weights)
    media = config.measured_part["media"]
    key = digest([config.analyzer.model_dump(), media, config.seed, weights, __version__, *_code(config, overrides)])
    folder = config.runs_dir / "reference" / key[:16]

    files = {clip.name: folder / f"{digest([clip.sha256, clip.truth_sha256])[:32]}.json" for clip in clips}
    costs = {name: cost for name, file in files.items() if (cost := _read_cost(file)) is not None}
    found = {name: result for name in costs if (result := _read(files[name])) is not None}
    if not (missing := [clip for clip in clips if clip.name not in found]):
        return found, {}, costs
    given = upstream_results(config, missing, infos, store, overrides, log)
    failures = dict(given.failed)
    with RestartingWorker(lambda: _loaded(config, log)) as worker:
        for clip in missing:
            if clip.name in failures:
                continue
            got = worker.attempt(lambda process, clip=clip: _pass(process, clip, infos[clip.name], config, given))  # type: ignore[misc]
            if isinstance(got, ClipFailure):
                failures[clip.name] = got
                continue
            found[clip.name], costs[clip.name] = got
            write_text(files[clip.name].with_suffix(".cost"), json.dumps(costs[clip.name]))
            write_text(files[clip.name], found[clip.name].model_dump_json(), exact=True)
    return found, failures, {name: cost for name, cost in costs.items() if name in found}


def _code(config: RunConfig, overrides: Sequence[str]) -> list[str]:
    """The code of an analyzer and, with their settings, of all that lies upstream of it."""
    found = [code_of_run(config)]
    for name, variant in sorted(config.analyzer.upstream.items()):
        try:
            other = other_analyzer(overrides, name, variant)
        except ConfigError:
            continue  # one that is merely welcome, and is not here
        found += [digest(other.analyzer.model_dump()), *_code(other, overrides)]
    return found


def _read(file: Path) -> AnalyzerResult | None:
    """A result that was kept; None where there is none, or none that can be read."""
    try:
        return AnalyzerResult.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _read_cost(file: Path) -> tuple[float, float] | None:
    """What a kept result took; None where that is not known: it is then made anew."""
    try:
        wall_s, cpu_s = json.loads(file.with_suffix(".cost").read_bytes())
        return float(wall_s), float(cpu_s)
    except (OSError, ValueError, TypeError):
        return None


def _loaded(config: RunConfig, log: Path) -> WorkerProcess:
    """A worker that is ready for clips. Raises LoadFailed, and ParityError where its network must not be used here."""
    job = Job(config.analyzer.constructor, config.media.decode, config.media.limits, config.seed, log)
    process: WorkerProcess | None = None
    try:
        process = WorkerProcess(job)
        process.ask("prepare", {"unavailable": True}, timeout_s=config.measure.prepare_timeout_s)
        process.ask("load", timeout_s=config.measure.load_timeout_s)
    except BaseException as error:
        if process is not None:
            process.kill()
        if isinstance(error, AnalyzerError):
            raise LoadFailed(
                f"{config.analyzer.name} cannot load: {error.message}", f"{log} has the details"
            ) from error
        raise
    return process


def _pass(
    process: WorkerProcess, clip: Clip, info: ClipInfo, config: RunConfig, given: Upstream
) -> tuple[AnalyzerResult, tuple[float, float]]:
    timeout_s, upstream = config.measure.clip_timeout_s, given.of(clip.name)
    answer = process.analyze(clip.name, info, timeout_s, None, upstream=upstream)
    if (exact := corrected(info, answer)) is not info:
        answer = process.analyze(clip.name, exact, timeout_s, None, upstream=upstream)
    # As the parent saw it: what is not measured is not believed either.
    return checked_result(answer["result"], clip.name), (process.watched.wall_s, process.watched.cpu_s)
