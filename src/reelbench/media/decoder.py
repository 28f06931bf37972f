"""One pass over the video stream of a file: every displayed frame with its time, decoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from reelbench.errors import MediaError
from reelbench.media import source, tracks
from reelbench.media.convert import Picture, Scratch
from reelbench.media.geometry import Orientation, orientation_of
from reelbench.media.packets import Damage, decoded
from reelbench.media.sampling import Clock
from reelbench.media.types import DecodeOptions, Limits

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_SKIP = {"none": "DEFAULT", "nonref": "NONREF", "bidir": "BIDIR"}
_EARLY_S = 0.5


class Decoder:
    """Iterates over ``(Picture, pts_s)``. Read once, from one thread at a time. ``origins_s``: `ClipInfo.origins_s` of the clip.

    ``frames`` counts what was decoded, ``busy_s`` is the time spent on it, ``damage`` tells of the packets that could not be decoded
    and were left out. ``end_s`` is when the last frame ends (0 before the first). ``truncated`` is set when the stream broke off after
    at least one frame: reading failed, too much was damaged, the container's index points past the end of the file, or the last frame
    ends half a second or more before the declared end. Raises MediaError where not one frame can be decoded.
    """

    def __init__(self, path: Path, options: DecodeOptions, limits: Limits, origins_s: Sequence[float] = ()) -> None:
        self.path = path
        self.frames = 0
        self.busy_s = 0.0
        self.end_s = 0.0
        self.truncated = False
        self._damage = Damage()
        self._limits = limits
        self._skips = options.skip != "none"
        self._origins_s = origins_s
        self._first_s = 0.0
        self._container = source.open_container(path, limits)
        try:
            self._stream = tracks.video_stream(self._container, path, limits)
            configure(self._stream, options, limits)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        self._container.close()

    @property
    def damage(self) -> dict[str, Any]:
        """``packets`` that could not be decoded and ``at_s``, where the first of them are; empty where there are none."""
        return self._damage.facts(self._first_s)

    def __iter__(self) -> Iterator[tuple[Picture, float]]:
        rate = source.frame_rate(self._stream)
        clock, limits = Clock(rate, self._origins_s), self._limits
        orientation, native = Orientation(), (0, 0)
        in_order, tick = self._container.format.name == "avi", self._stream.time_base
        now, gap = 0.0, 1.0 / rate
        last: VideoFrame | None = None
        scratch: Scratch = {}
        began = perf_counter()
        for frame in decoded(self.path, self._container, self._stream, self._damage):
            source.check_pixels(self.path, frame.width, frame.height, limits)
            # AVI has no presentation times; FFmpeg's guess may go back and forth, the order of decoding does not.
            time_s = frame.time
            if in_order and tick:
                time_s = float(frame.dts * tick) if frame.dts is not None else self._first_s + now + gap
            if not self.frames:
                orientation = orientation_of(frame)
                native = orientation.size(frame.width, frame.height)
                self._first_s = time_s or 0.0
            self.frames += 1
            now, before = clock.tell(time_s), now
            gap = now - before or gap
            last = frame
            source.check_duration(self.path, now, limits)
            source.check_frames(self.path, self.frames, limits)
            self.busy_s += perf_counter() - began
            yield Picture(frame, orientation, native, scratch), now
            began = perf_counter()
        self.busy_s += perf_counter() - began
        if last is None:
            raise MediaError(f"{self.path}: not one frame can be decoded")
        length = float(last.duration * last.time_base) if last.duration and last.time_base else 0.0
        self.end_s = now + (length if length and not in_order else gap)
        self.truncated = self._damage.gave_up or self._broke_off()

    def _broke_off(self) -> bool:
        if source.ends_before_index(self._stream, self.path.stat().st_size):
            return True
        declared = source.declared_end(self._container, self._stream)
        return not self._skips and declared is not None and declared - self._first_s - self.end_s >= _EARLY_S


def configure(stream: VideoStream, options: DecodeOptions, limits: Limits) -> None:
    """Set up the codec of ``stream`` before its first packet."""
    codec = stream.codec_context
    codec.thread_count = options.threads
    if options.threads != 1:
        codec.thread_type = "AUTO"
    codec.skip_frame = _SKIP[options.skip]  # type: ignore[assignment]
    settings = {"max_pixels": str(limits.max_pixels)}
    if not options.deblock:
        settings["skip_loop_filter"] = "all"
    codec.options = settings
