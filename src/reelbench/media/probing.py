"""What a clip is, found from its headers and its first frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reelbench.errors import MediaError
from reelbench.media import source
from reelbench.media.decoder import configure
from reelbench.media.geometry import orientation_of
from reelbench.media.types import ClipInfo, DecodeOptions, Limits

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_LOOK_AT = 600
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def probe(path: Path, limits: Limits | None = None) -> ClipInfo:
    """Open ``path`` safely, check it against ``limits`` and decode one frame.

    Raises MediaError, in one line, for what is missing, empty, no video, a playlist, without a frame that can be decoded,
    or over a cap. 'vfr' and 'truncated' are told as far as the container's index (or its first 600 packets) shows them; a file
    that turns out to be cut off only while decoding is flagged by the stream then.
    """
    limits = limits or Limits()
    with source.open_container(path, limits) as container:
        stream = source.video_stream(container, path, limits)
        declared = source.declared_duration(container, stream)
        source.check_duration(path, declared or 0.0, limits)
        configure(stream, DecodeOptions(), limits)
        seen = _look(container, stream)
        if seen.frame is None:
            raise MediaError(f"{path}: not one frame can be decoded")
        source.check_pixels(path, seen.frame.width, seen.frame.height, limits)
        duration = max(declared or 0.0, seen.span_s) or 1.0 / source.frame_rate(stream)
        source.check_duration(path, duration, limits)
        return _describe(path, container, stream, seen, duration)


@dataclass(slots=True)
class _Seen:
    """The first frame, ascending times of frames in seconds, and (from the index or from these times) how long they last
    together and how many a second there are; 0 where that cannot be told."""

    frame: VideoFrame | None = None
    times: list[float] = field(default_factory=list)
    span_s: float = 0.0
    fps: float = 0.0

    def measure(self, first_s: float, last_s: float, count: int) -> None:
        if count > 1 and last_s > first_s:
            self.fps = (count - 1) / (last_s - first_s)
            self.span_s = count / self.fps


def _look(container: InputContainer, stream: VideoStream) -> _Seen:
    """Decode the first frame, and gather time stamps from the index where it lists every frame, else from packets."""
    import av

    seen = _Seen()
    tick = float(stream.time_base or 0)
    index = stream.index_entries
    complete = len(index) > 1 and len(index) >= stream.frames > 0
    if complete:
        seen.times = [entry.timestamp * tick for entry in index[:_LOOK_AT]]
        seen.measure(seen.times[0], index[len(index) - 1].timestamp * tick, len(index))
    failures = packets = 0
    try:
        for packet in container.demux(stream):
            packets += 1
            if not complete and packet.pts is not None:
                seen.times.append(packet.pts * tick)
            try:
                if seen.frame is None:
                    seen.frame = next(iter(stream.decode(packet)), None)
            except av.FFmpegError:
                failures += 1
            enough = complete or packets >= _LOOK_AT
            if (enough and seen.frame is not None) or failures > _LOOK_AT:
                break
    except av.FFmpegError:
        pass  # Broken off while reading: what was seen so far decides.
    if not complete and seen.times:
        seen.times.sort()
        seen.measure(seen.times[0], seen.times[-1], len(seen.times))
    return seen


def _describe(path: Path, container: InputContainer, stream: VideoStream, seen: _Seen, duration: float) -> ClipInfo:
    frame = seen.frame
    assert frame is not None
    size = path.stat().st_size
    orientation = orientation_of(frame)
    width, height = orientation.size(frame.width, frame.height)
    sound = next(iter(container.streams.audio), None)
    transfer = frame.color_trc or stream.codec_context.color_trc
    flags = {
        "10bit": max(component.bits for component in frame.format.components) > 8,
        "hdr": transfer in _HDR_TRANSFERS,
        "vfr": _varies(seen.times),
        "rotated": orientation.rotation != 0,
        "odd_size": bool(width % 2 or height % 2),
        "truncated": source.ends_before_index(stream, size),
        "interlaced": bool(frame.interlaced_frame),
    }
    aspect = stream.sample_aspect_ratio
    details: dict[str, Any] = {
        "container": container.format.name,
        "streams": len(container.streams),
        "frames": stream.frames or None,
        "transfer": _HDR_TRANSFERS.get(transfer),
        "mirrored": orientation.mirrored or None,
        "sample_aspect_ratio": f"{aspect.numerator}:{aspect.denominator}" if aspect and aspect != 1 else None,
    }
    return ClipInfo(
        path=path,
        width=width,
        height=height,
        duration_s=duration,
        fps=_rate(seen, stream),
        codec=stream.codec_context.name,
        pixel_format=frame.format.name,
        rotation=orientation.rotation,
        has_audio=sound is not None,
        audio_rate=sound.codec_context.sample_rate if sound is not None and sound.codec_context else None,
        bytes=size,
        flags=tuple(name for name, holds in flags.items() if holds),
        details={name: value for name, value in details.items() if value is not None},
    )


def _rate(seen: _Seen, stream: VideoStream) -> float:
    """Frames a second: what the header says where the time stamps bear it out to 2 %, else what they say."""
    declared = source.frame_rate(stream)
    return declared if not seen.fps or abs(declared / seen.fps - 1) < 0.02 else seen.fps


def _varies(times: list[float]) -> bool:
    """Whether the gaps between frames differ by more than a quarter (and more than a container's rounding)."""
    gaps = [b - a for a, b in pairwise(times)]
    if len(gaps) < 2:
        return False
    usual = median(gaps)
    return any(abs(gap - usual) > max(0.25 * usual, 0.0015) for gap in gaps)
