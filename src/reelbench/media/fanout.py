"""One decoding of a clip for several consumers, each with its own rate, size and colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread, current_thread
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from reelbench.media.channel import Channel
from reelbench.media.convert import Picture
from reelbench.media.decoder import Decoder
from reelbench.media.sampling import Sampler
from reelbench.media.types import DecodeOptions, Frame, FrameRequest, Limits

DEFAULT_AHEAD = 8

_BATCH = 4
"""Sampled frames are handed on when this many frames were decoded since the first of them: a waking costs as much as a small
conversion, and so each thread is woken once for several. A frame comes later by three frames' decoding at most."""


class ConsumerStream:
    """The frames of one consumer of a fan-out; iterate it from one thread. ``close`` when no more are wanted."""

    def __init__(self, request: FrameRequest, ahead: int) -> None:
        self.frames_sampled = 0
        self._request = request
        self._sampler = Sampler(request.sampling)
        self._channel: Channel[Frame] = Channel(ahead)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._channel)

    def close(self) -> None:
        """Take no more frames; the others go on."""
        self._channel.close()

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def wants(self, pts_s: float) -> bool:
        """For the decoder's thread, once for every decoded frame: whether this consumer takes it."""
        return self._sampler.wants(pts_s) and not self.closed

    @property
    def full(self) -> bool:
        """Whether ``reserve`` would wait."""
        return self._channel.full

    def reserve(self) -> bool:
        """For the decoder's thread: wait until there is room for one more frame. False: the consumer is gone."""
        return self._channel.reserve()

    def convert(self, picture: Picture, pts_s: float) -> Frame:
        """For the converter's thread: the frame as this consumer wants it."""
        frame = Frame(picture.image(self._request), pts_s, self.frames_sampled)
        self.frames_sampled += 1
        return frame

    def deliver(self, frames: Sequence[Frame]) -> None:
        """For the converter's thread: hand over, in reserved places."""
        self._channel.put(frames)

    def finish(self, error: BaseException | None) -> None:
        """For the converter's thread: there is no more."""
        self._channel.finish(error)


_Job = tuple[Picture, float, list[ConsumerStream]]


class FanOut:
    """Decodes ``path`` once for all ``requests``; ``streams`` are in their order.

    Two threads work: one decodes, the other converts what was sampled, so that with two cores a conversion costs no time.
    Memory is bounded: each consumer has at most ``options.prefetch`` (or 8) frames decoded and unread, so the slowest one sets
    the pace, and each must be read from its own thread (reading one to its end before another would wait for ever) or closed.
    Consumers that ask for the same size and colour of a frame are given the same array. What the decoder raises, every consumer
    raises.
    A file that is refused raises MediaError here, on opening.
    """

    def __init__(
        self,
        path: Path,
        requests: Sequence[FrameRequest],
        options: DecodeOptions,
        limits: Limits,
        origins_s: Sequence[float] = (),
    ) -> None:
        self._decoder = Decoder(path, options, limits, origins_s)
        self._converting_s = 0.0
        self.streams = tuple(ConsumerStream(request, options.prefetch or DEFAULT_AHEAD) for request in requests)
        self._jobs: Channel[list[_Job]] = Channel(2)
        self._threads = (
            Thread(target=self._decode, name=f"decode {path.name}", daemon=True),
            Thread(target=self._convert, name=f"convert {path.name}", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the threads and close the file; may be called again."""
        for stream in self.streams:
            stream.close()
        for thread in self._threads:
            if thread is not current_thread():
                thread.join()

    @property
    def frames_decoded(self) -> int:
        return self._decoder.frames

    @property
    def busy_s(self) -> float:
        """Seconds of decoding and of converting so far, added up; waiting for consumers is not in it."""
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

    def _decode(self) -> None:
        """The decoder's thread."""
        error: BaseException | None = None
        try:
            with self._decoder:
                self._sample()
        except BaseException as raised:  # noqa: BLE001 - handed over to the consumers, who raise it
            error = raised
        self._jobs.finish(error)

    def _sample(self) -> None:
        batch: list[_Job] = []
        due = 0
        for picture, pts_s in self._decoder:
            wanted = [stream for stream in self.streams if stream.wants(pts_s)]
            if batch and (self._decoder.frames >= due or any(stream.full for stream in wanted)):
                # A consumer that is full may be waiting for this very batch.
                self._hand_on(batch)
                batch = []
            if wanted := [stream for stream in wanted if stream.reserve()]:
                due = due if batch else self._decoder.frames + _BATCH
                batch.append((picture, pts_s, wanted))
            if self._jobs.closed or all(stream.closed for stream in self.streams):
                return
        self._hand_on(batch)

    def _hand_on(self, batch: list[_Job]) -> None:
        if batch and self._jobs.reserve():
            self._jobs.put([batch])

    def _convert(self) -> None:
        """The converter's thread: the only one that touches pictures."""
        error: BaseException | None = None
        try:
            for batch in self._jobs:
                self._deliver(batch)
        except BaseException as raised:  # noqa: BLE001 - handed over to the consumers, who raise it
            error = raised
        self._jobs.close()
        for stream in self.streams:
            stream.finish(error)

    def _deliver(self, batch: list[_Job]) -> None:
        began = perf_counter()
        ready: dict[ConsumerStream, list[Frame]] = {}
        for picture, pts_s, wanted in batch:
            for stream in wanted:
                if not stream.closed:
                    ready.setdefault(stream, []).append(stream.convert(picture, pts_s))
        self._converting_s += perf_counter() - began
        for stream, frames in ready.items():
            stream.deliver(frames)


def decode_for(
    path: Path, requests: Sequence[FrameRequest], options: DecodeOptions | None = None, limits: Limits | None = None
) -> FanOut:
    """Decode ``path`` once for all ``requests``; see FanOut."""
    return FanOut(path, requests, options or DecodeOptions(), limits or Limits())
