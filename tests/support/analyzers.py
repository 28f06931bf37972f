"""A small real analyzer for tests of the harness: it sees how bright frames are, and fails in the way it is told to."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from reelbench.analyzers.base import Material, Needs, WeightsSource
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from support.clips import title_of


class Brightness:
    """One event a sampled frame. ``faults``: a clip's name → 'raise', 'segfault', 'killed', 'hang', 'exit' or 'unstable';
    ``once`` names a file: where it is given, the fault happens only until that file exists.

    ``wrong_here``: its network, in INT8, computes something else here than in FP32. ``burn_ms`` is what a frame costs in processor
    time; ``pause_s`` is how long each pass sleeps, for a verdict that a busy machine cannot turn round: it costs no processor time,
    and is many times what a pass waits for a core. ``cheat``: 'caches' (a
    frame seen before costs nothing), 'watches' (finds more when nobody times it), 'lazy' (looks only at the first frames),
    'hallucinates' (says a wrong label), 'disturbs' (burns a core
    while it is not asked), 'waits' (makes the file ``once``.begun and goes on when there is ``once``)."""

    def __init__(
        self,
        faults: Mapping[str, str] | None = None,
        once: str = "",
        reason: str = "",
        contradiction: str = "",
        load_fault: str = "",
        wrong_here: bool = False,
        burn_ms: float = 0.0,
        pause_s: float = 0.0,
        cheat: str = "",
    ) -> None:
        self._burn_s, self._pause_s, self._cheat = burn_ms / 1e3, pause_s, cheat
        self._seen: set[bytes] = set()
        self._faults, self._once, self._load_fault = dict(faults or {}), once, load_fault
        self._wrong_here = wrong_here
        self._reason, self._contradiction = reason, contradiction
        self._passes, self._analyzing = 0, False

    needs = Needs(frames=FrameRequest(Sampling(every=2), size=(32, 32), colour="gray"))
    weights: tuple[str, ...] = ()
    step = 2

    def available(self) -> Availability:
        if self._reason == "crash":
            raise ZeroDivisionError("a mistake of whoever wrote this analyzer")
        return Availability(not self._reason, self._reason, "pip install what-is-missing" if self._reason else "")

    def prepare(self, store: WeightsSource) -> None:
        """Nothing is built."""

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        if self._wrong_here:
            yield LoweredNetwork(
                folder=Path("no-such-folder"),  # nothing is kept
                name="brightness.onnx",
                precision="int8",
                packages=("numpy",),
                identity=lambda: "1",
                inputs=lambda: [{"x": np.ones(3)}],
                answers=lambda feeds: ({"y": 2 * feed["x"]} for feed in feeds),
                reference=lambda feeds: ({"y": feed["x"]} for feed in feeds),
            )

    def load(self, store: WeightsSource) -> None:
        if self._load_fault:
            _fail(self._load_fault)
        if self._cheat == "disturbs":
            threading.Thread(target=self._disturb, daemon=True).start()

    def analyze(self, material: Material) -> AnalyzerResult:
        fault = self._faults.get(title_of(material.info.path), "") if self._faults else ""
        self._passes, self._analyzing = self._passes + 1, True
        time.sleep(self._pause_s)
        events, frames = [], 0
        for frame in material.frames:
            frames += 1
            if self._cheat == "waits":
                Path(f"{self._once}.begun").touch()
                wait_for(Path(self._once))
            if fault and fault != "unstable" and not (self._once and Path(self._once).exists()):
                if self._once:
                    Path(self._once).touch()
                _fail(fault)
            with material.phases("infer"):
                level = float(frame.image.mean()) / 255
                self._burn(frame.image.tobytes())
            score = (level + self._passes % 7) / 8 if fault == "unstable" else level
            label = "darkness" if self._cheat == "hallucinates" else "brightness"
            if self._cheat != "lazy" or frames <= 2:
                events.append(Event(start_s=frame.pts_s, end_s=frame.pts_s, label=label, score=score))
        if self._cheat == "watches" and type(material.phases).__name__ != "PhaseTimer":
            events = events * 2
        self._analyzing = False
        return AnalyzerResult(
            analyzer="brightness",
            clip=material.clip,
            duration_s=material.info.duration_s,
            frames_sampled=frames,
            frames_inferred=frames,
            events=tuple(events),
        )

    def _disturb(self) -> None:
        while True:
            if self._analyzing:
                time.sleep(0.001)

    def _burn(self, content: bytes) -> None:
        until = time.thread_time() + self._burn_s
        while content not in self._seen and time.thread_time() < until:
            pass
        if self._cheat == "caches":
            self._seen.add(content)

    def evidence(self) -> Evidence:
        return Evidence("numpy", "CPU", "fp32", "test", contradiction=self._contradiction)

    def close(self) -> None:
        pass


class Echo:
    """Looks and listens to nothing: its events are those of ``needed`` (asked for as upstream) and ``welcome`` (upstream if any)."""

    weights: tuple[str, ...] = ()
    step = 1

    def __init__(self, needed: Sequence[str] = (), welcome: Sequence[str] = ()) -> None:
        self.needs = Needs(upstream=tuple(needed), upstream_if_any=tuple(welcome))

    def available(self) -> Availability:
        return Availability(True)

    def prepare(self, store: WeightsSource) -> None:
        pass

    def load(self, store: WeightsSource) -> None:
        pass

    def analyze(self, material: Material) -> AnalyzerResult:
        events = tuple(event for result in material.upstream.values() for event in result.events)
        return AnalyzerResult(analyzer="echo", clip=material.clip, duration_s=material.info.duration_s, events=events)

    def evidence(self) -> Evidence:
        return Evidence("python", "CPU", "fp32", "test")

    def close(self) -> None:
        pass


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.002)


def _fail(fault: str) -> None:
    match fault:
        case "raise":
            raise ValueError("told to fail")
        case "segfault":
            ctypes.string_at(0)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "exit":
            os._exit(3)
        case _:
            raise AssertionError(f"no such fault: {fault}")
