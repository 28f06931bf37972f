"""The pixels and times that a consumer is given."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from reelbench.errors import MediaError
from reelbench.media import FrameStream, probe
from reelbench.media.types import Colour, DecodeOptions, Frame, FrameRequest, Limits, Sampling
from support.clips import grey_at, grey_of, make_clip, red_corner, smooth


def read(path: Path, request: FrameRequest, options: DecodeOptions | None = None) -> list[Frame]:
    with FrameStream(path, request, options) as stream:
        return list(stream)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".ts"])
def test_every_container_gives_every_frame_in_order(suffix: str, tmp_path: Path) -> None:
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(suffix, "libx264")
    path = make_clip(tmp_path / f"clip{suffix}", frames=12, codec=codec)
    frames = read(path, FrameRequest(Sampling(every=1)))
    assert [grey_at(frame.image) for frame in frames] == pytest.approx([grey_of(i) for i in range(12)], abs=6)
    assert [frame.pts_s for frame in frames] == pytest.approx([i / 30 for i in range(12)], abs=0.0011)
    assert [frame.index for frame in frames] == list(range(12))
    info = probe(path)
    assert (info.width, info.height, info.flags) == (160, 96, ())
    assert info.fps == pytest.approx(30, rel=0.03)
    assert info.duration_s == pytest.approx(0.4, abs=0.04)


@pytest.mark.parametrize(
    ("rotation", "mirror", "corner", "turned"),
    [
        (0, False, "top left", 0),
        (90, False, "bottom left", 270),
        (180, False, "bottom right", 180),
        (-90, False, "top right", 90),
        (0, True, "top right", 0),
    ],
)
@pytest.mark.parametrize("size", [None, (64, 64)])
def test_rotation_is_applied(
    rotation: int, mirror: bool, corner: str, turned: int, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=2, rotation=rotation, mirror=mirror)
    info = probe(path)
    image = read(path, FrameRequest(Sampling(every=1), size))[0].image
    assert red_corner(image) == corner
    assert image.flags.c_contiguous
    assert info.rotation == turned
    assert ("rotated" in info.flags) == bool(turned)
    assert (info.width, info.height) == ((96, 160) if turned % 180 else (160, 96))
    assert image.shape == ((info.height, info.width, 3) if size is None else (64, 64, 3))
    if not mirror:  # OpenCV's own reader is an independent witness; it leaves mirroring out.
        seen = cv2.cvtColor(cv2.VideoCapture(str(path)).read()[1], cv2.COLOR_BGR2RGB)
        assert red_corner(seen) == corner


def test_variable_frame_rate_is_sampled_by_time(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5, 0.52, 1.4, 2.0]
    path = make_clip(tmp_path / "clip.mp4", times=times)
    assert "vfr" in probe(path).flags
    assert [frame.pts_s for frame in read(path, FrameRequest(Sampling(every=1)))] == pytest.approx(times, abs=1e-3)
    frames = read(path, FrameRequest(Sampling(rate=2)))
    assert [frame.pts_s for frame in frames] == pytest.approx([0.0, 0.5, 1.4, 2.0], abs=1e-3)
    assert [grey_at(frame.image) for frame in frames] == pytest.approx([grey_of(i) for i in (0, 3, 5, 6)], abs=4)


def test_odd_sizes(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.webm", frames=2, size=(641, 359), codec="libvpx-vp9")
    info = probe(path)
    assert (info.width, info.height, info.pixel_format) == (641, 359, "yuv420p")
    assert "odd_size" in info.flags
    for size in (None, (333, 187), (51, 49)):
        image = read(path, FrameRequest(Sampling(every=1), size))[1].image
        assert image.shape == (*((size or (641, 359))[::-1]), 3)
        assert grey_at(image) == pytest.approx(grey_of(1), abs=4)
        assert red_corner(image) == "top left"


@pytest.mark.parametrize("colorspace", [1, 5, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("colour", ["rgb", "bgr", "gray"])
def test_small_pictures_agree_with_swscale(colorspace: int, full: bool, colour: Colour, tmp_path: Path) -> None:
    """Range and matrix are those of FFmpeg's own conversion, and so is where things lie in the picture.

    (swscale rounds down and comes out one or two levels darker than the exact formula; a wrong matrix or range is off by far more.)
    """
    tags = {"colorspace": colorspace, "color_range": 2 if full else 1}
    path = make_clip(tmp_path / "clip.mp4", frames=2, size=(320, 240), picture=smooth(320, 240), colour=tags)
    image = read(path, FrameRequest(Sampling(every=1), (75, 60), colour))[0].image
    with av.open(str(path)) as container:
        native = next(container.decode(video=0)).to_ndarray(format="rgb24")
    expected = cv2.resize(native, (75, 60), interpolation=cv2.INTER_AREA).astype(float)
    if colour == "gray":
        luma = {1: (0.2126, 0.7152, 0.0722), 5: (0.299, 0.587, 0.114), 9: (0.2627, 0.678, 0.0593)}[colorspace]
        expected = expected @ np.array(luma)
    elif colour == "bgr":
        expected = expected[..., ::-1]
    difference = np.abs(image - expected)
    assert difference.mean() < 2.5
    assert np.percentile(difference, 99) < 6


def test_fine_detail_does_not_alias(tmp_path: Path) -> None:
    """A one-pixel chequerboard becomes an even grey when it is made much smaller."""
    board = ((np.indices((480, 320)).sum(axis=0) % 2) * 255).astype(np.uint8)
    path = make_clip(tmp_path / "clip.mp4", frames=1, size=(320, 480), picture=lambda _: np.stack([board] * 3, axis=-1))
    image = read(path, FrameRequest(Sampling(every=1), (100, 100), "gray"))[0].image
    assert 118 < image.mean() < 138
    assert image.std() < 12


def test_a_resolution_that_changes_in_mid_stream_keeps_the_first_size(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "a.ts", frames=40, size=(160, 96)).read_bytes()
    second = make_clip(tmp_path / "b.ts", frames=40, size=(96, 160)).read_bytes()
    path = tmp_path / "clip.ts"
    path.write_bytes(first + second)
    frames = read(path, FrameRequest(Sampling(every=1)))
    assert {frame.image.shape for frame in frames} == {(96, 160, 3)}
    assert len(frames) > 60
    assert all(red_corner(frame.image) == "top left" for frame in frames)
    assert all(b.pts_s > a.pts_s for a, b in pairwise(frames))
    assert frames[-1].pts_s < 4
    with pytest.raises(MediaError):
        read_with_cap(path, 160 * 96 - 1)


def read_with_cap(path: Path, pixels: int) -> list[Frame]:
    with FrameStream(path, FrameRequest(Sampling(every=1)), limits=Limits(max_pixels=pixels)) as stream:
        return list(stream)


@pytest.mark.parametrize("prefetch", [0, 3])
def test_both_ways_to_decode_give_the_same(prefetch: int, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=30)
    with FrameStream(path, FrameRequest(Sampling(rate=10)), DecodeOptions(prefetch=prefetch)) as stream:
        greys = [grey_at(frame.image) for frame in stream]
    assert greys == pytest.approx([grey_of(i) for i in range(0, 30, 3)], abs=4)
    assert (stream.frames_decoded, stream.frames_sampled, stream.truncated) == (30, 10, False)
    assert stream.busy_s > 0


def test_leaving_frames_out_keeps_times_right(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=60, options={"preset": "medium"})
    request = FrameRequest(Sampling(every=1))
    all_frames = {round(f.pts_s, 4): grey_at(f.image) for f in read(path, request)}
    fewer = {round(f.pts_s, 4): grey_at(f.image) for f in read(path, request, DecodeOptions(skip="nonref"))}
    assert 5 < len(fewer) < 55
    assert fewer == {t: all_frames[t] for t in fewer}


def test_without_the_loop_filter_pictures_change_and_frames_do_not(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.mp4", frames=10, picture=smooth(160, 96), options={"preset": "medium", "crf": "40"}
    )
    request = FrameRequest(Sampling(every=1))
    with_filter, without = read(path, request), read(path, request, DecodeOptions(deblock=False))
    assert [f.pts_s for f in with_filter] == [f.pts_s for f in without]
    assert any((a.image != b.image).any() for a, b in zip(with_filter, without, strict=True))


def test_an_interlaced_clip_is_flagged(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=4, options={"x264-params": "tff=1", "preset": "medium"})
    assert "interlaced" in probe(path).flags
