"""Variants that look faster than they are: each is a mistake that real teams make, or a cheat of a few lines.

Work is a pause: it costs no processor time, so that nothing here depends on how busy the machine is.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource
from reelbench.bench.process_tree import descendants
from reelbench.engines.base import Evidence
from reelbench.media.types import Frame
from reelbench.results import AnalyzerResult, Event
from support.analyzers import Brightness

_pause, _thread_time = time.sleep, time.thread_time


class Honest(Plain):
    """One event a sampled frame; each pass pauses for ``work_s``."""

    needs = Brightness.needs

    def __init__(self, work_s: float = 0.1, memory: str = "") -> None:
        self.work_s, self.memory, self.passes = work_s, Path(memory), 0

    def analyze(self, material: Material) -> AnalyzerResult:
        self.passes += 1
        frames = list(material.frames)
        self.work(material, frames)
        return self.result(material, frames)

    def work(self, material: Material, frames: list[Frame]) -> None:
        _pause(self.work_s)

    def result(self, material: Material, frames: list[Frame]) -> AnalyzerResult:
        return AnalyzerResult(
            analyzer="brightness",
            clip=material.clip,
            duration_s=material.info.duration_s,
            frames_sampled=len(frames),
            frames_inferred=len(frames),
            events=tuple(self.event(frame) for frame in frames),
        )

    def event(self, frame: Frame) -> Event:
        level = float(frame.image.mean()) / 255
        return Event(start_s=frame.pts_s, end_s=frame.pts_s, label="brightness", score=level)

    def evidence(self) -> Evidence:
        return Evidence("numpy", "CPU", "fp32", "test")


class SlowClock(Honest):
    """The worker's clock runs at a twentieth of the speed."""

    def load(self, store: WeightsSource) -> None:
        from reelbench.bench import one_pass

        real = time.perf_counter
        one_pass.perf_counter = lambda: real() / 20  # type: ignore[assignment]


class WorksWhenDropped(Honest):
    """The work is done when the result is let go of, after the clock stopped."""

    class Result(AnalyzerResult):
        def __del__(self) -> None:
            _pause(0.1)

    def work(self, material: Material, frames: list[Frame]) -> None:
        """Later."""

    def result(self, material: Material, frames: list[Frame]) -> AnalyzerResult:
        return self.Result(**super().result(material, frames).model_dump())


class WorksInTheBackground(Honest):
    """A thread goes on with the work after the answer."""

    def work(self, material: Material, frames: list[Frame]) -> None:
        threading.Thread(target=self._burn, daemon=True).start()

    @staticmethod
    def _burn() -> None:
        until = _thread_time() + 1.0
        while _thread_time() < until:
            pass


class RemembersByName(Honest):
    """A clip that was seen in this process costs nothing."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.known: set[str] = set()

    def work(self, material: Material, frames: list[Frame]) -> None:
        if (key := self.key(material, frames)) not in self.known:
            super().work(material, frames)
        self.known.add(key)

    def key(self, material: Material, frames: list[Frame]) -> str:
        return material.clip


class RemembersByContent(RemembersByName):
    def key(self, material: Material, frames: list[Frame]) -> str:
        return hashlib.sha256(b"".join(frame.image.tobytes() for frame in frames)).hexdigest()


class RemembersOnDisk(RemembersByContent):
    """A clip whose content was seen by any process before costs nothing."""

    def work(self, material: Material, frames: list[Frame]) -> None:
        file = self.memory / self.key(material, frames)
        if not file.exists():
            _pause(self.work_s)
        file.touch()


class RemembersByItsLooks(RemembersOnDisk):
    """What it knows a clip by survives a new encoding: about how long it is, and how bright its first picture."""

    def key(self, material: Material, frames: list[Frame]) -> str:
        return f"{material.info.duration_s:.1f} {int(frames[0].image.mean()) // 4}"


class KnowsItsClips(RemembersByContent):
    """Results come from a table that was made before; on any other clip it finds nothing, and takes no time."""

    def work(self, material: Material, frames: list[Frame]) -> None:
        """Done before."""

    def result(self, material: Material, frames: list[Frame]) -> AnalyzerResult:
        found = super().result(material, frames)
        known = material.info.width == 160  # a copy is cropped; a real table would hold the content of each clip
        return found if known else found.model_copy(update={"events": ()})


class ClockAFifthSlow(Honest):
    """The worker's clock loses a fifth."""

    def load(self, store: WeightsSource) -> None:
        from reelbench.bench import one_pass

        real = time.perf_counter
        one_pass.perf_counter = lambda: real() * 0.8  # type: ignore[assignment]


