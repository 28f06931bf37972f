"""Results that a run needs but does not measure: those of the reference variant for clips without ground truth, and those of the
analyzers upstream. One untimed pass each, kept until anything that it depends on changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reelbench import __version__
from reelbench.bench.environment import git_state
from reelbench.bench.process import WorkerProcess
from reelbench.bench.worker import Job
from reelbench.config import RunConfig, digest, instantiate, other_analyzer, other_variant
from reelbench.corpus.clip import Clip
from reelbench.errors import ConfigError, UnavailableError
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.paths import PACKAGE, write_text
from reelbench.results import AnalyzerResult

Upstream = dict[str, dict[str, AnalyzerResult]]
"""Clip -> analyzer -> its result."""


def reference_results(
    config: RunConfig,
    clips: Sequence[Clip],
    infos: Mapping[str, ClipInfo],
    store: ModelStore,
    overrides: Sequence[str],
    log: Path,
) -> dict[str, AnalyzerResult]:
    """The reference variant's results by clip.

    Raises UnavailableError where the reference cannot run here and AnalyzerError where it fails.
    """
    return _kept(other_variant(overrides, config.analyzer.reference), clips, infos, store, overrides, log)


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
    that it needs is not named, UnavailableError where it cannot run here, and AnalyzerError where it fails.
    """
    needs = instantiate(config.analyzer.constructor).needs
    named = config.analyzer.upstream
    if missing := [name for name in needs.upstream if name not in named]:
        raise ConfigError(
            f"{config.analyzer.name} needs the results of {missing[0]}",
            f"say which variant: +analyzer.upstream.{missing[0]}=optimized",
        )
    found: Upstream = {clip.name: {} for clip in clips}
    for name in (*needs.upstream, *(name for name in needs.upstream_if_any if name in named)):
        try:
            results = _kept(other_analyzer(overrides, name, named[name]), clips, infos, store, overrides, log)
        except UnavailableError as error:
            if name in needs.upstream:
                raise UnavailableError(f"{name}, upstream, is unavailable here: {error.message}", error.hint) from error
            continue
        for clip, result in results.items():
            found[clip][name] = result
    return found


def _kept(
    config: RunConfig,
    clips: Sequence[Clip],
    infos: Mapping[str, ClipInfo],
    store: ModelStore,
    overrides: Sequence[str],
    log: Path,
) -> dict[str, AnalyzerResult]:
    """The results of this configuration by clip, from ``<runs_dir>/reference`` where they are still true, else made now."""
    analyzer = instantiate(config.analyzer.constructor)
    if not (verdict := analyzer.available()).ok:
        raise UnavailableError(verdict.reason, verdict.mend)
    store.ensure(analyzer.weights, download=config.download)
    weights = store.hashes(analyzer.weights)
    key = digest(
        [config.analyzer.model_dump(), config.measured_part["media"], weights, git_state(PACKAGE), __version__]
    )
    folder = config.runs_dir / "reference" / key[:16]

    known = {clip.name: folder / f"{clip.sha256[:32]}.json" for clip in clips}
    missing = [clip for clip in clips if not known[clip.name].is_file()]
    if missing:
        given = upstream_results(config, missing, infos, store, overrides, log)
        job = Job(config.analyzer.constructor, config.media.decode, config.media.limits, config.seed, log)
        with WorkerProcess(job) as worker:
            worker.ask("prepare", timeout_s=config.measure.prepare_timeout_s)
            worker.ask("load", timeout_s=config.measure.load_timeout_s)
            for clip in missing:
                upstream = given[clip.name]
                answer = worker.analyze(
                    clip.name, infos[clip.name], config.measure.clip_timeout_s, None, upstream=upstream
                )
                write_text(known[clip.name], answer["result"])
    return {name: AnalyzerResult.model_validate_json(file.read_bytes()) for name, file in known.items()}
