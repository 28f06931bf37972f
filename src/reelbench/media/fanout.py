"""One decoding of a clip for several consumers, each with its own rate, size and colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread, current_thread
from time import perf_counter
from types import TracebackType
from typing import Self

from reelbench.media.channel import Channel
from reelbench.media.convert import Picture
from reelbench.media.decoder import Decoder
from reelbench.media.sampling import Sampler
from reelbench.media.types import DecodeOptions, Frame, FrameRequest, Limits

DEFAULT_AHEAD = 4


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
        try:
            return self._channel.get()
        except EOFError:
            raise StopIteration from None

    def close(self) -> None:
        """Take no more frames; the others go on."""
        self._channel.close()

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def offer(self, picture: Picture, pts_s: float) -> Frame | None:
        """For the decoder's thread: the frame as this consumer wants it, or None where it does not want it."""
        if self.closed or not self._sampler.wants(pts_s):
            return None
        frame = Frame(picture.image(self._request), pts_s, self.frames_sampled)
        self.frames_sampled += 1
        return frame

    def deliver(self, frame: Frame) -> None:
        """For the decoder's thread: hand over, waiting for room."""
        self._channel.put(frame)

    def finish(self, error: BaseException | None) -> None:
        """For the decoder's thread: there is no more."""
        self._channel.finish(error)


class FanOut:
    """Decodes ``path`` once, in a thread of its own, for all ``requests``; ``streams`` are in their order.

    Memory is bounded: each consumer has at most ``options.prefetch`` (or 4) frames waiting, so the slowest one sets the pace, and
    each must be read from its own thread (reading one to its end before another would wait for ever) or closed. Consumers that ask for
    the same size and colour of a frame are given the same array. What the decoder raises, every consumer raises.
    A file that is refused raises MediaError here, on opening.
    """

    def __init__(self, path: Path, requests: Sequence[FrameRequest], options: DecodeOptions, limits: Limits) -> None:
        self._decoder = Decoder(path, options, limits)
        self._converting_s = 0.0
        self.streams = tuple(ConsumerStream(request, options.prefetch or DEFAULT_AHEAD) for request in requests)
        self._thread = Thread(target=self._produce, name=f"decode {path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the decoder's thread and close the file; may be called again."""
        for stream in self.streams:
            stream.close()
        if self._thread is not current_thread():
            self._thread.join()

    @property
    def frames_decoded(self) -> int:
        return self._decoder.frames

    @property
    def busy_s(self) -> float:
        """Seconds of decoding and converting so far; waiting for consumers is not in it."""
        return self._decoder.busy_s + self._converting_s

    @property
    def truncated(self) -> bool:
        return self._decoder.truncated

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            with self._decoder:
                self._feed()
        except BaseException as raised:  # noqa: BLE001 - handed over to the consumers, who raise it
            error = raised
        for stream in self.streams:
            stream.finish(error)

    def _feed(self) -> None:
        for picture, pts_s in self._decoder:
            began = perf_counter()
            wanted = [(stream, frame) for stream in self.streams if (frame := stream.offer(picture, pts_s)) is not None]
            self._converting_s += perf_counter() - began
            for stream, frame in wanted:
                stream.deliver(frame)
            if all(stream.closed for stream in self.streams):
                return


def decode_for(
    path: Path, requests: Sequence[FrameRequest], options: DecodeOptions | None = None, limits: Limits | None = None
) -> FanOut:
    """Decode ``path`` once for all ``requests``; see FanOut."""
    return FanOut(path, requests, options or DecodeOptions(), limits or Limits())
