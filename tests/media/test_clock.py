"""One clock for picture and sound: beep - cut = 0, and the duration ends with the last frame shown, whatever the file is like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from reelbench.errors import MediaError
from reelbench.media import FrameStream, probe, read_audio
from reelbench.media.audio import SoundStream, read_sound
from reelbench.media.types import AudioRequest, DecodeOptions, FrameRequest, Limits, Sampling
from support.beeps import Track, beeps_in, damage_pictures, heard_beeps, make_beeping, seen_cuts

SOUND_FRAME_S = 0.022
FRAME_S = 1 / 25
ALL = FrameRequest(Sampling(every=1))
KINDS = av.stream.Disposition


@st.composite
def made(draw: st.DrawFn) -> dict[str, object]:
    suffix = draw(st.sampled_from([".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi"]))
    starts = {".mp4": (-0.7, 5.0), ".mov": (-0.7, 5.0), ".avi": (0.0, 0.0)}.get(suffix, (0.0, 5.0))
    options: list[dict[str, str]] = [{}]
    if suffix in (".mkv", ".webm"):
        options.append({"live": "1"})
    if suffix in (".mp4", ".mov"):
        options += [{"movflags": "frag_keyframe+empty_moov+delay_moov"}, {"movflags": "+faststart"}]
    gap_s = draw(st.tuples(st.floats(0.0, 2.6), st.floats(0.0, 0.5)))
    written = draw(st.sampled_from(options))
    # FFmpeg shows what an edit list hides at the start of a fragmented file: there is no index to leave it out of.
    first = 0.0 if "frag" in written.get("movflags", "") else starts[0]
    return {
        "suffix": suffix,
        "start_s": draw(st.floats(first, starts[1])),
        "b_frames": draw(st.sampled_from([0, 2])),
        "options": written,
        # AVI keeps no times of its sound: what is lost there is lost to everybody.
        "gap_s": gap_s if suffix != ".avi" else (0.0, 0.0),
    }


@given(made())
@example({"suffix": ".mp4", "start_s": -0.62, "b_frames": 2, "options": {}, "gap_s": (0.0, 0.0)})
@example({"suffix": ".mkv", "start_s": 1.48, "b_frames": 0, "options": {}, "gap_s": (0.0, 0.0)})
@example({"suffix": ".webm", "start_s": 0.0, "b_frames": 0, "options": {"live": "1"}, "gap_s": (1.2, 0.4)})
@example({"suffix": ".ts", "start_s": 0.3, "b_frames": 2, "options": {}, "gap_s": (0.2, 0.5)})
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_beep_and_cut_are_one(clip: dict[str, object]) -> None:
    first, length = clip["gap_s"]
    with TemporaryDirectory() as folder:
        start_s = float(clip["start_s"])
        path = make_beeping(
            Path(folder) / f"clip{clip['suffix']}",
            start_s=start_s,
            b_frames=clip["b_frames"],
            options=clip["options"],
            lost_sound=lambda time_s: first <= time_s < first + length,
        )
        info = probe(path)
        # A frame that is shown in part, because an edit list begins within it, is not shown at all.
        hidden_s = np.ceil(-start_s / FRAME_S - 1e-6) * FRAME_S if start_s < 0 else 0.0
        assert info.duration_s == pytest.approx(3.0 - hidden_s, abs=FRAME_S / 2)
        with FrameStream(path, ALL, origins_s=info.origins_s) as frames:
            assert len(list(frames)) == pytest.approx(info.duration_s / FRAME_S, abs=1.1)
        assert frames.end_s == pytest.approx(info.duration_s, abs=FRAME_S / 2)
        assert not frames.truncated
        cuts = [at - hidden_s for at in (1.0, 2.0)]
        assert seen_cuts(info) == pytest.approx(cuts, abs=0.0025)
        beeps = [cut for cut, at in zip(cuts, (1.0, 2.0), strict=True) if not first - 0.1 < at < first + length + 0.1]
        heard = heard_beeps(info)
        for beep in beeps:
            assert min(abs(one - beep) for one in heard) < SOUND_FRAME_S, (beep, heard)


def test_a_transport_stream_that_starts_in_mid_picture(tmp_path: Path) -> None:
    whole = make_beeping(tmp_path / "whole.ts", gop=25).read_bytes()
    path = tmp_path / "clip.ts"
    path.write_bytes(whole[len(whole) // 188 * 15 // 100 * 188 :])
    info = probe(path)
    assert info.duration_s == pytest.approx(2.0, abs=0.01), "the first key frame that is left is that of the first cut"
    assert seen_cuts(info) == pytest.approx([1.0], abs=0.0025)
    assert heard_beeps(info) == pytest.approx([0.0, 1.0], abs=SOUND_FRAME_S)


def test_joined_transport_streams_go_on_together(tmp_path: Path) -> None:
    # The sound of each part is shorter than its picture: what follows must not move up.
    part = make_beeping(tmp_path / "part.ts", lost_sound=lambda time_s: time_s > 2.5).read_bytes()
    path = tmp_path / "clip.ts"
    path.write_bytes(part * 3)
    info = probe(path)
    assert (info.duration_s, info.fps) == (pytest.approx(9.0, abs=0.01), pytest.approx(25, rel=0.01))
    assert heard_beeps(info) == pytest.approx([1, 2, 4, 5, 7, 8], abs=SOUND_FRAME_S)
    cuts = seen_cuts(info)
    assert [cut for cut in cuts if round(cut, 2) not in (3.0, 6.0)] == pytest.approx([1, 2, 4, 5, 7, 8], abs=0.0025)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_damaged_sound_packet_keeps_its_time(suffix: str, tmp_path: Path) -> None:
    path = make_beeping(
        tmp_path / f"clip{suffix}", audio="aac", damaged_sound=lambda time_s: 1.4 <= time_s < 1.4 + 1024 / 48000
    )
    info = probe(path)
    sound = read_sound(path, AudioRequest(16000), origins_s=info.origins_s)
    assert sound.damage == {"packets": 1, "at_s": [pytest.approx(1.41, abs=0.03)]}
    assert len(sound.samples) / 16000 == pytest.approx(3.0, abs=0.05)
    assert beeps_in(sound.samples, 16000) == pytest.approx([1.0, 2.0], abs=SOUND_FRAME_S)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_damaged_picture_packets_are_left_out_and_counted(prefetch: int, tmp_path: Path) -> None:
    path = make_beeping(tmp_path / "clip.mp4")
    damage_pictures(path, lambda time_s: 1.3 < time_s < 1.37 or 2.5 < time_s < 2.53)
    info = probe(path)
    with FrameStream(path, ALL, DecodeOptions(prefetch=prefetch), origins_s=info.origins_s) as frames:
        times = [frame.pts_s for frame in frames]
    assert frames.damage == {"packets": 3, "at_s": pytest.approx([1.32, 1.36, 2.52], abs=0.001)}
    assert len(times) == 75 - 3
    assert (times[-1], frames.end_s) == (pytest.approx(2.96), pytest.approx(3.0))
    assert not frames.truncated, "it goes on to the end"


def test_a_file_that_is_nothing_but_damage_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelbench.media.packets.MOST_DAMAGED", 10)
    path = damage_pictures(make_beeping(tmp_path / "clip.mp4"), lambda time_s: time_s > 0.5)
    with FrameStream(path, ALL) as frames:
        assert len(list(frames)) == 13
    assert frames.damage["packets"] == 10
    assert frames.truncated


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("tracks", "named"),
    [
        ([Track(beeps=False), Track(disposition=KINDS.default)], "2 of 2"),
        ([Track(beeps=False, disposition=KINDS.comment | KINDS.default), Track()], "2 of 2"),
        ([Track(beeps=False, disposition=KINDS.visual_impaired), Track()], "2 of 2"),
        ([Track(disposition=KINDS.comment)], "1 of 1"),
    ],
)
def test_the_track_that_a_player_would_play(suffix: str, tracks: list[Track], named: str, tmp_path: Path) -> None:
    info = probe(make_beeping(tmp_path / f"clip{suffix}", tracks=tracks))
    assert heard_beeps(info) == pytest.approx([1.0, 2.0], abs=SOUND_FRAME_S)
    assert info.details["sound_track"].startswith(named)


def test_layout_and_rate_may_change_in_mid_stream(tmp_path: Path) -> None:
    parts = [_ac3(tmp_path / "a.ts", "stereo", 48000), _ac3(tmp_path / "b.ts", "5.1(side)", 44100)]
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(parts))
    sound = read_audio(path, AudioRequest(16000))
    assert len(sound) / 16000 == pytest.approx(3.0, abs=0.08)
    halves = np.abs(sound[8000:15000]), np.abs(sound[-15000:-8000])
    assert all(half.max() > 0.05 for half in halves), "both halves are heard"


def _ac3(path: Path, layout: str, rate: int) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ac3", rate=rate, layout=layout)
        channels = stream.codec_context.layout.nb_channels
        wave = (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(1.5 * rate)) / rate)).astype(np.float32)
        for first in range(0, len(wave), 1536):
            piece = np.repeat(wave[None, first : first + 1536], channels, axis=0)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def test_silence_counts_towards_the_limit_and_is_not_made_before(tmp_path: Path) -> None:
    path = make_beeping(tmp_path / "clip.mkv", lost_sound=lambda time_s: time_s < 2.8)
    stream = SoundStream(path, AudioRequest(16000), Limits(max_duration_s=2.5), probe(path).origins_s)
    with pytest.raises(MediaError, match="its sound lasts 3 s, over the limit"):
        next(iter(stream))


def test_small_jitter_does_not_tear_the_sound(tmp_path: Path) -> None:
    """Matroska rounds to milliseconds: of 3 s of a steady tone not one sample may be left out or put in."""
    path = make_beeping(tmp_path / "clip.mkv", audio="aac", at_s=())
    steady = tmp_path / "steady.mkv"
    with av.open(str(path)) as made, av.open(str(steady), "w") as container:
        sound, target = made.streams.audio[0], container.add_stream_from_template(made.streams.audio[0])
        for packet in made.demux(sound):
            if packet.dts is not None:
                packet.pts = packet.dts = packet.pts + (3 if packet.pts % 2 else 0)
                packet.stream = target
                container.mux(packet)
    samples = read_audio(steady, AudioRequest(48000), origins_s=(0.0,))
    assert len(samples) % 1024 == 0


def test_a_layout_that_pyav_cannot_read_is_refused_before_it_is_touched(tmp_path: Path) -> None:
    path = _custom_layout(tmp_path / "clip.mov")
    code = (
        "import sys, gc; from pathlib import Path; from reelbench.errors import MediaError\n"
        "from reelbench.media import probe, read_audio; from reelbench.media.types import AudioRequest\n"
        "info = probe(Path(sys.argv[1]))\n"
        "for _ in range(20):\n"
        "    try: read_audio(info.path, AudioRequest(16000), origins_s=info.origins_s)\n"
        "    except MediaError as error: said = error.message\n"
        "    gc.collect()\n"
        "print(said)"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-300:]
    assert "channel layout of its own" in answer.stdout


def _custom_layout(path: Path) -> Path:
    """PCM of 8 channels whose labels are in an order that FFmpeg has no name for."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=48000, layout="7.1")
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8 * 4800), np.int16), format="s16", layout="7.1")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    data = bytearray(path.read_bytes())
    # The tag that says 'a bit map of channels' gives way to that of SMPTE's order, sides before back, which is not FFmpeg's.
    tag = data.index(b"chan") + 8
    data[tag : tag + 4] = (128 << 16 | 8).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def test_encrypted_media_are_called_so(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76" * 16, "encryption_kid": "a7" * 16}
    with pytest.raises(MediaError, match="encrypted"):
        probe(make_beeping(tmp_path / "clip.mp4", options=key))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_image_that_nobody_marked_is_not_measured(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip{suffix}"
    with av.open(str(make_beeping(tmp_path / "plain.mp4"))) as plain, av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        target = container.add_stream_from_template(plain.streams.video[0])
        container.mux(cover.encode(av.VideoFrame(32, 32, "yuvj420p")))
        container.mux(cover.encode(None))
        for packet in plain.demux(plain.streams.video[0]):
            if packet.dts is not None:
                packet.stream = target
                container.mux(packet)
    info = probe(path)
    assert (info.width, info.height, info.details["picture_track"]) == (64, 48, "2 of 2")
    assert seen_cuts(info) == pytest.approx([1.0, 2.0], abs=0.0025)


def test_caps_on_frames_and_frame_rate(tmp_path: Path) -> None:
    path = make_beeping(tmp_path / "clip.ts")
    with pytest.raises(MediaError, match="more than the limit of 50 frames"):
        probe(path, Limits(max_frames=50))
    with pytest.raises(MediaError, match="more than the limit of 50 frames"):
        list(FrameStream(path, ALL, limits=Limits(max_frames=50)))
    with pytest.raises(MediaError, match="25 frames a second, over the limit of 20"):
        probe(path, Limits(max_fps=20))
