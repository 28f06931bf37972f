"""Windows of a clip: what a vision-language network is shown at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from reelbench.media.types import Frame


@dataclass(frozen=True, slots=True)
class Windows:
    """How a clip is cut: ``frames`` of each ``seconds``. Clips of more than ``long_s`` seconds are cut with ``overlap_s`` in common, so
    that what happens at a border is seen whole once. Raises ValueError for what makes no sense."""

    seconds: float = 2.0
    frames: int = 16
    overlap_s: float = 0.5
    long_s: NonNegativeFloat = 60.0

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.frames < 1:
            raise ValueError("a window wants a length above 0 and at least one frame")
        if not 0 <= self.overlap_s < self.seconds:
            raise ValueError(f"overlap_s must lie in 0…{self.seconds:g} (excluded), not at {self.overlap_s:g}")

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds

    def stride_s(self, duration_s: float) -> float:
        """From the start of one window to that of the next, in a clip of this length."""
        return self.seconds - self.overlap_s if duration_s > self.long_s else self.seconds


@dataclass(frozen=True, slots=True)
class Window:
    """``video`` is T×H×W×3, always with T = `Windows.frames`. ``start_s`` is its first frame's time, ``end_s`` the end of its span;
    ``indices`` are those of the different frames in it."""

    start_s: float
    end_s: float
    video: NDArray[np.uint8]
    indices: tuple[int, ...]


def cut(frames: Iterable[Frame], layout: Windows, duration_s: float) -> Iterator[Window]:
    """Windows in order, each as soon as its last frame is there; only the frames of one are held. One without a frame is left out."""
    stride = layout.stride_s(duration_s)
    held: list[Frame] = []
    at = 0
    seen_until = -1.0
    for frame in frames:
        while frame.pts_s >= at * stride + layout.seconds:
            if held and held[-1].pts_s > seen_until:
                yield _window(held, at * stride, layout)
                seen_until = held[-1].pts_s
            at += 1
            held = [one for one in held if one.pts_s >= at * stride]
            if not held:  # a gap: go to where the clip goes on
                at = max(at, int((frame.pts_s - layout.seconds) // stride) + 1)
        if frame.pts_s >= at * stride:
            held.append(frame)
    if held and held[-1].pts_s > seen_until:
        yield _window(held, at * stride, layout)


def _window(held: list[Frame], start_s: float, layout: Windows) -> Window:
    """At each of the window's instants the frame that is shown then: a window has the same shape whatever the clip's rate."""
    times = [frame.pts_s for frame in held]
    step = layout.seconds / layout.frames
    # Half a step later: a frame that comes a little late still counts for its instant.
    instants = (start_s + (number + 0.5) * step for number in range(layout.frames))
    picked = [held[max(bisect_right(times, instant) - 1, 0)] for instant in instants]
    return Window(
        start_s=times[0],
        end_s=start_s + layout.seconds,
        video=np.stack([frame.image for frame in picked]),
        indices=tuple(dict.fromkeys(frame.index for frame in picked)),
    )
