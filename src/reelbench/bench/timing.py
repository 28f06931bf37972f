"""Measure how the time of one pass is spent, on the analyzer's own thread."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from reelbench.media.types import Frame

_ANALYZER_PHASES = frozenset({"preprocess", "infer", "postprocess"})


class PhaseTimer:
    """The `reelbench.analyzers.base.Phases` of a measured pass: adds up the spans of each phase, in seconds.

    One span object is used again and again, since spans do not nest: entering and leaving one costs well under a microsecond.
    """

    def __init__(self) -> None:
        self.seconds = {"preprocess": 0.0, "infer": 0.0, "postprocess": 0.0}
        self._phase = ""
        self._since = 0.0

    def __call__(self, phase: str, items: int = 1) -> PhaseTimer:
        if phase not in _ANALYZER_PHASES:
            raise ValueError(f"no phase {phase!r}; there are {', '.join(sorted(_ANALYZER_PHASES))}")
        if self._phase:
            raise RuntimeError(f"phase {phase!r} begins inside of {self._phase!r}: spans must not nest")
        self._phase = phase
        return self

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *_: Any) -> None:
        self.seconds[self._phase] += perf_counter() - self._since
        self._phase = ""


class TimedFrames:
    """Passes frames through and notes how long each was waited for and when it was asked for.

    A frame may be asked for while a phase is open (an analyzer that pulls frames from within its asynchronous inference): the wait
    is then taken out of that phase, so that the phases still add up.
    """

    def __init__(self, frames: Iterator[Frame], phases: PhaseTimer) -> None:
        self._frames = frames
        self._phases = phases
        self.waited_s = 0.0
        self.asked: list[float] = []
        self.pts_s: list[float] = []

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        asked = perf_counter()
        self.asked.append(asked)
        try:
            frame = next(self._frames)
            self.pts_s.append(frame.pts_s)
            return frame
        finally:
            waited = perf_counter() - asked
            self.waited_s += waited
            if self._phases._phase:
                self._phases.seconds[self._phases._phase] -= waited

    def step_seconds(self, ended: float, step: int) -> list[float]:
        """For each frame: seconds from asking for it to asking for the next, averaged over the ``step`` frames that go together."""
        marks = [*self.asked[: len(self.pts_s)], ended]
        result: list[float] = []
        for first in range(0, len(self.pts_s), step):
            last = min(first + step, len(self.pts_s))
            result.extend([(marks[last] - marks[first]) / (last - first)] * (last - first))
        return result
