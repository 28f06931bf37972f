"""What is refused, in one clear line, and what is only flagged."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from reelbench.errors import EXIT_USAGE, MediaError
from reelbench.media import FrameStream, probe, read_audio, source
from reelbench.media.types import AudioRequest, FrameRequest, Limits, Sampling
from support.clips import grey_at, make_audio_only, make_clip, smooth, truncate

ALL = FrameRequest(Sampling(every=1))


def text(path: Path) -> None:
    path.write_text("dear diary, this is no video\n" * 40)


def missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing, "no such file"),
        (Path.touch, "empty file"),
        (Path.mkdir, "not a file"),
        (text, "not a video that can be read"),
        (make_audio_only, "audio only"),
    ],
)
def test_refused_in_one_line(make: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    for use in (probe, lambda p: FrameStream(p, ALL)):
        with pytest.raises(MediaError, match=says) as caught:
            use(path)
        assert str(path) in caught.value.message
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == EXIT_USAGE


@pytest.fixture
def requests_seen() -> Iterator[tuple[str, list[str]]]:
    """A local web server: its address, and the requests that it saw."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


def playlists(folder: Path, address: str) -> dict[str, Path]:
    make_clip(folder / "sibling.ts", frames=3)
    texts = {
        "concat_sibling": "ffconcat version 1.0\nfile sibling.ts\n",
        "concat_http": f"ffconcat version 1.0\nfile '{address}/stolen.mp4'\n",
        "hls_sibling": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsibling.ts\n#EXT-X-ENDLIST\n",
        "hls_http": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}/stolen.ts\n#EXT-X-ENDLIST\n",
    }
    paths = {name: folder / f"{name}.mp4" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    return paths


def test_playlists_are_refused_and_nothing_is_requested(requests_seen: tuple[str, list[str]], tmp_path: Path) -> None:
    address, seen = requests_seen
    for path in playlists(tmp_path, address).values():
        with pytest.raises(MediaError, match="playlist"):
            probe(path)
    assert seen == []


def test_playlists_are_refused_by_the_whitelist_alone(
    requests_seen: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, seen = requests_seen
    paths = playlists(tmp_path, address)
    with av.open(str(paths["concat_sibling"])) as unprotected:
        assert unprotected.format.name == "concat", (
            "without the whitelist FFmpeg follows such a file: the threat is real"
        )
    monkeypatch.setattr(source, "_PLAYLISTS", ())
    for path in paths.values():
        with pytest.raises(MediaError, match="not a video that can be read"):
            probe(path)
    assert seen == []


def test_a_name_is_never_taken_for_a_protocol(requests_seen: tuple[str, list[str]], tmp_path: Path) -> None:
    tricky = tmp_path / "concat:a|b,http:x.mp4"
    make_clip(tmp_path / "plain.mp4", frames=2).rename(tricky)
    assert probe(tricky).duration_s == pytest.approx(2 / 30, abs=0.01)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(max_pixels=160 * 96 - 1), "160x96"),
        (Limits(max_duration_s=0.5), "lasts 1 s"),
        (Limits(max_streams=1), "2 streams"),
    ],
)
def test_caps(limits: Limits, says: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", audio_s=1.0)
    assert probe(path).has_audio
    with pytest.raises(MediaError, match=says):
        probe(path, limits)


def test_the_duration_cap_holds_against_a_header_that_lies(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.ts", frames=60)
    with pytest.raises(MediaError, match="lasts"):
        list(FrameStream(path, ALL, limits=Limits(max_duration_s=1.0)))


def test_cut_off_before_the_index(tmp_path: Path) -> None:
    path = truncate(make_clip(tmp_path / "whole.mp4"), tmp_path / "clip.mp4")
    with pytest.raises(MediaError, match="cut off before its index"):
        probe(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_truncated_gives_the_frames_up_to_there_and_says_so(suffix: str, prefetch: int, tmp_path: Path) -> None:
    from reelbench.media.types import DecodeOptions

    whole = make_clip(tmp_path / f"whole{suffix}", frames=90, faststart=suffix == ".mp4", picture=smooth(160, 96))
    path = truncate(whole, tmp_path / f"clip{suffix}", 0.6)
    with FrameStream(path, ALL, DecodeOptions(prefetch=prefetch)) as stream:
        frames = list(stream)
    assert stream.truncated
    assert 5 < len(frames) < 85
    assert stream.frames_decoded == stream.frames_sampled == len(frames)
    assert ("truncated" in probe(path).flags) == (suffix == ".mp4"), "an MP4 index shows it at once"
    with FrameStream(whole, ALL) as complete:
        assert len(list(complete)) == 90
    assert not complete.truncated


def test_garbage_in_the_middle_never_raises_anything_else(tmp_path: Path) -> None:
    data = bytearray(make_clip(tmp_path / "whole.mp4", frames=60, faststart=True, picture=smooth(160, 96)).read_bytes())
    for start in range(len(data) // 2, len(data) - 64, 512):
        data[start : start + 64] = bytes(64)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    with FrameStream(path, ALL) as stream:
        assert len(list(stream)) > 5


def test_no_frame_at_all(tmp_path: Path) -> None:
    data = bytearray(make_clip(tmp_path / "whole.mp4", frames=5, faststart=True).read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    for use in (probe, lambda p: list(FrameStream(p, ALL))):
        with pytest.raises(MediaError, match="not one frame"):
            use(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_one_frame(suffix: str, tmp_path: Path) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", frames=1)
    assert 0 < probe(path).duration_s < 0.1
    with FrameStream(path, FrameRequest(Sampling(rate=3))) as stream:
        assert [(frame.pts_s, frame.index) for frame in stream] == [(0.0, 0)]
    assert not stream.truncated


def test_silent_clip_has_no_audio_to_read(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=3)
    with pytest.raises(MediaError, match="no audio"):
        read_audio(path, AudioRequest(16000))


@pytest.mark.parametrize(
    ("codec", "colour", "flags"),
    [
        ("libx264", {}, ("10bit",)),
        ("libx265", {"color_trc": 16, "color_primaries": 9, "colorspace": 9}, ("10bit", "hdr")),
    ],
)
def test_ten_bits_and_hdr_are_decoded_and_flagged(
    codec: str, colour: dict[str, int], flags: tuple[str, ...], tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=4, codec=codec, pixel_format="yuv420p10le", colour=colour)
    assert probe(path).flags == flags
    with FrameStream(path, FrameRequest(Sampling(every=1), (80, 48))) as stream:
        greys = [grey_at(frame.image) for frame in stream]
    assert greys == pytest.approx([40, 77, 114, 151], abs=5)
