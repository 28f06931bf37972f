"""What a consumer of frames asks for, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
else:
    Image = Any  # Settings are read with these types, and numpy would make every --help wait for it.

Colour = Literal["rgb", "bgr", "gray"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames: ``every`` n-th decoded frame, or ``rate`` frames a second by presentation time (exactly one of both)."""

    rate: Annotated[float, Gt(0)] | None = None
    every: Annotated[int, Ge(1)] | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.every is None):
            raise ValueError("sampling takes either rate (frames a second) or every (n-th frame)")
        if (self.rate is not None and self.rate <= 0) or (self.every is not None and self.every < 1):
            raise ValueError("sampling wants a positive number")


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Frames as one consumer wants them. ``size`` is (width, height) to stretch to; None: as displayed."""

    sampling: Sampling
    size: tuple[int, int] | None = None
    colour: Colour = "rgb"


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """Mono audio, float32 in -1…1, at ``rate`` Hz."""

    rate: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: ``image`` is H×W×3 (or H×W for gray) uint8, contiguous; the consumer must not write to it.

    ``pts_s`` counts seconds from the clip's first frame; ``index`` counts the frames that this consumer was given.
    """

    image: Image
    pts_s: float
    index: int


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode. ``skip`` 'nonref' or 'bidir' leaves out frames that no other frame needs: fewer frames exist then, so it
    is recorded with the run. ``threads`` 0 lets FFmpeg choose. ``prefetch`` 0 decodes in the consumer's own thread; n > 0 decodes
    ahead in a second thread, at most n frames (a fan-out converts in a third). ``deblock`` False leaves out H.264's in-loop
    filter (faster, blockier)."""

    threads: Annotated[int, Ge(0)] = 1
    skip: Literal["none", "nonref", "bidir"] = "none"
    deblock: bool = True
    prefetch: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what is opened; beyond them a clip is refused before it is decoded."""

    max_pixels: Annotated[int, Ge(1)] = 4096 * 4096
    max_duration_s: Annotated[float, Gt(0)] = 3600.0
    max_streams: Annotated[int, Ge(1)] = 16
    max_frames: Annotated[int, Ge(1)] = 500_000
    max_fps: Annotated[float, Gt(0)] = 480.0


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What probing found. ``width`` and ``height`` are as displayed (rotation applied), in pixels; ``fps`` is the average rate.

    ``flags`` names what deserves to be known: 'hdr', '10bit', 'vfr', 'rotated', 'odd_size', 'truncated', 'interlaced'.
    ``duration_s`` ends with the last frame that is shown; where only decoding can tell when that is, the first full decode corrects it.
    """

    path: Path
    width: int
    height: int
    duration_s: float
    fps: float
    codec: str
    pixel_format: str
    rotation: int = 0
    has_audio: bool = False
    audio_rate: int | None = None
    bytes: int = 0
    flags: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def origins_s(self) -> tuple[float, ...]:
        """The container's time of the first frame that is shown, which is second 0 of picture and sound alike; and after it, what is
        subtracted instead after each time that the container's clock starts anew."""
        return tuple(self.details.get("origins_s", ()))
