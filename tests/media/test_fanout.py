"""One decoding for several consumers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reelbench.errors import MediaError
from reelbench.media import FanOut, FrameStream, decode_for
from reelbench.media.convert import Picture
from reelbench.media.fanout import ConsumerStream
from reelbench.media.types import DecodeOptions, FrameRequest, Limits, Sampling
from support.clips import grey_at, grey_of, make_clip

EACH = FrameRequest(Sampling(every=1))
SMALL = FrameRequest(Sampling(every=1), (40, 24))
WAIT_S = 30.0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=40)


def in_threads(fan: FanOut, consume: Callable[[ConsumerStream], object]) -> list[object]:
    """What ``consume`` gave or raised for each stream, each in its own thread."""
    results: list[object] = [None] * len(fan.streams)

    def work(place: int) -> None:
        try:
            results[place] = consume(fan.streams[place])
        except MediaError as error:
            results[place] = error

    threads = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(len(fan.streams))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    return results


def test_each_consumer_gets_what_a_stream_of_its_own_would_give(clip: Path) -> None:
    requests = [
        FrameRequest(Sampling(rate=6)),
        FrameRequest(Sampling(rate=3), (64, 36), "bgr"),
        FrameRequest(Sampling(every=7), (50, 50), "gray"),
        SMALL,
    ]
    with decode_for(clip, requests) as fan:
        results = in_threads(fan, list)
    assert fan.frames_decoded == 40
    for request, stream, got in zip(requests, fan.streams, results, strict=True):
        with FrameStream(clip, request) as alone:
            expected = list(alone)
        assert isinstance(got, list)
        assert [(f.pts_s, f.index) for f in got] == [(f.pts_s, f.index) for f in expected]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(got, expected, strict=True))
        assert stream.frames_sampled == len(expected)


def test_consumers_of_different_rates_with_room_for_one_frame_each_finish(clip: Path) -> None:
    """What the decoder keeps back to hand on together must go out before it waits for a reader of that very frame."""
    requests = [FrameRequest(Sampling(every=n), (40, 24)) for n in (1, 2, 3, 11)]
    with decode_for(clip, requests, DecodeOptions(prefetch=1)) as fan:
        assert [len(got) for got in in_threads(fan, list)] == [40, 20, 14, 4]  # type: ignore[arg-type]


def test_a_failed_conversion_is_raised_to_every_consumer_and_ends_the_decoding(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = Picture._coded

    def fail(self: Picture, size: tuple[int, int], colour: str) -> object:
        if size == (48, 28):
            raise EOFError("no more of this")
        return convert(self, size, colour)

    monkeypatch.setattr(Picture, "_coded", fail)
    failing = FrameRequest(Sampling(every=20), (48, 28))
    with decode_for(clip, [EACH, failing]) as fan:
        for stream in fan.streams:
            with pytest.raises(EOFError, match="no more of this"):
                list(stream)
    assert fan.frames_decoded < 40


def test_equal_requests_share_a_conversion_and_unsampled_frames_have_none(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []
    convert = Picture._coded
    monkeypatch.setattr(
        Picture, "_coded", lambda self, size, colour: converted.append(size) or convert(self, size, colour)
    )
    every_tenth = FrameRequest(Sampling(every=10), (40, 24))
    with decode_for(clip, [every_tenth, FrameRequest(Sampling(every=20), (40, 24))]) as fan:
        a, b = in_threads(fan, list)
    assert len(converted) == 4
    assert isinstance(a, list)
    assert isinstance(b, list)
    assert a[2].image is b[1].image


def test_a_consumer_that_stops_early_does_not_hold_up_the_others(clip: Path) -> None:
    def consume(stream: ConsumerStream) -> int:
        if stream is fan.streams[0]:
            next(stream)
            stream.close()
            return 1
        return sum(1 for _ in stream)

    with decode_for(clip, [EACH, SMALL]) as fan:
        assert in_threads(fan, consume) == [1, 40]


def test_closing_early_stops_the_decoder(clip: Path) -> None:
    before = threading.active_count()
    for prefetch in (0, 2):
        with FrameStream(clip, EACH, DecodeOptions(prefetch=prefetch)) as stream:
            assert grey_at(next(stream).image) == pytest.approx(grey_of(0), abs=4)
        assert stream.frames_decoded < 40
        assert list(stream) == []
    with decode_for(clip, [EACH, SMALL]) as fan:
        next(fan.streams[1])
    assert fan.frames_decoded < 40
    assert threading.active_count() == before


def test_the_decoder_waits_for_a_slow_consumer(clip: Path) -> None:
    """Bounded memory: no more frames are decoded ahead than were asked for."""
    with FrameStream(clip, EACH, DecodeOptions(prefetch=3)) as stream:
        for read in range(1, 11):
            next(stream)
            assert stream.frames_decoded <= read + 3 + 1
        threading.Event().wait(0.2)
        assert stream.frames_decoded <= 10 + 3 + 1


def test_what_the_decoder_raises_every_consumer_raises(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.ts", frames=60)
    with decode_for(path, [EACH, SMALL], limits=Limits(max_duration_s=1.0)) as fan:
        results = in_threads(fan, list)
    assert all(isinstance(result, MediaError) and "lasts" in result.message for result in results)
    with pytest.raises(MediaError, match="no such file"):
        decode_for(tmp_path / "missing.mp4", [EACH])


def test_a_failed_conversion_is_raised_to_the_consumer(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room for a picture")

    monkeypatch.setattr(Picture, "image", fail)
    with (
        FrameStream(clip, EACH, DecodeOptions(prefetch=2)) as stream,
        pytest.raises(MemoryError, match="no room"),
    ):
        next(stream)
