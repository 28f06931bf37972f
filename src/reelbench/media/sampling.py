"""Which frames a consumer is given, decided by time stamps alone."""

from __future__ import annotations

from collections.abc import Sequence

from reelbench.media.types import Sampling

TOLERANCE_S = 0.001
"""Containers round time stamps (Matroska to a millisecond): a frame this much early still counts as on time."""

_STEP_S = 0.001
JUMP_S = 1.0
"""A clock that steps back by this much has started anew."""


class Clock:
    """Seconds since the first displayed frame, strictly ascending whatever the container says.

    ``origins_s`` are what `reelbench.media.probing` found: what is subtracted from the container's clock, and what is subtracted
    instead after each time that this clock starts anew (joined transport streams). Without them the first frame is the origin, and
    a clock that starts anew goes on one nominal frame after the last. A frame without a time stamp comes one nominal frame after the
    last; a small step back (broken muxers) becomes a millisecond forward.
    """

    def __init__(self, fps: float, origins_s: Sequence[float] = ()) -> None:
        self._nominal = 1.0 / fps
        self._later = list(origins_s[1:])
        self._origin: float | None = None
        self._last = 0.0

    def tell(self, time_s: float | None) -> float:
        """The time of the next frame in display order; ``time_s`` is the container's, or None."""
        if self._origin is None:
            self._origin = 0.0 if time_s is None else time_s
            return 0.0
        if time_s is None:
            time_s = self._origin + self._last + self._nominal
        now = time_s - self._origin
        if now <= self._last - JUMP_S:
            self._origin = self._later.pop(0) if self._later else time_s - self._last - self._nominal
            now = time_s - self._origin
        self._last = max(now, self._last + _STEP_S)
        return self._last


class Sampler:
    """``wants`` is asked once for every decoded frame, in display order.

    ``rate`` r takes the first frame at or after each instant k/r. A frame that lasts over several of these instants is taken
    once; the next instant lies after it. So the choice depends on time stamps only: leaving out other frames, or a frame rate
    that varies, moves a sample by no more than the gap to the next frame there is. ``every`` n takes decoded frames 0, n, 2n …
    """

    def __init__(self, sampling: Sampling) -> None:
        self._rate = sampling.rate
        self._every = sampling.every
        self._seen = 0
        self._due = 0

    def wants(self, pts_s: float) -> bool:
        seen, self._seen = self._seen, self._seen + 1
        if self._every is not None:
            return seen % self._every == 0
        assert self._rate is not None
        slots = (pts_s + min(TOLERANCE_S, 0.25 / self._rate)) * self._rate
        if slots < self._due:
            return False
        self._due = int(slots) + 1
        return True
