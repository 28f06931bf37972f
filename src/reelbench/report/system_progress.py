"""Progress of a system run: how far each analyzer is, how far the whole is, and how long it still takes.

On a terminal the bar's text names what each analyzer has done; elsewhere one plain line a finished clip, and one with all analyzers
now and then.
"""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TextIO

from reelbench.report.progress import REDRAW_S, Progress

TELL_EVERY_S = 30.0


class SystemProgress(Progress):
    """What `reelbench.system.executor` tells: `update` when a task is started, with the analyzer as ``phase``."""

    def __init__(
        self, stream: TextIO | None = None, *, redraw_s: float = REDRAW_S, tell_every_s: float = TELL_EVERY_S
    ) -> None:
        super().__init__(stream, redraw_s=redraw_s)
        self._started: Counter[str] = Counter()
        self._told = monotonic()
        self._every_s = tell_every_s

    def update(
        self, clip: str, phase: str, done: int, total: int | None = None, seconds_left: float | None = None
    ) -> None:
        self._started[phase] += 1
        super().update(clip, phase, done, total, seconds_left)
        if monotonic() - self._told > self._every_s:
            self._told = monotonic()
            self.message(
                "begun so far: " + ", ".join(f"{name} {count}" for name, count in sorted(self._started.items()))
            )
