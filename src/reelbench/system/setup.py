"""All that comes before the first task of a system run: who takes part and can run here, weights, clips, where results go."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from reelbench.analyzers.base import Needs
from reelbench.bench.effective import Effective, job_of, preflight, proven
from reelbench.bench.environment import environment
from reelbench.bench.own_code import code_of_run
from reelbench.bench.progress import Progress
from reelbench.bench.setup import Clips, open_clips
from reelbench.bench.worker import Job
from reelbench.config import RunConfig, digest, instantiate
from reelbench.encoding import readable_values
from reelbench.errors import ConfigError, OutputError, UnavailableError
from reelbench.machine import fingerprint
from reelbench.models.store import ModelStore
from reelbench.paths import write_text, write_yaml
from reelbench.system.arrivals import Arrivals
from reelbench.system.config import Composed, PlanConfig
from reelbench.system.folder import SystemFolder, find_interrupted, new_id
from reelbench.system.networks import Networks
from reelbench.system.records import AnalyzerRecord, Outcome, SystemRecord
from reelbench.system.spool import expected_bytes
from reelbench.system.tasks import Machine, Task, Timings, in_order, read_timings, tasks_of

TIMINGS = "timings.json"


@dataclass
class Part:
    """One analyzer that takes part. ``unavailable`` says why it cannot run here; it is empty where it can. ``config`` is
    the variant that runs: ``fallback_reason`` says why where that is not the one that was ``requested``."""

    name: str
    config: RunConfig
    needs: Needs
    weights: dict[str, str] = field(default_factory=dict)
    unavailable: str = ""
    mend: str = ""
    requested: str = ""
    fallback_reason: str = ""


@dataclass
class Prepared:
    """A system run that can begin."""

    composed: Composed
    parts: dict[str, Part]
    clips: Clips
    machine: Machine
    timings: Timings
    key: str
    arrivals: Arrivals = field(default_factory=Arrivals)

    @property
    def tasks(self) -> list[Task]:
        plan = self.composed.plan
        needs = {name: part.needs for name, part in self.parts.items()}
        opened = [clip for clip in self.clips.clips if clip.name in self.clips.infos]
        return [
            task
            for rank, clip in enumerate(opened)
            for info in [self.clips.infos[clip.name]]
            for task in tasks_of(
                clip.name, info.duration_s, info.has_audio, needs,
                rank=rank, decode_once=plan.decode == "once", wide=plan.wide,
            )
        ]  # fmt: skip

    def job(self, name: str, folder: SystemFolder) -> Job:
        """What the worker of a task is told; the built-in ones have no analyzer."""
        base, log = self.composed.base, folder.log(name)
        if name not in self.parts:
            return Job({}, self.composed.system.decode, base.media.limits, base.seed, log)
        return job_of(self.parts[name].config, log)


def prepare(composed: Composed, progress: Progress, *, networks: bool = True) -> Prepared:
    """Everything but the folder. Raises ConfigError, InputError and OutputError; what cannot run here is a part that says why.

    ``networks``: prepare them, too, and see whether each computes what it should on this machine.
    """
    store = ModelStore()
    progress.stage(f"{len(composed.analyzers)} analyzers: packages and weights")
    with Networks(composed.system.timeout.prepare_s) as prover:
        parts = {
            name: _part(config, composed.overrides.get(name, ()), store, progress, prover.prepare if networks else _no)
            for name, config in composed.analyzers.items()
        }
    in_order({name: part.needs for name, part in parts.items()})
    if all(part.unavailable for part in parts.values()):
        raise ConfigError("no analyzer can run here", "; ".join(f"{p.name}: {p.mend}" for p in parts.values())[:300])
    clips = open_clips(composed.base, [one for part in parts.values() for one in part.weights], store, progress)
    machine = machine_of(composed.plan)
    return Prepared(composed, parts, clips, machine, timings_of(composed), resume_key(composed, parts, clips))


def _part(
    config: RunConfig,
    overrides: Sequence[str],
    store: ModelStore,
    progress: Progress,
    prepare_network: Callable[[Effective], None],
) -> Part:
    def ready_for(one: Effective) -> None:
        if one.fallback_reason:
            progress.message(f"{name}: {one.fallback_reason}; {one.config.variant} takes its place")
        store.ensure(one.analyzer.weights, progress=progress.bytes, download=config.download)
        prepare_network(one)

    name = config.analyzer.name
    try:
        found = proven(config, preflight(config, overrides), overrides, ready_for)
    except UnavailableError as error:
        part = Part(name, config, instantiate(config.analyzer.constructor).needs)
        said = f"{name} {config.variant} is unavailable here: "  # whose reason it is stands beside it
        part.unavailable, part.mend = error.message.removeprefix(said), error.hint
        return part
    part = Part(name, found.config, found.analyzer.needs, store.hashes(found.analyzer.weights))
    if found.fallback_reason:
        part.requested, part.fallback_reason = config.variant, found.fallback_reason
    return part


def _no(ready: Effective) -> None:
    """Prepare no network."""


def machine_of(plan: PlanConfig) -> Machine:
    """The cores that this process may use, or as many of them as the plan wants."""
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return Machine(cores[: plan.cores or len(cores)], int(plan.memory_mb * 1e6), fingerprint())


def timings_of(composed: Composed) -> Timings:
    """The plan's timings: the file that it names, else the one that was measured into the runs' folder, else none."""
    if composed.plan.timings is not None:
        return read_timings(composed.plan.timings)
    usual = composed.runs_dir / TIMINGS
    return read_timings(usual) if usual.is_file() else Timings()


def resume_key(composed: Composed, parts: dict[str, Part], clips: Clips) -> str:
    """Two runs with the same key give the same results: configuration, clips with their ground truth, weights, code (the analyzers' own
    modules among it), packages, machine."""
    now = environment()
    code = {key: now[key] for key in ("fingerprint", "reelbench", "code", "packages")}
    analyzers = {
        name: [part.config.measured_part["analyzer"], part.config.measured_part["media"], code_of_run(part.config)]
        for name, part in parts.items()
    }
    states = {name: [part.weights, bool(part.unavailable)] for name, part in parts.items()}
    own = [
        composed.system.model_dump(mode="json", exclude={"scratch", "check_copy"}),
        composed.plan.model_dump(mode="json", exclude={"timings"}),
    ]
    material = [[clip.sha256, clip.truth_sha256] for clip in clips.clips]
    return digest([analyzers, states, own, material, composed.base.seed, code])


def open_folder(ready: Prepared, command: str) -> SystemFolder:
    """A new folder, or that of an interrupted run with the same key. Raises OutputError where it cannot be written."""
    composed = ready.composed
    scratch = composed.system.scratch
    found = find_interrupted(composed.runs_dir, ready.key, scratch) if composed.base.resume else None
    if found is not None:
        found.record.status = "running"
        found.record.notes.append(f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return found
    record = SystemRecord(
        id=new_id(composed.system.name, composed.plan.name),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        corpus=str(composed.base.corpus.get("name", "")),
        system=composed.system.name,
        plan=composed.plan.name,
        decode=composed.plan.decode,
        cores=ready.machine.cores,
        memory_bytes=ready.machine.memory_bytes,
        key=ready.key,
        clips=ready.clips.records(),
        analyzers={name: _record(part, ready) for name, part in ready.parts.items()},
    )
    record.notes += [item.fallback for item in record.analyzers.values() if item.fallback]
    folder = SystemFolder.create(composed.runs_dir, record, scratch)
    _write_beside(folder, composed)
    return folder


def _record(part: Part, ready: Prepared) -> AnalyzerRecord:
    clips = ready.clips
    outcome = Outcome(status="unavailable" if part.unavailable else "pending", reason=part.unavailable, mend=part.mend)
    return AnalyzerRecord(
        name=part.name,
        variant=part.config.variant,
        requested=part.requested,
        fallback_reason=part.fallback_reason,
        unavailable=part.unavailable,
        mend=part.mend,
        waits_for=next((task.waits_for for task in ready.tasks if task.name == part.name), ()),
        weights=part.weights,
        outcomes={clip.name: outcome.model_copy() for clip in clips.clips if clip.name in clips.infos},
    )


def _write_beside(folder: SystemFolder, composed: Composed) -> None:

    whole = {
        "system": composed.system.model_dump(mode="json"),
        "plan": composed.plan.model_dump(mode="json"),
        "analyzers": {name: config.model_dump(mode="json") for name, config in composed.analyzers.items()},
    }
    write_yaml(folder.path / "config.yaml", readable_values(whole))
    write_text(folder.path / "environment.json", json.dumps(environment(), indent=1))


def require_disk(ready: Prepared, folder: SystemFolder) -> None:
    """Refuse before anything is decoded where the spools of as many clips as are open at once would not fit. Raises OutputError."""
    if ready.composed.plan.decode != "once":
        return
    frames = [part.needs.frames for part in ready.parts.values() if part.needs.frames and not part.unavailable]
    rates = [part.needs.audio.rate for part in ready.parts.values() if part.needs.audio and not part.unavailable]
    most = int(ready.composed.system.spool_mb * 1e6)  # a clip that needs more is refused when it gets there
    sizes = sorted(min(most, expected_bytes(info, frames, rates)) for info in ready.clips.infos.values())
    needed = sum(sizes[-ready.composed.plan.clips_at_once :])
    free = shutil.disk_usage(_existing(folder.scratch)).free
    if needed > free:
        raise OutputError(
            f"decoding into {folder.scratch} takes {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            "free some space, choose another folder (system.scratch=DIR), or plan.clips_at_once=1",
        )


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