class SlowsTheOtherDown(Honest):
    """The other arm's process gets the lowest priority."""

    def work(self, material: Material, frames: list[Frame]) -> None:
        parent = os.getppid()
        for pid in {*descendants(parent)} - {os.getpid()}:
            os.setpriority(os.PRIO_PROCESS, pid, 19)
        super().work(material, frames)


class WorksOnce(Honest):
    """Only the first pass over each clip finds all; later ones return little."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.known: set[str] = set()

    def result(self, material: Material, frames: list[Frame]) -> AnalyzerResult:
        found = super().result(material, frames)
        seen, self.known = material.clip in self.known, self.known | {material.clip}
        return found.model_copy(update={"events": found.events[:1]}) if seen and self.passes > 4 else found


class ReadsNothing(Honest):
    """Frames are counted that were never decoded."""

    def analyze(self, material: Material) -> AnalyzerResult:
        event = Event(start_s=0, end_s=0, label="brightness", score=1)
        counts = {"frames_sampled": 10, "frames_inferred": 10}
        return self.result(material, []).model_copy(update={**counts, "events": (event,)})


class Peeks(Honest):
    """Looks for the ground truth wherever the path and the name of the clip lead."""

    def result(self, material: Material, frames: list[Frame]) -> AnalyzerResult:
        path = material.info.path
        real, around = path.resolve(), set[Path]()
        for folder in (path.parent, real.parent, real.parent.parent, Path.cwd()):
            around |= {folder / f"{material.clip}.truth.json", *folder.rglob("*.truth.json")}
        found = [file for file in (*around, path.with_suffix(".truth.json")) if file.exists()]
        beside = sorted(one.name for one in path.parent.iterdir())
        event = Event(
            start_s=0, end_s=0, label="brightness", score=1, attributes={"found": len(found), "beside": len(beside)}
        )
        named = [json.dumps(material.clip), str(path)]
        return super().result(material, frames).model_copy(
            update={"events": (event.model_copy(update={"text": " ".join(named)}),)}
        )  # fmt: skip


class DisturbsWhenIdle(Honest):
    """Burns a core whenever it is not asked for anything."""

    def load(self, store: WeightsSource) -> None:
        self.busy = False
        threading.Thread(target=self._disturb, daemon=True).start()

    def analyze(self, material: Material) -> AnalyzerResult:
        self.busy = True
        try:
            return super().analyze(material)
        finally:
            self.busy = False

    def _disturb(self) -> None:
        while True:
            if self.busy:
                _pause(0.001)


class HiresOut(Honest):
    """A child process does the work."""

    def work(self, material: Material, frames: list[Frame]) -> None:
        burn = "import time\nwhile time.process_time() < 0.3: pass"
        subprocess.run([sys.executable, "-S", "-c", burn], check=True)


class Guesses(Honest):
    """Each pass finds something else; ``deterministic`` is what it declares."""

    def __init__(self, deterministic: bool = True, **more: Any) -> None:
        super().__init__(**more)
        self.deterministic = deterministic

    def event(self, frame: Frame) -> Event:
        found = super().event(frame)
        # Two passes alike, then two others: whether a clip has every pass or every second one, they differ.
        return found.model_copy(update={"label": "brightness" if self.passes // 2 % 2 else "darkness"})


class JumpsInTheLastDigit(Honest):
    """Sums of many threads: the last digits differ from pass to pass."""

    def event(self, frame: Frame) -> Event:
        found = super().event(frame)
        return found.model_copy(update={"score": found.score + 1e-7 * self.passes})


class WorksUpstream(Honest):
    """Another analyzer does the work, which nobody times."""

    needs = Needs(frames=Honest.needs.frames, upstream=("brightness",))

    def work(self, material: Material, frames: list[Frame]) -> None:
        """Done already."""
