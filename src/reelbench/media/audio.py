"""The sound of a clip, mono."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import MediaError
from reelbench.media import source
from reelbench.media.types import AudioRequest, Limits

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_WORTH_MOVING_S = 0.001
_FULL_SCALE = 2.0**31
_AT_ONCE = 16384
"""Samples that the resampler collects before it hands them on: each piece costs as much as the arithmetic on a thousand samples."""


def read_audio(path: Path, request: AudioRequest, limits: Limits | None = None) -> NDArray[np.float32]:
    """All of `audio_pieces` as one array."""
    return np.concatenate(list(audio_pieces(path, request, limits)))


def audio_pieces(path: Path, request: AudioRequest, limits: Limits | None = None) -> Iterator[NDArray[np.float32]]:
    """All of the first audio stream, some seconds after the other: mono (channels mixed by FFmpeg's rules), float32 in -1…1,
    ``request.rate`` Hz.

    Sample 0 sounds when the first video frame is shown: sound that starts later is preceded by silence, what comes before
    is cut. A stream that breaks off gives what there is. Raises MediaError where there is no audio, nothing of it can be decoded, or
    it lasts longer than ``limits`` allows.
    """
    limits = limits or Limits()
    with source.open_container(path, limits) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        if stream is None:
            raise MediaError(f"{path}: no audio stream that can be decoded")
        video = next(iter(container.streams.video), None)
        shown_s = float(video.start_time * video.time_base) if video and video.start_time and video.time_base else 0.0
        cut: int | None = None
        for piece, began_s in _decoded(path, container, stream, request.rate, limits):
            if cut is None:
                cut = _samples_before(began_s - shown_s, request.rate)
                if cut < 0:
                    yield np.zeros(-cut, np.float32)
            kept = piece[max(0, cut) :]
            cut = max(0, cut - len(piece))
            yield kept.astype(np.float32) * np.float32(1 / _FULL_SCALE)


def _decoded(
    path: Path, container: InputContainer, stream: AudioStream, rate: int, limits: Limits
) -> Iterator[tuple[NDArray[np.int32], float]]:
    """The resampled pieces (32 bits), and with each of them when the first one sounds by the container's clock."""
    import av

    # Integer samples make FFmpeg scale its downmix so that it cannot leave -1…1; floating point ones would not.
    resampler = av.AudioResampler(format="s32", layout="mono", rate=rate, frame_size=_AT_ONCE)
    most, total = int(limits.max_duration_s * rate), 0
    began_s: float | None = None
    try:
        for frame in chain(container.decode(stream), (None,)):
            if began_s is None:
                began_s = frame.time if frame is not None and frame.pts is not None else 0.0
            for ready in resampler.resample(frame):
                total += ready.samples
                if total > most:
                    source.check_duration(path, total / rate, limits)
                yield ready.to_ndarray().view(np.int32)[0], began_s or 0.0
    except av.FFmpegError as error:
        if not total:
            raise MediaError(f"{path}: its audio cannot be decoded ({error.strerror})") from error
    if not total:
        raise MediaError(f"{path}: its audio stream holds no sound")


def _samples_before(seconds: float, rate: int) -> int:
    """How many samples are cut off where the sound begins ``seconds`` after the picture; below 0: silence that precedes it. Encoder
    rounding is left alone."""
    return 0 if abs(seconds) < _WORTH_MOVING_S else -round(seconds * rate)
