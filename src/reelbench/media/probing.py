"""What a clip is, found from its headers and its first frame."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reelbench.errors import MediaError
from reelbench.media import source, tracks
from reelbench.media.decoder import configure
from reelbench.media.extent import Extent, find_extent
from reelbench.media.geometry import orientation_of
from reelbench.media.types import ClipInfo, DecodeOptions, Limits

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def probe(path: Path, limits: Limits | None = None) -> ClipInfo:
    """Open ``path`` safely, check it against ``limits`` and decode one frame.

    Raises MediaError, in one line, for what is missing, empty, no video, a playlist, encrypted, without a frame that can be decoded,
    or over a cap. 'vfr' and 'truncated' are told as far as the container's index (or its first 600 packets) shows them; a file
    that turns out to be cut off only while decoding is flagged by the stream then.
    """
    limits = limits or Limits()
    with source.open_container(path, limits) as container:
        stream = tracks.video_stream(container, path, limits)
        configure(stream, DecodeOptions(), limits)
        extent = find_extent(container, stream, path, limits)
        if extent.frame is None:
            raise MediaError(f"{path}: not one frame can be decoded")
        source.check_pixels(path, extent.frame.width, extent.frame.height, limits)
        duration = extent.end_s if extent.end_s > 0 else 1.0 / source.frame_rate(stream)
        source.check_duration(path, duration, limits)
        source.check_frame_rate(path, _rate(extent, stream), limits)
        source.check_frames(path, stream.frames, limits)
        return _describe(path, container, stream, extent, duration)


def _describe(path: Path, container: InputContainer, stream: VideoStream, extent: Extent, duration: float) -> ClipInfo:
    frame = extent.frame
    assert frame is not None
    size = path.stat().st_size
    orientation = orientation_of(frame)
    width, height = orientation.size(frame.width, frame.height)
    sound = tracks.audio_stream(container)
    transfer = frame.color_trc or stream.codec_context.color_trc
    flags = {
        "10bit": max(component.bits for component in frame.format.components) > 8,
        "hdr": transfer in _HDR_TRANSFERS,
        "vfr": _varies(extent.times_s),
        "rotated": orientation.rotation != 0,
        "odd_size": bool(width % 2 or height % 2),
        "truncated": source.ends_before_index(stream, size),
        "interlaced": bool(frame.interlaced_frame),
    }
    aspect, moving = stream.sample_aspect_ratio, container.streams.video
    details: dict[str, Any] = {
        "container": container.format.name,
        "streams": len(container.streams),
        "frames": stream.frames or None,
        "transfer": _HDR_TRANSFERS.get(transfer),
        "mirrored": orientation.mirrored or None,
        "origins_s": extent.origins_s,
        "picture_track": f"{moving.index(stream) + 1} of {len(moving)}" if len(moving) > 1 else None,
        "sound_track": tracks.track_name(container, sound) if sound is not None else None,
        "sample_aspect_ratio": f"{aspect.numerator}:{aspect.denominator}" if aspect and aspect != 1 else None,
    }
    return ClipInfo(
        path=path,
        width=width,
        height=height,
        duration_s=duration,
        fps=_rate(extent, stream),
        codec=stream.codec_context.name,
        pixel_format=frame.format.name,
        rotation=orientation.rotation,
        has_audio=sound is not None,
        audio_rate=sound.codec_context.sample_rate if sound is not None and sound.codec_context else None,
        bytes=size,
        flags=tuple(name for name, holds in flags.items() if holds),
        details={name: value for name, value in details.items() if value is not None},
    )


def _rate(extent: Extent, stream: VideoStream) -> float:
    """Frames a second: what the header says where the time stamps bear it out to 2 %, else what they say."""
    declared = source.frame_rate(stream)
    return declared if not extent.fps or abs(declared / extent.fps - 1) < 0.02 else extent.fps


def _varies(times: list[float]) -> bool:
    """Whether the gaps between frames differ by more than a quarter (and more than a container's rounding)."""
    gaps = [b - a for a, b in pairwise(times)]
    if len(gaps) < 2:
        return False
    usual = median(gaps)
    return any(abs(gap - usual) > max(0.25 * usual, 0.0015) for gap in gaps)
