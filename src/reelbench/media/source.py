"""Opening a video file that nobody vouches for.

FFmpeg is told to read nothing but this one local file, as one of the container formats that hold video: a playlist that is named
like a video is refused before a byte of what it points to is read. Caps on streams and pixels hold before anything is decoded.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.errors import MediaError
from reelbench.media.types import Limits

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

ENDINGS = {
    "mov,mp4,m4a,3gp,3g2,mj2": (".3g2", ".3gp", ".m4v", ".mj2", ".mov", ".mp4"),
    "matroska,webm": (".mkv", ".webm"),
    "avi": (".avi",),
    "mpegts": (".m2ts", ".mts", ".ts"),
    "mpeg": (".mpeg", ".mpg"),
    "flv": (".flv",),
    "asf": (".asf", ".wmv"),
    "ogg": (".ogv",),
}
"""The formats that may be opened, by FFmpeg's names, each with the endings by which its files are known (`reelbench.corpus.folder`)."""
FORMATS = ",".join(ENDINGS)
_SAFE = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"[playlist]")
_CLEAR_S = 0.05
_HINT = f"ReelBench reads {FORMATS}"


def open_container(path: Path, limits: Limits, **options: str) -> InputContainer:
    """Open ``path`` for reading with the caps of ``limits`` on streams, and further ``options`` of FFmpeg's demuxer.

    Raises MediaError; the caller closes."""
    import av

    head = _check_file(path)
    # MP4 without its index was cut off: it is told apart from what never was a video.
    what = (
        "cut off before its index, so nothing of it can be read"
        if head[4:8] == b"ftyp"
        else "not a video that can be read"
    )
    with av_errors(path, what):
        # An absolute path after 'file:' can never be taken for another protocol, whatever the file is called.
        container = av.open(f"file:{path.resolve()}", "r", options=options | _SAFE, metadata_errors="replace")
    if len(container.streams) > limits.max_streams:
        found = len(container.streams)
        container.close()
        raise MediaError(
            f"{path}: {found} streams, more than the limit of {limits.max_streams}", "media.limits.max_streams"
        )
    return container


def check_pixels(path: Path, width: int, height: int, limits: Limits) -> None:
    """Raise MediaError where a frame is larger than ``limits`` allows."""
    if width * height > limits.max_pixels:
        raise MediaError(
            f"{path}: frames of {width}x{height} are over the limit of {limits.max_pixels} pixels",
            "media.limits.max_pixels",
        )


def check_duration(path: Path, seconds: float, limits: Limits, what: str = "lasts") -> None:
    """Raise MediaError where a clip lasts longer than ``limits`` allows."""
    if seconds > limits.max_duration_s:
        raise MediaError(
            f"{path}: {what} {seconds:.0f} s, over the limit of {limits.max_duration_s:.0f} s",
            "media.limits.max_duration_s",
        )


def check_frames(path: Path, count: int, limits: Limits) -> None:
    """Raise MediaError where a clip has more frames than ``limits`` allows."""
    if count > limits.max_frames:
        raise MediaError(f"{path}: more than the limit of {limits.max_frames} frames", "media.limits.max_frames")


def check_frame_rate(path: Path, fps: float, limits: Limits) -> None:
    """Raise MediaError where a clip has more frames a second than ``limits`` allows."""
    if fps > limits.max_fps:
        raise MediaError(
            f"{path}: {fps:.0f} frames a second, over the limit of {limits.max_fps:g}", "media.limits.max_fps"
        )


def declared_end(container: InputContainer, stream: VideoStream) -> float | None:
    """When the headers say that the video ends, in seconds by the container's clock; None where they do not say, or cannot know.

    A transport stream has no header: FFmpeg guesses from its last time stamps, which is wrong where streams were joined. The length of
    a whole container is that of its longest stream, which may be the sound.
    """
    tick, start = stream.time_base, stream.start_time or 0
    if container.format.name == "mpegts" or not tick:
        return None
    if stream.duration and stream.duration > 0:
        return float((start + stream.duration) * tick)
    tagged = _clock(stream.metadata.get("DURATION", ""))
    # Some programs write the end into this tag and some the length: it is clear only where both are the same.
    return tagged if tagged and abs(start * tick) < _CLEAR_S else None


def ends_before_index(stream: VideoStream, size: int) -> bool:
    """Whether the container's index points past the end of the file: the file was cut off."""
    index = stream.index_entries
    if not len(index):
        return False
    last = index[len(index) - 1]
    return bool(last.pos + last.size > size)


def frame_rate(stream: VideoStream) -> float:
    """Average frames a second by the headers; 30 where they say nothing usable."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= 1000:
            return float(Fraction(rate))
    return 30.0


@contextmanager
def av_errors(path: Path, what: str) -> Iterator[None]:
    """Turn what FFmpeg raises into one line that names the file."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(f"{path}: {what} ({error.strerror})", _HINT) from error


def _check_file(path: Path) -> bytes:
    """Refuse what is no regular file, is empty, or is a playlist; else the first kilobyte."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise MediaError(f"{path}: not a file")
        if found.st_size == 0:
            raise MediaError(f"{path}: an empty file (zero bytes)")
        with path.open("rb") as opened:
            head = opened.read(1024)
    except FileNotFoundError:
        raise MediaError(f"{path}: no such file") from None
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror})") from error
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(_PLAYLISTS) or (text.startswith(b"<?xml") and b"<MPD" in text):
        raise MediaError(f"{path}: a playlist that is named like a video; nothing that it points to was opened", _HINT)
    return head


def _clock(text: str) -> float | None:
    """Seconds of '00:01:02.500000000', as Matroska writes them."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
