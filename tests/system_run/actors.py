"""A small analyzer for tests of the system run: it sees how bright, hears how loud, counts upstream, and fails as it is told."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reelbench.analyzers.base import Material, Needs, WeightsSource
from reelbench.engines.base import Availability, Evidence
from reelbench.media.types import AudioRequest, FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event


class Actor:
    """``faults``: how long a clip lasts, as `lasting` writes it (an actor knows no names) → 'raise', 'segfault', 'hang',
    'eat', 'schema', 'other clip' or 'killed'; with ``once`` a fault happens only until that file exists. ``size`` 0 asks
    for no frames, ``rate`` 0 for no sound; ``tells_cores``: on how many it was loaded, and runs."""

    step = 1

    def __init__(
        self,
        called: str,
        size: int = 32,
        rate: int = 0,
        waits_for: Sequence[str] = (),
        likes: Sequence[str] = (),
        faults: Mapping[str, str] | None = None,
        once: str = "",
        reason: str = "",
        load_fault: bool = False,
        sleep_s: float = 0.0,
        tells_cores: bool = False,
        weights: Sequence[str] = (),
    ) -> None:
        frames = FrameRequest(Sampling(every=2), size=(size, size), colour="gray") if size else None
        self.needs = Needs(frames, AudioRequest(rate) if rate else None, tuple(waits_for), tuple(likes))
        self._name, self._faults, self._once = called, dict(faults or {}), once
        self._reason, self._load_fault, self._sleep_s = reason, load_fault, sleep_s
        self._tells_cores, self._loaded_on = tells_cores, 0
        self.weights = tuple(weights)

    def available(self) -> Availability:
        return Availability(not self._reason, self._reason, "pip install it" if self._reason else "")

    def prepare(self, store: WeightsSource) -> None:
        pass

    def load(self, store: WeightsSource) -> None:
        if self._load_fault:
            raise ValueError("cannot be loaded")
        self._loaded_on = len(os.sched_getaffinity(0))

    def analyze(self, material: Material) -> Any:
        fault = self._faults.get(lasting(material.info.duration_s), "")
        if fault and not (self._once and Path(self._once).exists()):
            if self._once:
                Path(self._once).touch()
            if fault == "schema":
                return {"events": []}
            _fail(fault)
        time.sleep(self._sleep_s)
        levels = [(frame.pts_s, float(frame.image.mean()) / 255) for frame in material.frames]
        heard = 0.0 if material.audio is None else float(abs(material.audio).mean())
        given = {name: len(result.events) for name, result in sorted(material.upstream.items())}
        cores = {"loaded_on": self._loaded_on, "runs_on": len(os.sched_getaffinity(0))} if self._tells_cores else {}
        whole = Event(start_s=0.0, end_s=1.0, label="clip", score=heard, attributes={"upstream": given, **cores})
        seen = [Event(start_s=at, end_s=at, label="seen", score=level) for at, level in levels]
        return AnalyzerResult(
            analyzer=self._name,
            clip="another" if fault == "other clip" else material.clip,
            duration_s=material.info.duration_s,
            frames_sampled=len(levels),
            events=(whole, *seen),
        )

    def evidence(self) -> Evidence:
        return Evidence("numpy", "CPU", "fp32", "test")

    def close(self) -> None:
        pass


def lasting(duration_s: float) -> str:
    return f"{duration_s:.2f} s"


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
        case "eat":
            eaten = []
            while True:
                eaten.append(bytearray(os.urandom(1 << 20) * 16))
                time.sleep(0.01)
