"""Drive one live run over all clips: repeat in shuffled rounds; a crash costs one clip, not the run."""

from __future__ import annotations

import random

from reelbench.bench.copy_check import observe_copy
from reelbench.bench.kept_passes import LiveClip
from reelbench.bench.live import LiveRun
from reelbench.bench.progress import Progress
from reelbench.bench.reference import Upstream
from reelbench.bench.run_folder import RunFolder
from reelbench.bench.worker import Job
from reelbench.config import Measure
from reelbench.media.types import ClipInfo
from reelbench.models.space import LowDisk


class Passes:
    """Measures the clips of a run folder that still want passes."""

    def __init__(
        self,
        folder: RunFolder,
        infos: dict[str, ClipInfo],
        job: Job,
        measure: Measure,
        progress: Progress,
        upstream: Upstream | None = None,
        disk: LowDisk | None = None,
    ) -> None:
        self._folder, self._measure, self._progress = folder, measure, progress
        self._live = LiveRun(folder, infos, job, measure, progress, upstream=upstream)
        self._live.disk = disk
        self._clips = list(self._live.clips.values())

    def run(self) -> None:
        """Measure until every clip has its passes or has failed. On Ctrl-C the worker is killed; what is measured is kept.

        Between passes it waits while the disk is full, or raises OutputError, as ``disk`` says.
        """
        shuffle = random.Random(self._folder.record.config_hash)
        self._progress.start(sum(max(0, self._measure.repetitions_min - clip.done) for clip in self._clips))
        try:
            while wanted := [clip for clip in self._clips if self._wanted(clip)]:
                shuffle.shuffle(wanted)
                for clip in wanted:
                    self._live.pass_over(clip, lambda phase, name=clip.name: self._tell(name, phase))  # type: ignore[misc]
            if self._clips:
                self._progress.stage("a copy of a clip")
                self._folder.record.observed = observe_copy(self._live)
            self._live.stop()
            self._folder.record.summary["parent_cpu_share"] = self._live.parent_cpu_share
        finally:
            self._live.kill()
            self._folder.save()

    def _wanted(self, clip: LiveClip) -> bool:
        if clip.failed or clip.done >= self._measure.repetitions_max:
            return False
        return clip.done < self._measure.repetitions_min or clip.seconds < self._measure.seconds_per_clip

    def _tell(self, name: str, phase: str) -> None:
        done = sum(clip.done for clip in self._clips)
        total = sum(max(clip.done, self._measure.repetitions_min) for clip in self._clips)
        pace = sum(clip.seconds for clip in self._clips) / done if done else None
        self._progress.update(name, phase, done, total, pace * max(0, total - done) if pace is not None else None)
