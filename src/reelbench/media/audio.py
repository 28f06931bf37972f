"""The sound of a clip as one mono array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import MediaError
from reelbench.media import source
from reelbench.media.types import AudioRequest, Limits

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_WORTH_MOVING_S = 0.001
_FULL_SCALE = 2.0**31
_AT_ONCE = 16384
"""Samples that the resampler collects before it hands them on: each piece costs as much as the arithmetic on a thousand samples."""


def read_audio(path: Path, request: AudioRequest, limits: Limits | None = None) -> NDArray[np.float32]:
    """All of the first audio stream: mono (channels mixed by FFmpeg's rules), float32 in -1…1, ``request.rate`` Hz.

    Sample 0 sounds when the first video frame is shown: sound that starts later is preceded by silence, what comes before
    is cut. A stream that breaks off gives what there is. Raises MediaError where there is no audio, nothing of it can be decoded, or
    it lasts longer than ``limits`` allows.
    """
    limits = limits or Limits()
    with source.open_container(path, limits) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        if stream is None:
            raise MediaError(f"{path}: no audio stream that can be decoded")
        pieces, began_s = _decode(path, container, stream, request.rate, limits)
        video = next(iter(container.streams.video), None)
        shown_s = float(video.start_time * video.time_base) if video and video.start_time and video.time_base else 0.0
    sound = np.concatenate(pieces, axis=1, dtype=np.float32, casting="unsafe")[0]
    sound *= np.float32(1 / _FULL_SCALE)
    return _shifted(sound, round((began_s - shown_s) * request.rate), began_s - shown_s)


def _decode(
    path: Path, container: InputContainer, stream: AudioStream, rate: int, limits: Limits
) -> tuple[list[NDArray[np.int32]], float]:
    """The resampled pieces (1×n, 32 bits), and when the first of them sounds by the container's clock."""
    import av

    # Integer samples make FFmpeg scale its downmix so that it cannot leave -1…1; floating point ones would not.
    resampler = av.AudioResampler(format="s32", layout="mono", rate=rate, frame_size=_AT_ONCE)
    most = int(limits.max_duration_s * rate)
    pieces: list[NDArray[np.int32]] = []
    began_s: float | None = None
    total = 0

    def keep(frames: list[AudioFrame]) -> None:
        nonlocal total
        for frame in frames:
            pieces.append(frame.to_ndarray().view(np.int32))
            total += frame.samples
        if total > most:
            source.check_duration(path, total / rate, limits)

    try:
        for frame in container.decode(stream):
            if began_s is None:
                began_s = frame.time if frame.pts is not None else 0.0
            keep(resampler.resample(frame))
        keep(resampler.resample(None))
    except av.FFmpegError as error:
        if not pieces:
            raise MediaError(f"{path}: its audio cannot be decoded ({error.strerror})") from error
    if not pieces:
        raise MediaError(f"{path}: its audio stream holds no sound")
    return pieces, began_s or 0.0


def _shifted(sound: NDArray[np.float32], samples: int, seconds: float) -> NDArray[np.float32]:
    """Silence before ``sound`` (samples > 0), or its beginning cut off. Encoder rounding is left alone."""
    if abs(seconds) < _WORTH_MOVING_S:
        return sound
    if samples > 0:
        return np.concatenate([np.zeros(samples, np.float32), sound])
    return sound[-samples:]
