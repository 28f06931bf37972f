"""Which variant runs: the requested one, or its declared fallback where it cannot run on this machine.

A variant cannot run where its analyzer says so before anything is prepared (`preflight`), and where its prepared
network does not compute what it computes in FP32 (`make_ready`). Every command decides by `stand_in` what happens then:
the variant is refused with the reason or, with ``on_unavailable=fallback``, its fallback runs and the record says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reelbench.analyzers.base import Analyzer, is_deterministic
from reelbench.bench.process import Code, WorkerProcess
from reelbench.bench.progress import Progress
from reelbench.bench.restarting import LoadFailed
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.worker import Job
from reelbench.config import RunConfig, instantiate, other_variant
from reelbench.encoding import readable_values
from reelbench.engines.parity import ParityError
from reelbench.errors import AnalyzerError, UnavailableError
from reelbench.models.store import ModelStore
from reelbench.paths import write_yaml


@dataclass(frozen=True, slots=True)
class Effective:
    """The configuration that really runs, its analyzer, and why it is another than the requested one."""

    config: RunConfig
    analyzer: Analyzer
    fallback_reason: str = ""


def preflight(config: RunConfig, overrides: Sequence[str]) -> Effective:
    """Check, before anything is measured, whether the variant can run here. Raises what `stand_in` does."""
    analyzer = instantiate(config.analyzer.constructor)
    verdict = analyzer.available()
    if verdict.ok:
        return Effective(config, analyzer)
    what = f"{config.analyzer.name} {config.variant}"
    refusal = UnavailableError(f"{what} is unavailable here: {verdict.reason}", verdict.mend)
    return stand_in(config, overrides, refusal, verdict.reason)


def stand_in(config: RunConfig, overrides: Sequence[str], refusal: UnavailableError, reason: str = "") -> Effective:
    """The variant that takes the place of ``config``'s, which cannot run here because of ``reason`` (``refusal`` says it).

    Raises ``refusal`` unless on_unavailable=fallback, and UnavailableError where the fallback cannot run either.
    """
    name = config.fallback or config.analyzer.fallback
    if config.on_unavailable == "fail" or name == config.variant:
        raise refusal
    fallback = other_variant(overrides, name)
    analyzer = instantiate(fallback.analyzer.constructor)
    if not (second := analyzer.available()).ok:
        what = f"{config.analyzer.name} {config.variant}"
        raise UnavailableError(f"{what} and its fallback {name} are unavailable here: {second.reason}", second.mend)
    return Effective(fallback, analyzer, f"{config.variant} is unavailable here: {reason or refusal.message}")


def proven(
    requested: RunConfig, ready: Effective, overrides: Sequence[str], prepare: Callable[[Effective], None]
) -> Effective:
    """Prepare the network of ``ready`` or, where that fails parity, of its fallback; returns the one that passed.

    Raises ParityError where none did, and what `stand_in` and ``prepare`` raise.
    """
    try:
        prepare(ready)
    except ParityError as error:
        if ready.config.variant != requested.variant:
            raise  # it is the fallback already
        ready = stand_in(requested, overrides, error)
        prepare(ready)
    return ready


def make_ready(
    folder: RunFolder,
    requested: RunConfig,
    ready: Effective,
    overrides: Sequence[str],
    store: ModelStore,
    progress: Progress,
    code: Code | None = None,
) -> Effective:
    """Prepare the network of a run. Where the fallback takes the variant's place, the folder is about the fallback then.

    Raises UnavailableError where the variant must not be used on this machine, LoadFailed for every other failure.
    """

    def prepare(one: Effective) -> None:
        if one is not ready:
            _tell(one, progress)
            store.ensure(one.analyzer.weights, progress=progress.bytes, download=one.config.download)
        job = job_of(one.config, folder.log)
        folder.record.cold_start.prepare_s += prepare_network(job, one.config.measure.prepare_timeout_s, progress, code)

    found = proven(requested, ready, overrides, prepare)
    if found is not ready:
        record = folder.record
        record.effective, record.fallback_reason = found.config.variant, found.fallback_reason
        record.config_hash, record.deterministic = found.config.config_hash, is_deterministic(found.analyzer)
        record.weights = store.hashes(found.analyzer.weights)
        write_yaml(folder.path / "config.yaml", readable_values(found.config.model_dump(mode="json")))
        folder.save()
    return found


def job_of(config: RunConfig, log: Path) -> Job:
    """What the worker of this configuration is told."""
    return Job(config.analyzer.constructor, config.media.decode, config.media.limits, config.seed, log)


def _tell(ready: Effective, progress: Progress) -> None:
    progress.message(f"{ready.config.analyzer.name}: {ready.fallback_reason}; {ready.config.variant} takes its place")


def prepare_network(job: Job, timeout_s: float, progress: Progress, code: Code | None = None) -> float:
    """Conversion, calibration and comparison with FP32, in a process that is not measured. Seconds that it took.

    Raises ParityError where the network must not be used on this machine, LoadFailed for every other failure.
    """
    progress.stage("preparing the network (once a machine)")
    try:
        with WorkerProcess(job, code) as worker:
            return float(worker.ask("prepare", {"unavailable": True}, timeout_s=timeout_s))
    except AnalyzerError as error:
        raise LoadFailed(f"cannot prepare: {error.message}", f"{job.log} has the details") from error
