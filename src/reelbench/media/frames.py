"""The frames of a clip for one consumer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from reelbench.media.decoder import Decoder
from reelbench.media.fanout import FanOut
from reelbench.media.sampling import Sampler
from reelbench.media.types import DecodeOptions, Frame, FrameRequest, Limits


class FrameStream:
    """The frames that ``request`` asks for, in display order; a context manager that can be iterated once.

    With ``options.prefetch`` 0 they are decoded in the thread that iterates; with n > 0 other threads work ahead by at most n
    frames. Frames that are not sampled are decoded but never converted. Raises MediaError on opening a file that is refused, and
    while iterating where not one frame can be decoded or a cap is passed.

    ``frames_decoded``, ``frames_sampled``, ``busy_s`` (seconds of decoding and converting, in whichever thread), ``truncated`` (the
    file broke off; the frames up to there are good), ``damage`` (packets that were left out) and ``end_s`` (when the last frame ends)
    hold at any time and are final after the last frame. ``origins_s``: `ClipInfo.origins_s`; without it they are found anew.
    """

    def __init__(
        self,
        path: Path,
        request: FrameRequest,
        options: DecodeOptions | None = None,
        limits: Limits | None = None,
        origins_s: Sequence[float] = (),
    ) -> None:
        options = options or DecodeOptions()
        kind = _Ahead if options.prefetch else _Here
        self._frames: _Ahead | _Here = kind(path, request, options, limits or Limits(), origins_s)
        self._iterator = iter(self._frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._iterator)

    def close(self) -> None:
        """Stop decoding and close the file, before the end too; may be called again."""
        self._frames.close()

    @property
    def frames_decoded(self) -> int:
        return self._frames.frames_decoded

    @property
    def frames_sampled(self) -> int:
        return self._frames.frames_sampled

    @property
    def busy_s(self) -> float:
        return self._frames.busy_s

    @property
    def truncated(self) -> bool:
        return self._frames.truncated

    @property
    def damage(self) -> dict[str, Any]:
        return self._frames.damage

    @property
    def end_s(self) -> float:
        return self._frames.end_s


class _Here:
    """Decodes in the consumer's thread."""

    def __init__(
        self, path: Path, request: FrameRequest, options: DecodeOptions, limits: Limits, origins_s: Sequence[float]
    ) -> None:
        self._decoder = Decoder(path, options, limits, origins_s)
        self._request = request
        self._converting_s = 0.0
        self._closed = Event()
        self.frames_sampled = 0

    def __iter__(self) -> Iterator[Frame]:
        sampler = Sampler(self._request.sampling)
        if self._closed.is_set():
            return
        for picture, pts_s in self._decoder:
            if not sampler.wants(pts_s):
                continue
            began = perf_counter()
            frame = Frame(picture.image(self._request), pts_s, self.frames_sampled)
            self._converting_s += perf_counter() - began
            self.frames_sampled += 1
            yield frame
            if self._closed.is_set():
                return

    def close(self) -> None:
        self._closed.set()
        self._decoder.close()

    @property
    def frames_decoded(self) -> int:
        return self._decoder.frames

    @property
    def busy_s(self) -> float:
        return self._decoder.busy_s + self._converting_s

    @property
    def truncated(self) -> bool:
        return self._decoder.truncated

    @property
    def damage(self) -> dict[str, Any]:
        return self._decoder.damage

    @property
    def end_s(self) -> float:
        return self._decoder.end_s


class _Ahead:
    """Decodes and converts in other threads: a fan-out with a single consumer."""

    def __init__(
        self, path: Path, request: FrameRequest, options: DecodeOptions, limits: Limits, origins_s: Sequence[float]
    ) -> None:
        self._fan = FanOut(path, [request], options, limits, origins_s)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._fan.streams[0])

    def close(self) -> None:
        self._fan.close()

    @property
    def frames_decoded(self) -> int:
        return self._fan.frames_decoded

    @property
    def frames_sampled(self) -> int:
        return self._fan.streams[0].frames_sampled

    @property
    def busy_s(self) -> float:
        return self._fan.busy_s

    @property
    def truncated(self) -> bool:
        return self._fan.truncated

    @property
    def damage(self) -> dict[str, Any]:
        return self._fan.damage

    @property
    def end_s(self) -> float:
        return self._fan.end_s
