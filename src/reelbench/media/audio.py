"""The sound of a clip, mono, on the clock of its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import MediaError
from reelbench.media import source, tracks
from reelbench.media.packets import Damage, decoded
from reelbench.media.sampling import JUMP_S
from reelbench.media.types import AudioRequest, Limits

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Samples = NDArray[np.float32]

_PER_STEP = np.float32(2.0**-31)
_AT_ONCE = 16384
"""Samples that the resampler collects before it hands them on: each piece costs as much as the arithmetic on a thousand samples."""

_LEAST_OFF_S, _MOST_OFF_S = 0.004, 0.010
"""A time stamp that is off by half a sound frame, but at least and at most by so much, is believed, and silence is put in or an overlap
cut. A lost packet is off by a whole one. Less than that is rounding (a millisecond in Matroska) or jitter: to follow it would tear the
sound apart. So this is also how far the sound may drift from its time stamps."""


@dataclass(frozen=True, slots=True)
class Sound:
    """All the sound of a clip. ``damage``: see `SoundStream`."""

    samples: Samples
    damage: dict[str, Any] = field(default_factory=dict)


def read_audio(
    path: Path, request: AudioRequest, limits: Limits | None = None, origins_s: Sequence[float] = ()
) -> Samples:
    """All samples of `SoundStream` as one array."""
    return read_sound(path, request, limits, origins_s).samples


def read_sound(
    path: Path, request: AudioRequest, limits: Limits | None = None, origins_s: Sequence[float] = ()
) -> Sound:
    """All of `SoundStream` at once."""
    stream = SoundStream(path, request, limits, origins_s)
    return Sound(np.concatenate(list(stream)), stream.damage)


class SoundStream:
    """The sound of ``path``, piece after piece: mono (channels mixed by FFmpeg's rules), float32 in -1…1, ``request.rate`` Hz.

    Sample 0 sounds when the first video frame is shown (``origins_s``: `ClipInfo.origins_s`; found anew without it). Time stamps
    rule: where they leave a gap there is silence, what overlaps or comes before the first frame is cut. A packet that cannot be decoded
    is such a gap, and ``damage`` tells of it: ``packets`` and ``at_s``, where the first of them are; empty where all was decoded. Which
    track is taken says `tracks.audio_stream`.

    Iterating raises MediaError where there is no audio, nothing of it can be decoded, or it ends, silence included, later than
    ``limits`` allows.
    """

    def __init__(
        self, path: Path, request: AudioRequest, limits: Limits | None = None, origins_s: Sequence[float] = ()
    ) -> None:
        self.path, self._rate, self._limits = path, request.rate, limits or Limits()
        self._origins_s = tuple(origins_s) or _origins(path, self._limits)
        self._damage = Damage()
        self._written = 0
        self._skip = 0

    @property
    def damage(self) -> dict[str, Any]:
        return self._damage.facts(self._origins_s[0])

    def __iter__(self) -> Iterator[Samples]:
        with source.open_container(self.path, self._limits) as container:
            stream = tracks.audio_stream(container)
            if stream is None:
                raise MediaError(f"{self.path}: no audio stream that can be decoded")
            tracks.check_audible(stream, self.path)
            tick = float(stream.time_base or 0)
            yield from self._placed(decoded(self.path, container, stream, self._damage), tick)
        if not self._written:
            what = "its audio cannot be decoded" if self._damage.packets else "its audio stream holds no sound"
            raise MediaError(f"{self.path}: {what} after the first frame is shown")

    def _placed(self, frames: Iterator[AudioFrame], tick: float) -> Iterator[Samples]:
        """Resampled stretches of sound that follow each other without a gap, each where its time stamp says."""
        clock = _SoundClock(self._origins_s, tick)
        stretch: _Stretch | None = None
        end_s = 0.0
        for frame in frames:  # thousands a minute: what is done for each counts
            start_s = clock.tell(frame, end_s)
            if stretch is not None:
                off_s = 0.0 if start_s is None else abs(start_s - end_s)
                if off_s < _LEAST_OFF_S or off_s < _tolerance(frame):
                    start_s = end_s
                    if (ready := stretch.add(frame)) is not None:
                        end_s = stretch.end_s
                        if ready:
                            yield from self._kept(ready)
                        continue
                yield from self._kept(stretch.finish())
            start_s = start_s or 0.0
            # Where the stretch before was resampled to the last sample, rounding must not leave a gap of one.
            if stretch is None or start_s != stretch.end_s:
                yield from self._moved_to(round(start_s * self._rate))
            stretch = _Stretch(frame, start_s, self._rate)
            yield from self._kept(stretch.add(frame) or [])
            end_s = stretch.end_s
        if stretch is not None:
            yield from self._kept(stretch.finish())

    def _moved_to(self, position: int) -> Iterator[Samples]:
        """Silence up to the sample ``position``; where there is sound already, as much of the next is cut."""
        self._check(position)
        self._skip = max(0, self._written - position)
        while (missing := position - self._written) > 0:
            yield self._counted(np.zeros(min(missing, _AT_ONCE), np.float32))

    def _kept(self, pieces: Sequence[AudioFrame]) -> Iterator[Samples]:
        for ready in pieces:
            piece = ready.to_ndarray().view(np.int32)[0]
            kept = piece[self._skip :]
            self._skip -= len(piece) - len(kept)
            if len(kept):
                self._check(self._written + len(kept))
                scaled = kept.astype(np.float32)
                scaled *= _PER_STEP
                yield self._counted(scaled)

    def _counted(self, samples: Samples) -> Samples:
        self._written += len(samples)
        return samples

    def _check(self, samples: int) -> None:
        if samples > self._limits.max_duration_s * self._rate:
            source.check_duration(self.path, samples / self._rate, self._limits, "its sound lasts")


class _SoundClock:
    """When sound frames are heard, in seconds of the clip."""

    def __init__(self, origins_s: Sequence[float], tick: float) -> None:
        self._tick = tick
        self._origin, self._later = origins_s[0], list(origins_s[1:])
        self._latest_s = float("-inf")

    def tell(self, frame: AudioFrame, end_s: float) -> float | None:
        """None: it follows the one before, as far as anybody knows, which ends at ``end_s``."""
        pts = frame.pts
        if pts is None:
            return None
        time_s = pts * self._tick
        if time_s > self._latest_s:
            self._latest_s = time_s
        elif time_s <= self._latest_s - JUMP_S:
            # The container's clock starts anew. Pictures do so at the same place: where they go on, sound does.
            self._origin = self._later.pop(0) if self._later else time_s - end_s
            self._latest_s = time_s
        return time_s - self._origin


class _Stretch:
    """Frames of one rate, layout and format, without a gap, through one resampler.

    Integer samples make FFmpeg scale its downmix so that it cannot leave -1…1; floating point ones would not."""

    def __init__(self, first: AudioFrame, start_s: float, rate: int) -> None:
        import av

        self._start_s, self._samples, self._rate = start_s, 0, first.sample_rate
        self.end_s = start_s
        self._resampler = av.AudioResampler(format="s32", layout="mono", rate=rate, frame_size=_AT_ONCE)

    def add(self, frame: AudioFrame) -> Sequence[AudioFrame] | None:
        """What is resampled by now; None where ``frame`` has another rate, layout or format and was not taken."""
        try:
            ready = self._resampler.resample(frame)
        except ValueError as error:
            if "does not match" not in str(error):
                raise
            return None
        self._samples += frame.samples
        self.end_s = self._start_s + self._samples / self._rate
        return ready

    def finish(self) -> Sequence[AudioFrame]:
        return self._resampler.resample(None)


def _tolerance(frame: AudioFrame) -> float:
    return min(max(frame.samples / frame.sample_rate / 2, _LEAST_OFF_S), _MOST_OFF_S)


def _origins(path: Path, limits: Limits) -> tuple[float, ...]:
    """What `probe` finds; 0 for a file without pictures."""
    from reelbench.media.probing import probe

    with source.open_container(path, limits) as container:
        if not container.streams.video:
            return (0.0,)
    return probe(path, limits).origins_s
