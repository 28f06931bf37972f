"""One pass over the video stream of a file: every displayed frame with its time, decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from reelbench.errors import MediaError
from reelbench.media import source
from reelbench.media.convert import Picture, Scratch
from reelbench.media.geometry import Orientation, orientation_of
from reelbench.media.sampling import Clock
from reelbench.media.types import DecodeOptions, Limits

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_SKIP = {"none": "DEFAULT", "nonref": "NONREF", "bidir": "BIDIR"}
_EARLY_S = 0.5


class Decoder:
    """Iterates over ``(Picture, pts_s)``. Read once, from one thread at a time.

    ``frames`` counts what was decoded, ``busy_s`` is the time spent on it. ``truncated`` is set when the stream broke off after at
    least one frame: the decoder gave an error, the container's index points past the end of the file, or the last frame
    ends half a second or more before the declared end. Raises MediaError where not one frame can be decoded.
    """

    def __init__(self, path: Path, options: DecodeOptions, limits: Limits) -> None:
        self.path = path
        self.frames = 0
        self.busy_s = 0.0
        self.truncated = False
        self._limits = limits
        self._skips = options.skip != "none"
        self._container = source.open_container(path, limits)
        try:
            self._stream = source.video_stream(self._container, path, limits)
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

    def __iter__(self) -> Iterator[tuple[Picture, float]]:
        clock = Clock(source.frame_rate(self._stream))
        orientation, native = Orientation(), (0, 0)
        now = 0.0
        last: VideoFrame | None = None
        scratch: Scratch = {}
        began = perf_counter()
        for frame in self._decoded():
            source.check_pixels(self.path, frame.width, frame.height, self._limits)
            if not self.frames:
                orientation = orientation_of(frame)
                native = orientation.size(frame.width, frame.height)
            self.frames += 1
            now = clock.tell(frame.time)
            last = frame
            source.check_duration(self.path, now, self._limits)
            self.busy_s += perf_counter() - began
            yield Picture(frame, orientation, native, scratch), now
            began = perf_counter()
        self.busy_s += perf_counter() - began
        if last is None:
            raise MediaError(f"{self.path}: not one frame can be decoded")
        length = float(last.duration * last.time_base) if last.duration and last.time_base else 0.0
        self.truncated = self.truncated or self._broke_off(now + length)

    def _decoded(self) -> Iterator[VideoFrame]:
        """Frames in display order. Packets that fail before the first frame are passed over (a clip cut in mid-GOP);
        a failure after it ends the stream and is flagged."""
        import av

        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from self._stream.decode(packet)
                except av.FFmpegError:
                    if self.frames:
                        raise
        except av.FFmpegError:
            self.truncated = self.frames > 0

    def _broke_off(self, end_s: float) -> bool:
        if source.ends_before_index(self._stream, self.path.stat().st_size):
            return True
        declared = source.declared_duration(self._container, self._stream)
        # Only a stream's own length can tell: a container is as long as its longest stream, which may be the sound.
        own = self._stream.duration is not None or "DURATION" in self._stream.metadata
        return own and not self._skips and declared is not None and declared - end_s >= _EARLY_S


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
