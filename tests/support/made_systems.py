"""Systems of made analyzers whose cost and quality are known, for comparisons of whole systems."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from reelbench.analyzers.base import Material, Needs, WeightsSource
from reelbench.bench.progress import Progress
from reelbench.comparison.records import ArmName
from reelbench.config import instantiate, validate
from reelbench.corpus.clip import Truth
from reelbench.engines.base import Availability, Evidence
from reelbench.media.frames import FrameStream
from reelbench.media.types import Frame, FrameRequest, Sampling
from reelbench.paths import conf_dir
from reelbench.quality.base import Scores
from reelbench.results import AnalyzerResult, Event
from reelbench.system import runner, work
from reelbench.system.ab.arms import SystemArm
from reelbench.system.config import Composed, PlanConfig, SystemConfig
from reelbench.system.folder import SystemFolder
from reelbench.system.records import Session, Span
from reelbench.system.setup import Prepared
from support.run_configs import run_node

MEASURE = {"name": "system", "seconds_per_clip": 0.0, "pairs": {"looks": [7, 9]}}


class Made:
    """Takes ``cost_s`` a clip, and is as good as ``scores`` says of it (``score`` where it says nothing). ``fault``: it raises.

    ``cheat``: 'clock' (its worker's clock stands still), 'idle' (a thread works on when the task is over), 'unread' (frames that
    it never read), 'half' (it leaves after half of them), 'device' (its evidence contradicts what was asked for), 'mute' (it
    cannot say what executed), 'peek' (it looks for ground truth beside the clip), 'tells' (it reports every string that
    it was given), 'unsteady' (it never finds the same twice),
    'child' is none: another process works for it. ``cache``: a folder in which it remembers the frames that it has seen,
    and takes no time for them. ``sees``: it reads frames. ``steady``: what it declares.
    ``after``: who must have been there before it.
    """

    weights: tuple[str, ...] = ()
    step = 1

    def __init__(
        self,
        called: str,
        cost_s: float = 0.0,
        score: float = 0.8,
        scores: Mapping[str, float] | None = None,
        fault: bool = False,
        reason: str = "",
        cheat: str = "",
        sees: bool = False,
        cache: str = "",
        steady: bool = True,
        after: Sequence[str] = (),
    ) -> None:
        self._cache, self.deterministic = cache, steady
        frames = FrameRequest(Sampling(every=2), size=(16, 16), colour="gray") if sees else None
        self.needs, self._cheat = Needs(frames, upstream=tuple(after)), cheat
        self._name, self.cost_s, self._fault, self._reason = called, cost_s, fault, reason
        self._score, self._scores = score, dict(scores or {})

    def available(self) -> Availability:
        return Availability(not self._reason, self._reason, "pip install it" if self._reason else "")

    def prepare(self, store: WeightsSource) -> None:
        pass

    def load(self, store: WeightsSource) -> None:
        pass

    def analyze(self, material: Material) -> AnalyzerResult:
        if self._fault:
            raise ValueError("told to fail")
        if self._cheat == "clock" and work.perf_counter is time.perf_counter:
            stopped_at = time.perf_counter()
            work.perf_counter = lambda: stopped_at
        if self._cheat == "idle":
            threading.Thread(target=_burn, daemon=True).start()
        if self._cheat == "child":
            subprocess.run([sys.executable, "-c", BURN], check=True)
        frames = list(islice(material.frames, 2 if self._cheat == "half" else None))
        known = Path(self._cache or "/dev/null", content_of(frames))
        if not (self._cache and known.exists()):
            time.sleep(self.cost_s)
            if self._cache:
                known.touch()
        found = self.result(material.clip, material.info.duration_s)
        if self._cheat == "peek":
            beside = [*material.info.path.parent.iterdir()] if material.info.path.parent.is_dir() else []
            reached = [path for path in beside if ".truth" in path.name]
            found = self._labelled(found, f"saw {len(reached)} of {len(beside)} beside {material.info.path.name}")
        if self._cheat == "tells":
            found = self._labelled(found, json.dumps(_given(material)))
        if self._cheat == "unsteady":
            found = self._labelled(found, f"at {time.time_ns()}")
        sampled = 6 if self._cheat == "unread" else len(frames)
        return found.model_copy(update={"frames_sampled": sampled})

    @staticmethod
    def _labelled(found: AnalyzerResult, label: str) -> AnalyzerResult:
        return found.model_copy(update={"events": (found.events[0].model_copy(update={"label": label}),)})

    def result(self, clip: str, duration_s: float) -> AnalyzerResult:
        found = Event(start_s=0.0, end_s=duration_s, label="found", score=self._scores.get(clip, self._score))
        return AnalyzerResult(analyzer=self._name, clip=clip, duration_s=duration_s, events=(found,))

    def evidence(self) -> Evidence:
        if self._cheat == "mute":
            raise RuntimeError("nobody knows")
        denied = "asked for CUDA:0, ran on CPU" if self._cheat == "device" else ""
        return Evidence("made", "CPU", "fp32", "test", contradiction=denied)

    def close(self) -> None:
        pass


def remember(clips: Path, cache: Path) -> None:
    """Fill ``cache`` as one that ``sees`` does, with every clip of a folder."""
    request = FrameRequest(Sampling(every=2), size=(16, 16), colour="gray")
    for clip in clips.iterdir():
        with FrameStream(clip, request) as frames:
            (cache / content_of(list(frames))).touch()


def content_of(frames: Sequence[Frame]) -> str:
    return hashlib.sha256(b"".join(frame.image.tobytes() for frame in frames)).hexdigest()


def _given(material: Material) -> list[str]:
    """All that an analyzer is handed, and what a process knows of itself: arguments, variables, folder, open files."""
    opened = [str(file.resolve()) for file in Path("/proc/self/fd").iterdir()]
    frame, stack = sys._getframe(), ""
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        stack += repr({name: value for name, value in frame.f_locals.items() if name != "self"})
    upstream = [result.model_dump_json() for result in material.upstream.values()]
    return [material.clip, repr(material), str(material.info.path.resolve()), *upstream, *sys.argv,
            str(os.environ), str(Path.cwd()), *opened, stack]  # fmt: skip


BURN = "import time\nwhile time.process_time() < 0.4: pass"


def _burn() -> None:
    while True:
        sum(range(10_000))


class MadeQuality:
    """An analyzer is as good as the score of what it found; a score of 1 stands for nothing found where nothing is."""

    primary = "goodness"

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        found = {clip: results[clip].events[0].score or 0.0 for clip in truths if clip in results}
        silent = {
            f"{clip}/goodness": "there is nothing, and nothing was found" for clip, one in found.items() if one == 1
        }
        scored = {clip: one for clip, one in found.items() if one < 1}
        overall = {"goodness": sum(scored.values()) / len(scored)} if scored else {}
        return Scores(overall, {clip: {"goodness": one} for clip, one in scored.items()}, silent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        per_clip = {clip: {"f1": float(results[clip].events == reference[clip].events)} for clip in reference}
        return Scores({"f1": sum(one["f1"] for one in per_clip.values()) / len(per_clip)}, per_clip)


def arm(
    name: ArmName,
    clips: Path,
    runs: Path,
    analyzers: Mapping[str, Mapping[str, Any]],
    *,
    check_copy: bool = False,
    **base: Any,
) -> SystemArm:
    """An arm whose analyzers are `Made` with these arguments. ``base`` changes what is common to both."""
    import yaml

    system = yaml.safe_load((conf_dir() / "system" / "default.yaml").read_text())
    plan = yaml.safe_load((conf_dir() / "plan" / "auto.yaml").read_text())
    configs = {
        called: validate(_one(called, settings, clips, runs) | base, "plain") for called, settings in analyzers.items()
    }
    first = next(iter(configs.values()))
    system["check_copy"] = check_copy
    composed = Composed(SystemConfig.model_validate(system), PlanConfig.model_validate(plan), first, configs)
    return SystemArm(name, {"a": "original", "b": "optimized"}[name], (), composed)


def _one(called: str, settings: Mapping[str, Any], clips: Path, runs: Path) -> dict[str, Any]:
    node = {"_target_": "support.made_systems.Made", "_convert_": "all", "called": called, **settings}
    quality = "support.made_systems.MadeQuality"
    return run_node({**node, "name": called}, clips, runs, quality=quality, measure=MEASURE)


class Imagined:
    """In place of `reelbench.system.runner.execute`: the same spans and results without any process, at the analyzers' cost with a
    little noise. ``runs`` counts; ``interrupt_at`` presses Ctrl-C in that run."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.runs = 0
        self._interrupt_at = interrupt_at
        self._noise = random.Random(1)

    def __call__(self, ready: Prepared, folder: SystemFolder, progress: Progress) -> None:
        self.runs += 1
        if self.runs == self._interrupt_at:
            raise KeyboardInterrupt
        folder.record.sessions.append(Session(began="2026-01-01T00:00:00+00:00", first_task_s=0.0))
        now = 0.0
        for clip, info in ready.clips.infos.items():
            for name, part in ready.parts.items():
                if part.unavailable:
                    continue
                made = instantiate(part.config.analyzer.constructor)
                assert isinstance(made, Made)
                ended = now + made.cost_s * self._noise.uniform(0.97, 1.03)
                span = {"clip": clip, "name": name, "start_s": now, "end_s": ended, "cores": (0,), "cpu_s": ended - now}
                bad = {"status": "failed", "reason": "told to fail"} if made._fault else {"status": "done"}
                result = None if made._fault else made.result(clip, info.duration_s)
                folder.add(Span.model_validate({"session": 0, "kind": "task", **span, **bad}), result)
                now = ended
        runner._tell_outcomes(folder)
