"""Clips whose truth is plain: a hard cut and a beep at the same instants, whatever the container does to the clock.

A player that gets picture, sound and their common clock right hears each beep when it sees the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from reelbench.media import FrameStream, read_audio
from reelbench.media.types import AudioRequest, ClipInfo, FrameRequest, Sampling

SIZE = (64, 48)
RATE = 48000
BEEP_S = 0.08
VIDEO = {".avi": "mpeg4", ".webm": "libvpx"}
AUDIO = {".avi": "pcm_s16le", ".webm": "libopus", ".mkv": "libopus"}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "x264-params": "scenecut=0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
}
Dropped = Callable[[float], bool]


@dataclass(frozen=True)
class Track:
    """One sound track: with beeps or silent, and its disposition."""

    beeps: bool = True
    disposition: int = 0


def make_beeping(
    path: Path,
    *,
    seconds: float = 3.0,
    fps: int = 25,
    at_s: Sequence[float] = (1.0, 2.0),
    start_s: float = 0.0,
    gop: int = 10,
    b_frames: int = 0,
    tracks: Sequence[Track] = (Track(),),
    lost_sound: Dropped = lambda _: False,
    damaged_sound: Dropped = lambda _: False,
    video: str = "",
    audio: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode a clip with cuts and beeps ``at_s`` seconds after its first frame.

    Its time stamps begin at ``start_s``; below 0 so much of it is hidden (by an edit list, in MP4 and MOV). Sound packets for whose
    time ``lost_sound`` holds are not written; of those that are damaged only zeros are.
    """
    video, audio = video or VIDEO.get(path.suffix, "libx264"), audio or AUDIO.get(path.suffix, "aac")
    tick = Fraction(1, fps * 512) if video != "mpeg4" else Fraction(1, fps)
    with av.open(str(path), "w", options=options or {}) as container:
        picture: Any = container.add_stream(video, rate=fps)
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        picture.codec_context.time_base = tick
        picture.codec_context.gop_size = gop
        picture.codec_context.thread_count = 1
        settings = _OPTIONS.get(video, {})
        picture.codec_context.options = settings | ({"bf": str(b_frames)} if video != "libvpx" else {})
        sounds: list[Any] = []
        for track in tracks:
            sound = container.add_stream(audio, rate=RATE, layout="mono")
            sound.disposition = track.disposition
            sounds.append(sound)
        packets = list(_pictures(picture, seconds, fps, tick, at_s))
        for sound, track in zip(sounds, tracks, strict=True):
            packets += _sounds(sound, seconds, at_s if track.beeps else ())
        for packet in sorted(packets, key=lambda one: float((one.dts or 0) * one.time_base)):
            time_s = float((packet.pts or 0) * packet.time_base)
            of_sound = packet.stream.type == "audio"
            if of_sound and lost_sound(time_s):
                continue
            if of_sound and damaged_sound(time_s):
                packet = _zeroed(packet)
            shift = round(start_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            container.mux(packet)
    return path


def damage_pictures(path: Path, damaged: Dropped) -> Path:
    """Overwrite the video packets of an MP4 or Matroska file for whose time ``damaged`` holds."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and packet.pos is not None and damaged(float(packet.pts * packet.time_base)):
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    return path


def _pictures(stream: Any, seconds: float, fps: int, tick: Fraction, at_s: Sequence[float]) -> list[Any]:
    found: list[Any] = []
    for index in range(round(seconds * fps)):
        frame = av.VideoFrame.from_ndarray(_shot(sum(index >= round(cut * fps) for cut in at_s)), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = round(Fraction(index, fps) / tick), tick
        found += stream.encode(frame)
    return found + stream.encode(None)


def _shot(number: int) -> NDArray[np.uint8]:
    """Shots that differ everywhere, each with a pattern that needs bits."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    level = 40 if number % 2 else 200
    return np.repeat(((rows * columns) % 32 + level)[..., None], 3, axis=2).astype(np.uint8)


def _sounds(stream: Any, seconds: float, at_s: Sequence[float]) -> list[Any]:
    wave = np.zeros(round(seconds * RATE), np.float32)
    beep = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(round(BEEP_S * RATE)) / RATE)
    for start_s in at_s:
        wave[round(start_s * RATE) :][: len(beep)] = beep[: len(wave) - round(start_s * RATE)]
    found: list[Any] = []
    for first in range(0, len(wave), 960):
        samples = (wave[None, first : first + 960] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
        found += stream.encode(frame)
    return found + stream.encode(None)


def _zeroed(packet: Any) -> Any:
    bad = av.Packet(bytes(packet.size))
    bad.pts, bad.dts, bad.duration = packet.pts, packet.dts, packet.duration
    bad.time_base, bad.stream, bad.is_keyframe = packet.time_base, packet.stream, packet.is_keyframe
    return bad


def seen_cuts(info: ClipInfo) -> list[float]:
    """When the picture changes, by decoding every frame."""
    cuts: list[float] = []
    before: NDArray[np.int16] | None = None
    with FrameStream(info.path, FrameRequest(Sampling(every=1), colour="gray"), origins_s=info.origins_s) as frames:
        for frame in frames:
            image = frame.image.astype(np.int16)
            if before is not None and np.abs(image - before).mean() > 50:
                cuts.append(frame.pts_s)
            before = image
    return cuts


def heard_beeps(info: ClipInfo, rate: int = 16000) -> list[float]:
    """When beeps begin."""
    return beeps_in(read_audio(info.path, AudioRequest(rate), origins_s=info.origins_s), rate)


def beeps_in(sound: NDArray[np.float32], rate: int) -> list[float]:
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    starts = [at for at, gap in zip(loud, np.diff(loud, prepend=-rate), strict=True) if gap > 2 * BEEP_S * rate]
    return [float(at / rate) for at in starts]
