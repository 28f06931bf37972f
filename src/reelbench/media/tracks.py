"""Which picture and which sound of a file are measured, and what cannot be read of either."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.errors import MediaError
from reelbench.media.source import check_pixels
from reelbench.media.types import Limits

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

ENCRYPTED = "encrypted; it can only be measured after it was decrypted with its key"


def video_stream(container: InputContainer, path: Path, limits: Limits) -> VideoStream:
    """The moving picture that FFmpeg would choose: no cover image, marked or not, as long as there is anything else.

    Raises MediaError where there is none, or where it is encrypted or too big.
    """
    import av

    moving = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        kind = "audio only, " if container.streams.audio else ""
        raise MediaError(f"{path}: {kind}no video stream")
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise MediaError(f"{path}: its video codec is not known to FFmpeg here")
    several = [stream for stream in known if not _still(stream)]
    candidates = several or known
    best = container.streams.best("video")
    chosen = next((stream for stream in candidates if best is not None and stream.index == best.index), candidates[0])
    _check_readable(chosen, path, "it is")
    check_pixels(path, chosen.codec_context.width, chosen.codec_context.height, limits)
    return chosen


def _still(stream: VideoStream) -> bool:
    """Whether the headers show that it is a single picture: a cover image that nobody marked as one."""
    if stream.frames:
        return stream.frames == 1
    return stream.codec_context.name in ("mjpeg", "png", "bmp", "gif", "webp", "tiff")


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The sound that a player would play: the default track, but neither commentary nor an audio description while there is
    another. What FFmpeg has no decoder for is taken only where there is nothing else. None: no sound at all."""
    import av

    kinds = av.stream.Disposition
    special = kinds.comment | kinds.visual_impaired | kinds.descriptions | kinds.karaoke | kinds.clean_effects

    def rank(stream: AudioStream) -> tuple[bool, bool, bool, int]:
        found = stream.disposition
        return stream.codec_context is None, bool(found & special), not found & kinds.default, stream.index

    return min(container.streams.audio, key=rank, default=None)


def track_name(container: InputContainer, stream: AudioStream) -> str:
    """'2 of 3 (aac, eng, default)': what is written into the record."""
    import av

    position = [one.index for one in container.streams.audio].index(stream.index) + 1
    codec = stream.codec_context.name if stream.codec_context is not None else "a codec that FFmpeg does not know here"
    language = stream.metadata.get("language", "und")
    marks = [kind.name for kind in av.stream.Disposition if kind & stream.disposition and kind.name]
    said = [codec, *([language] if language != "und" else []), *marks]
    return f"{position} of {len(container.streams.audio)} ({', '.join(said)})"


def check_audible(stream: AudioStream, path: Path) -> None:
    """Raise MediaError where the sound must not be decoded: no decoder, encrypted, or a channel layout that PyAV would crash on."""
    if stream.codec_context is None:
        raise MediaError(f"{path}: no audio stream that can be decoded")
    _check_readable(stream, path, "its sound is")
    if layout := _custom_layout(stream):
        raise MediaError(
            f"{path}: its sound has a channel layout of its own ({layout}), which PyAV cannot read safely",
            "give it a standard layout: ffmpeg -i CLIP -c:v copy -ac 2 NEW",
        )


def check_packet(packet: Packet[Any], path: Path) -> None:
    """Raise MediaError where ``packet`` is encrypted: decoded as it is, it would give noise."""
    if packet.has_sidedata("encryption_info"):
        raise MediaError(f"{path}: it is {ENCRYPTED}")


def _check_readable(stream: VideoStream | AudioStream, path: Path, what: str) -> None:
    if stream.codec_context.codec_tag in ("encv", "enca") or "enc_key_id" in stream.metadata:
        raise MediaError(f"{path}: {what} {ENCRYPTED}")


def _custom_layout(stream: AudioStream) -> str:
    """FFmpeg's description of a layout that has a channel map of its own ('8 channels (FL+FR+…)'); empty for all others."""
    layout: Any = stream.codec_context.layout
    # PyAV copies the pointer to the channel map and frees the map again with each copy. A copy that is never freed (some bytes
    # for each file that is opened) does no harm, and it is the only way to see such a layout.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    name: str = layout.name
    return name if " channels (" in name or name.startswith("ambisonic") else ""
