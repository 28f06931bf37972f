"""One scenario from its configuration to a finished folder.

the system prepared once → queries instead of clips → when each arrives → the system's own executor → latency, throughput, memory
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from reelbench.analyzers.base import is_deterministic
from reelbench.bench.environment import environment
from reelbench.bench.progress import Progress
from reelbench.bench.setup import Clips
from reelbench.config import digest, instantiate
from reelbench.errors import ConfigError, OutputError
from reelbench.load.arrivals import OneAfterAnother, Query, Timetable, Watched, draw, poisson
from reelbench.load.config import LoadConfig, Loading
from reelbench.load.folder import LoadFolder, new_id, newest_offline
from reelbench.load.memory import MemoryWatch
from reelbench.load.records import LoadRecord
from reelbench.load.tell import tell
from reelbench.system.runner import carry_out
from reelbench.system.setup import Prepared, open_folder, prepare


def run_load(loading: Loading, command: str, progress: Progress) -> LoadFolder:
    """Play the scenario and return its folder. After Ctrl-C the folder has what was done until then, and KeyboardInterrupt goes on.

    Where the rate of ``server`` is 'auto' and this system was never loaded offline here, that is done before, into a folder of its
    own. Raises ConfigError, InputError, OutputError.
    """
    ready = prepare(loading.system, progress)
    if loading.load.name != "server" or loading.load.rate != "auto":
        return _play(loading, ready, command, progress)
    runs_dir = loading.system.base.runs_dir
    known = newest_offline(runs_dir, ready.key)
    if known is None:
        progress.message("this system was never loaded offline here: that first, to know what it gets through")
        first = replace(loading, load=loading.load.model_copy(update={"name": "offline", "bound_s": None}))
        known = _play(first, ready, command, progress).record
    if not known.per_min:
        raise ConfigError(
            "offline no clip was done: there is no rate to take a share of", "set load.rate=CLIPS_A_MINUTE"
        )
    return _play(loading, ready, command, progress, known)


def _play(
    loading: Loading, system: Prepared, command: str, progress: Progress, offline: LoadRecord | None = None
) -> LoadFolder:
    load, composed = loading.load, loading.system
    record = _record(loading, system, command, offline)
    folder = LoadFolder.create(composed.base.runs_dir, record)
    progress.message(f"load folder: {folder.path}")
    queries = draw(list(system.clips.infos), load.queries, load.warmup, load.seed)
    arrivals = _arrivals(load, queries, record.rate_per_min)
    base = composed.base.model_copy(update={"runs_dir": folder.path, "resume": False})
    ready = replace(
        system,
        composed=replace(composed, base=base),
        clips=_as_clips(system.clips, queries),
        key=digest([system.key, record.id]),
        arrivals=arrivals,
    )
    run = open_folder(ready, command)
    record.notes += [item.fallback for item in run.record.analyzers.values() if item.fallback]
    record.system_run = run.path.relative_to(folder.path).as_posix()
    watch = MemoryWatch(load.memory_every_s)
    try:
        with watch:
            carry_out(ready, run, progress)
        record.status = "failed" if run.record.status == "failed" else "finished"
    except (KeyboardInterrupt, OutputError):
        record.status = "interrupted"
        raise
    finally:
        built = {name: instantiate(part.config.analyzer.constructor) for name, part in system.parts.items()}
        tell(record, run, queries, arrivals, watch, {name for name, one in built.items() if is_deterministic(one)})
        folder.save()
    return folder


def _record(loading: Loading, ready: Prepared, command: str, offline: LoadRecord | None) -> LoadRecord:
    load, composed = loading.load, loading.system
    now = environment()
    record = LoadRecord(
        id=new_id(load.name, composed.system.name, composed.plan.name),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        scenario=load.name,
        corpus=str(composed.base.corpus.get("name", "")),
        system=composed.system.name,
        plan=composed.plan.name,
        cores=ready.machine.cores,
        fingerprint=str(now["fingerprint"]),
        machine=str(now["machine"].get("cpu", "")) if isinstance(now["machine"], dict) else "",
        settings=load.model_dump(mode="json"),
        system_key=ready.key,
        refused=dict(ready.clips.refused),
        kinds={clip: loading.types.of(clip) for clip in ready.clips.infos},
    )
    if load.name == "server":
        if load.rate != "auto":
            record.rate_per_min, record.rate_source = load.rate, "as it was asked for"
        elif offline is not None and offline.per_min:
            record.rate_per_min = load.share * offline.per_min
            record.rate_source = (
                f"{100 * load.share:g} % of the {offline.per_min:.3g} a minute of the offline run {offline.id}"
            )
            if load.share >= 1:
                record.notes.append(
                    "more was offered than the system gets through: the queue grows as long as clips arrive, and latencies with it"
                )
    return record


def _arrivals(load: LoadConfig, queries: Sequence[Query], per_min: float | None) -> Watched:
    warm = [query.name for query in queries if query.warmup]
    counted = [query.name for query in queries if not query.warmup]
    if load.name == "single_stream":
        return OneAfterAnother([*warm, *counted], len(warm))
    times = [0.0] * len(counted) if per_min is None else poisson(len(counted), per_min, load.seed)
    return Timetable(dict(zip(counted, times, strict=True)), warm)


def _as_clips(clips: Clips, queries: Sequence[Query]) -> Clips:
    """The queries as the clips of the system: the same file under a name of its own, so that each is really computed."""
    known = {clip.name: clip for clip in clips.clips}
    return Clips(
        clips=[replace(known[query.clip], name=query.name) for query in queries],
        infos={query.name: clips.infos[query.clip] for query in queries},
        refused={},
    )
