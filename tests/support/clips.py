"""A factory of small video files for tests: real encodes, made in milliseconds.

The picture of frame i is ``picture(i)``: a grey that says i, with one red corner (top left) that says which way is up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Picture = Callable[[int], NDArray[np.uint8]]
TIME_BASE = Fraction(1, 12800)
RED = (220, 20, 20)


def grey_of(index: int) -> int:
    """The grey level that tells frame ``index`` from its neighbours."""
    return 40 + (index * 37) % 180


def marked(width: int, height: int) -> Picture:
    """Frame i: grey_of(i) everywhere but in the top left corner (a quarter of each side), which is red."""

    def picture(index: int) -> NDArray[np.uint8]:
        image = np.full((height, width, 3), grey_of(index), np.uint8)
        image[: height // 4, : width // 4] = RED
        return image

    return picture


def smooth(width: int, height: int) -> Picture:
    """Soft colour gradients that move: what two ways of converting must agree on."""

    def picture(index: int) -> NDArray[np.uint8]:
        x = np.linspace(0, 255, width)[None, :] + np.zeros((height, 1))
        y = np.linspace(0, 255, height)[:, None] + np.zeros((1, width))
        return np.stack([x, y, (x + y) / 2 + 5 * (index % 5)], axis=-1).clip(0, 255).astype(np.uint8)

    return picture


def make_clip(
    path: Path,
    *,
    frames: int = 30,
    size: tuple[int, int] = (160, 96),
    fps: float = 30.0,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    mirror: bool = False,
    audio_s: float = 0.0,
    faststart: bool = False,
    colour: dict[str, int] | None = None,
    picture: Picture | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode a clip; the container follows from the suffix of ``path``.

    ``times`` are seconds for each frame (variable frame rate) and replace ``frames`` and ``fps``; ``rotation`` is written
    as a display matrix (degrees counter-clockwise, as FFmpeg counts); ``colour`` sets colour tags of the stream; ``audio_s``
    adds a 440 Hz tone.
    """
    picture = picture or marked(*size)
    stamps = list(times) if times is not None else [index / fps for index in range(frames)]
    settings = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=settings) as container:
        container.metadata["title"] = path.name
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1
        stream.codec_context.options = _encoder_options(codec) | (options or {})
        tags = {"colorspace": 6, "color_range": 1} | (colour or {})
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        if rotation or mirror:
            stream.set_display_rotation(rotation, hflip=mirror)
        sound = add_tone(container) if audio_s else None
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            full = {"dst_color_range": 2} if tags["color_range"] == 2 else {"dst_color_range": 1}
            matrix = 1 if tags["colorspace"] == 1 else 5
            frame = frame.reformat(format=pixel_format, dst_colorspace=matrix, **full)
            for name, value in tags.items():
                setattr(frame, name, value)
            frame.pts, frame.time_base = round(stamp / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            write_tone(container, sound, audio_s)
    return path


def _encoder_options(codec: str) -> dict[str, str]:
    fast = {"preset": "ultrafast", "crf": "10"}
    return {
        "libx264": fast,
        "libx265": fast | {"x265-params": "log-level=none"},
        "libvpx-vp9": {"deadline": "realtime"},
    }.get(codec, {})


def add_tone(container: Any, rate: int = 44100) -> Any:
    """A stereo AAC stream in ``container``."""
    return container.add_stream("aac", rate=rate, layout="stereo")


def write_tone(container: Any, stream: Any, seconds: float, start_s: float = 0.0) -> None:
    """440 Hz at half of full scale in both channels."""
    rate = stream.codec_context.sample_rate
    count = int(seconds * rate)
    wave = (0.5 * np.sin(2 * np.pi * 440 * np.arange(count) / rate)).astype(np.float32)
    for first in range(0, count, 1024):
        frame = av.AudioFrame.from_ndarray(np.stack([wave[first : first + 1024]] * 2), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + round(start_s * rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def title_of(path: Path) -> str:
    """The name that a clip of `make_clip` was made under, whatever the file is called now."""
    with av.open(str(path)) as container:
        return str(container.metadata.get("title", ""))


def make_audio_only(path: Path, seconds: float = 1.0) -> Path:
    with av.open(str(path), "w") as container:
        write_tone(container, add_tone(container), seconds)
    return path


def truncate(path: Path, target: Path, share: float = 0.5) -> Path:
    """The first ``share`` of the file ``path``."""
    whole = path.read_bytes()
    target.write_bytes(whole[: int(len(whole) * share)])
    return target


def grey_at(image: NDArray[np.uint8]) -> int:
    """The grey in the middle of a picture made by ``marked``."""
    height, width = image.shape[:2]
    return int(np.asarray(image[height // 2, width // 2]).mean())


def red_corner(image: NDArray[np.uint8]) -> str:
    """Which corner of an RGB picture made by ``marked`` is red: 'top left' and so on."""
    height, width = image.shape[:2]
    corners = {
        "top left": image[2, 2],
        "top right": image[2, width - 3],
        "bottom left": image[height - 3, 2],
        "bottom right": image[height - 3, width - 3],
    }
    return max(corners, key=lambda name: int(corners[name][0]) - int(corners[name][1]))
