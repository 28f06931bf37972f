"""Prepare a run: weights and clips present, clips opened, the folder for its results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from reelbench.analyzers.base import is_deterministic
from reelbench.bench.effective import Effective
from reelbench.bench.environment import environment
from reelbench.bench.own_code import code_of_run
from reelbench.bench.progress import Progress
from reelbench.bench.records import ClipRecord, RunRecord
from reelbench.bench.reference import Upstream, upstream_results
from reelbench.bench.run_folder import RunFolder, find_interrupted, new_run_id
from reelbench.config import RunConfig, digest, instantiate
from reelbench.corpus.clip import Clip
from reelbench.encoding import path_text, readable_values
from reelbench.errors import InputError, MediaError
from reelbench.media.types import ClipInfo
from reelbench.models.leased import Lease, top_of
from reelbench.models.space import LowDisk, Need, require
from reelbench.models.store import ModelStore
from reelbench.models.usage import Usage
from reelbench.paths import write_text, write_yaml


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips of a corpus, opened once: ``infos`` by name of those that can be, and a fresh ``records`` entry for each."""

    clips: Sequence[Clip]
    infos: dict[str, ClipInfo]
    refused: dict[str, str]
    lease: Lease | None = field(default=None, repr=False, compare=False)
    """Weights and clips cannot be pruned as long as this is there."""

    def records(self) -> list[ClipRecord]:
        return [self._record(clip) for clip in self.clips]

    def _record(self, clip: Clip) -> ClipRecord:
        record = ClipRecord(
            name=clip.name,
            sha256=clip.sha256,
            has_truth=clip.truth is not None,
            truth_sha256=clip.truth_sha256,
            path=path_text(clip.path),
        )
        if clip.name in self.refused:
            record.status, record.error = "refused", self.refused[clip.name]
        else:
            info = self.infos[clip.name]
            record.duration_s, record.fps = info.duration_s, info.fps
            record.width, record.height = info.width, info.height
            record.flags, record.details = list(info.flags), dict(info.details)
        return record


def open_clips(config: RunConfig, weights: Sequence[str], store: ModelStore, progress: Progress) -> Clips:
    """Make weights and clips present, and open every clip in a process of its own; what cannot be opened is refused with its reason.

    Raises InputError where no clip can be measured, WeightsError where something cannot be had, OutputError where the disk is too
    small.
    """
    from reelbench.media.safe_probe import probe_safely

    progress.stage("weights and clips")
    corpus = instantiate(config.corpus)
    wanted = sorted({*weights, *corpus.artifacts()})
    require_room(config, wanted, store)
    store.ensure(wanted, progress=progress.bytes, download=config.download)
    lease = Lease(store.root / artifact for artifact in wanted)
    clips = corpus.clips(store, progress.items)
    tops = {top for clip in clips if (top := top_of(clip.path, store.root)) is not None}
    for top in tops:
        lease.take(top)
    rendered = [f"derived:{top.name}" for top in tops if top.parent.name == "derived"]
    Usage(store.root).record([*(f"weights:{one}" for one in wanted), *rendered])
    found = probe_safely([clip.path for clip in clips], config.media.limits)
    infos: dict[str, ClipInfo] = {}
    refused: dict[str, str] = {}
    for clip in clips:
        info = found[clip.path]
        if isinstance(info, MediaError):
            refused[clip.name] = info.message
            progress.message(f"{clip.name}: refused: {info.message}")
        else:
            infos[clip.name] = info
    if not infos:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(refused.items())[:3])
        raise InputError(f"no clip of the corpus can be measured: {reasons}")
    return Clips(clips, infos, refused, lease)


def low_disk(config: RunConfig, folders: Sequence[Path], progress: Progress) -> LowDisk:
    """What watches the disks that a run writes to, as ``on_disk_low`` wants it."""
    return LowDisk(folders, int(config.disk_low_mb * 1e6), config.on_disk_low, progress.message)


def require_room(config: RunConfig, wanted: Sequence[str], store: ModelStore) -> None:
    """OutputError where what must be fetched does not fit, or would leave too little for the results, before anything is fetched."""
    missing = [store.catalog[one].bytes for one in wanted if store.status(one).state in ("missing", "damaged")]
    if missing and config.download:
        results = Need(config.runs_dir, int(config.disk_low_mb * 1e6), "results")
        require([Need(store.root, sum(missing), "weights and clips"), results])


def resume_key(config: RunConfig, ready: Effective, clips: Clips, weights: dict[str, str]) -> str:
    """Two runs with the same key measure the same: configuration, clips with their ground truth, weights, code (the analyzer's own
    modules among it, wherever they lie), packages, machine."""
    machine = environment()
    code = {key: machine[key] for key in ("fingerprint", "reelbench", "code", "packages")}
    material = [[clip.sha256, clip.truth_sha256] for clip in clips.clips]
    own = [code_of_run(config), code_of_run(ready.config)]
    return digest([config.config_hash, ready.config.config_hash, material, weights, code, own])


def new_record(
    config: RunConfig, ready: Effective, command: str, clips: Clips, weights: dict[str, str], key: str
) -> RunRecord:
    return RunRecord(
        run_id=new_run_id(config.analyzer.name, ready.config.variant),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        analyzer=config.analyzer.name,
        requested=config.variant,
        effective=ready.config.variant,
        fallback_reason=ready.fallback_reason,
        corpus=str(config.corpus.get("name", "")),
        measure=config.measure.name,
        command=command,
        config_hash=ready.config.config_hash,
        resume_key=key,
        weights=weights,
        clips=clips.records(),
        deterministic=is_deterministic(ready.analyzer),
    )


def create_folder(parent: Path, record: RunRecord, config: RunConfig, name: str = "") -> RunFolder:
    """A run folder with its configuration and its environment: ``parent``/<run id>, or ``parent``/``name``."""
    folder = RunFolder.create(parent, record, name)
    write_yaml(folder.path / "config.yaml", readable_values(config.model_dump(mode="json")))
    write_text(folder.path / "environment.json", json.dumps(environment(), indent=1))
    return folder


def open_folder(config: RunConfig, ready: Effective, command: str, clips: Clips, weights: dict[str, str]) -> RunFolder:
    """A new run folder, or that of an interrupted run of the same configuration, code, clips, weights and machine."""
    key = resume_key(config, ready, clips, weights)
    if config.resume and (folder := find_interrupted(config.runs_dir, key)) is not None:
        folder.record.status = "running"
        folder.record.notes.append(f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return folder
    return create_folder(config.runs_dir, new_record(config, ready, command, clips, weights, key), ready.config)


def upstream_of(
    config: RunConfig, clips: Clips, store: ModelStore, overrides: Sequence[str], log: Path, progress: Progress
) -> Upstream:
    """The results that the analyzer is handed for each clip; nothing where it asks for none. Raises what `upstream_results` does."""
    if not config.analyzer.upstream:
        return Upstream()
    progress.stage(f"results of {', '.join(config.analyzer.upstream)}")
    opened = [clip for clip in clips.clips if clip.name in clips.infos]
    return upstream_results(config, opened, clips.infos, store, overrides, log)
