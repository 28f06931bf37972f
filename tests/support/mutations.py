"""Damaged video files from a seed: whole clips of many kinds, and what happens to files on their way.

``python -m support.mutations FOLDER COUNT [SEED] [FIRST]`` writes them, for a look at one that failed.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (64, 48)
KINDS: dict[str, tuple[str, str]] = {
    "mp4": ("libx264", "aac"),
    "mov": ("mpeg4", "pcm_s16le"),
    "mkv": ("libx264", "libopus"),
    "webm": ("libvpx", "libopus"),
    "avi": ("mpeg4", "libmp3lame"),
    "ts": ("libx264", "aac"),
    "flv": ("flv", "libmp3lame"),
    "wmv": ("wmv2", "wmav2"),
    "mpg": ("mpeg2video", "mp2"),
    "ogv": ("libvpx", "libopus"),
}
"""By ending: the encoders of picture and sound."""


def make_whole(folder: Path, frames: int = 10, fps: int = 25) -> dict[str, Path]:
    """One good clip of each kind in ``folder``, by its ending: ``frames`` pictures and as much of a 440 Hz tone."""
    return {ending: make_kind(folder / f"whole.{ending}", frames=frames, fps=fps) for ending in KINDS}


def make_kind(path: Path, frames: int = 10, fps: int = 25) -> Path:
    """A good clip of the kind that the ending of ``path`` says."""
    picture, sound = KINDS[path.suffix[1:]]
    rate = 48000 if sound == "libopus" else 44100
    container = {"ogv": "ogg", "wmv": "asf", "mpg": "mpeg", "ts": "mpegts"}.get(path.suffix[1:])
    with av.open(str(path), "w", format=container) as output:
        video: Any = output.add_stream(picture, rate=fps)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio: Any = output.add_stream(sound, rate=rate, layout="mono")
        audio.codec_context.bit_rate = 64000
        for index in range(frames):
            image = np.full((SIZE[1], SIZE[0], 3), 40 + 15 * (index % 12), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts = index
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        tone = np.sin(2 * np.pi * 440 * np.arange(int(frames / fps * rate)) / rate)
        step = audio.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=audio.codec_context.format, layout="mono", rate=rate, frame_size=step)
        frame = av.AudioFrame.from_ndarray((tone * 16000).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(audio.encode(piece))
        output.mux(audio.encode(None))
    return path


def mutated(whole: bytes, draw: random.Random) -> bytes:
    """``whole`` after one to three accidents."""
    data = bytearray(whole)
    for _ in range(draw.choice((1, 1, 2, 3))):
        draw.choice(ACCIDENTS)(data, draw)
    return bytes(data)


def make_mutated(folder: Path, wholes: dict[str, Path], count: int, seed: int = 0, first: int = 0) -> list[Path]:
    """``count`` damaged clips in ``folder``: number n of a seed is the same whatever else is made."""
    files = []
    contents = {ending: path.read_bytes() for ending, path in sorted(wholes.items())}
    for number in range(first, first + count):
        draw = random.Random(f"{seed} {number}")
        ending = draw.choice(list(contents))
        files.append(folder / f"m{number:05}.{ending}")
        files[-1].write_bytes(mutated(contents[ending], draw))
    return files


def _flip_bits(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 4, 32, 256))):
        if data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _flip_head(data: bytearray, draw: random.Random) -> None:
    """Headers are where sizes, counts and codecs stand."""
    for _ in range(draw.choice((1, 2, 8))):
        if data:
            data[draw.randrange(min(len(data), 1024))] = draw.randrange(256)


def _flip_tail(data: bytearray, draw: random.Random) -> None:
    """So do indexes, which many containers write last."""
    for _ in range(draw.choice((1, 2, 8))):
        if data:
            data[-1 - draw.randrange(min(len(data), 2048))] = draw.randrange(256)


def _blank(data: bytearray, draw: random.Random) -> None:
    start, length = _span(data, draw)
    data[start : start + length] = bytes([draw.choice((0, 255))]) * len(data[start : start + length])


def _cut_off(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data) + 1) :]


def _lose(data: bytearray, draw: random.Random) -> None:
    start, length = _span(data, draw)
    del data[start : start + length]


def _repeat(data: bytearray, draw: random.Random) -> None:
    start, length = _span(data, draw)
    data[start:start] = data[start : start + length]


def _swap(data: bytearray, draw: random.Random) -> None:
    (a, length), (b, _) = _span(data, draw), _span(data, draw)
    length = min(length, abs(a - b), len(data) - max(a, b))
    data[a : a + length], data[b : b + length] = data[b : b + length], data[a : a + length]


def _insert(data: bytearray, draw: random.Random) -> None:
    start, length = _span(data, draw)
    data[start:start] = draw.randbytes(min(length, 4096))


def _huge_number(data: bytearray, draw: random.Random) -> None:
    """Four or eight bytes that are read as a size, a count or a time."""
    width = draw.choice((4, 8))
    if len(data) > width:
        at = draw.randrange(len(data) - width)
        value = draw.choice((0, 1, (1 << 8 * width) - 1, 1 << (8 * width - 1), draw.getrandbits(8 * width)))
        data[at : at + width] = value.to_bytes(width, draw.choice(("big", "little")))


ACCIDENTS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bits, _flip_head, _flip_tail, _blank, _cut_off, _lose, _repeat, _swap, _insert, _huge_number,
)  # fmt: skip


def _span(data: bytearray, draw: random.Random) -> tuple[int, int]:
    length = draw.choice((1, 16, 188, 1024, max(1, len(data) // 4)))
    return draw.randrange(len(data) + 1), length


if __name__ == "__main__":
    target, amount, *rest = sys.argv[1:]
    Path(target).mkdir(parents=True, exist_ok=True)
    sources = make_whole(Path(target))
    make_mutated(Path(target), sources, int(amount), *map(int, rest))
