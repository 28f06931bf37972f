"""Encode a copy of a part of a clip that no analyzer has seen: the same content in other bytes, with pixels that differ a little.

Who remembers results finds them by something: the copy has another name, size, duration and first
picture, and is cropped, lighter or darker by a little. Run as
``python -m reelbench.bench.reencode JOB`` in a process of its own, which a hostile file may take
down. The copy has the pictures as they are displayed, H.264 and AAC in an MP4.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from reelbench.errors import MediaError
from reelbench.media.types import AudioRequest, ClipInfo, FrameRequest, Limits, Sampling

if TYPE_CHECKING:
    from reelbench.results import AnalyzerResult

LONGEST_S = 20.0
"""Of a longer clip so much is copied."""
CUTS = ((0.04, 0.08), (0.12, 0.16), (0.20, 0.24))
"""So large a share of a clip is left out at its beginning, and at its end: each copy of a clip is clearly
shorter than the one before, so that whoever remembers that one knows no other by it."""
SHORT_S = 0.5
"""A clip that is shorter is copied as a whole."""
_CROPPED, _LIGHTER, _LOUDER = 0.02, (3, 6), 0.2
TIMEOUT_S = 300.0
_AUDIO_RATE = 48000
_BLOCK = 16
"""The side, in pixels, of the blocks whose brightness is changed by one or two grey levels: too little to be seen, enough
to survive the encoder."""
_TIME_BASE = Fraction(1, 90000)


@dataclass(frozen=True, slots=True)
class Copied:
    """``info`` is the copy's; ``begin_s`` is where in the clip it begins."""

    info: ClipInfo
    begin_s: float


def reencoded(info: ClipInfo, folder: Path, limits: Limits, number: int = 0, *, aligned: bool = False) -> Copied:
    """Write the copy into ``folder`` and say what is in it. Raises MediaError.

    ``number``: how many copies of the clip were there before. ``aligned``: times and boxes of the
    clip hold for the copy: it is cut at its end alone, and not cropped.
    """
    copy = folder / "copy.mp4"
    job = {
        "clip": str(info.path), "origins_s": info.origins_s, "audio": info.has_audio, "limits": asdict(limits),
        "duration_s": info.duration_s, "number": number, "aligned": aligned,
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "reelbench.bench.reencode", json.dumps({**job, "copy": str(copy)})]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MediaError(f"{info.path}: encoding a copy took longer than {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise MediaError(f"{info.path}: no copy could be encoded: {last}")
    made = json.loads(done.stdout)
    details = {key: value for key, value in info.details.items() if key != "origins_s"}
    changed = {key: made[key] for key in ("width", "height", "duration_s", "fps")}
    made_info = replace(
        info, path=copy, codec="h264", pixel_format="yuv420p", rotation=0, details=details,
        bytes=copy.stat().st_size, **changed,
    )  # fmt: skip
    return Copied(made_info, float(made["begin_s"]))


def events_in(result: AnalyzerResult | None, copied: Copied) -> int:
    """How many events of a clip overlap the part of it that was copied."""
    begin_s, end_s = copied.begin_s, copied.begin_s + copied.info.duration_s
    return sum(event.end_s >= begin_s and event.start_s <= end_s for event in result.events) if result else 0


def write_copy(
    clip: Path,
    copy: Path,
    origins_s: tuple[float, ...],
    audio: bool,
    limits: Limits,
    duration_s: float,
    number: int,
    aligned: bool,
) -> dict[str, float]:
    """Decode a part of ``clip`` and encode it anew; beginning, size, duration and rate of what was written."""
    import av
    import numpy as np

    from reelbench.media.audio import read_sound
    from reelbench.media.frames import FrameStream

    request = FrameRequest(Sampling(every=1))
    last_s, step_s, count, size = 0.0, 1 / 30, 0, (0, 0)
    chance = np.random.default_rng()  # each copy is another one: what remembers an earlier copy does not know it
    cut = CUTS[min(number, len(CUTS) - 1)] if duration_s >= SHORT_S else (0.0, 0.0)
    wanted_s = 0.0 if aligned else duration_s * float(chance.uniform(*cut))
    end_s = min(duration_s * (1 - float(chance.uniform(*cut))), wanted_s + LONGEST_S * (1 - sum(cut)))
    lighter, begin_s = int(chance.integers(*_LIGHTER)) * (-1) ** number * (number + 1), -1.0
    # The same of every copy: a network may get ready for a size of picture when it first sees it.
    edge = 0.0 if aligned else _CROPPED
    grain = np.zeros((0, 0, 1), np.int16)
    with (
        av.open(str(copy), "w", format="mp4") as container,
        FrameStream(clip, request, None, limits, origins_s) as frames,
    ):
        # The rate is nominal: each picture carries its own time.
        video = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "16", "bf": "0"})
        video.pix_fmt, video.codec_context.time_base = "yuv420p", _TIME_BASE
        sound = container.add_stream("aac", rate=_AUDIO_RATE, layout="mono") if audio else None
        for frame in frames:
            if frame.pts_s < wanted_s:
                continue
            if count and frame.pts_s > end_s:
                break
            if not count:
                begin_s, last_s = frame.pts_s, frame.pts_s
                size = _even(frame.image.shape[1], edge), _even(frame.image.shape[0], edge)
                video.width, video.height = size
                blocks = chance.integers(-2, 3, (size[1] // _BLOCK + 1, size[0] // _BLOCK + 1, 1), np.int16)
                grain = blocks.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[: size[1], : size[0]]
            image = (frame.image[: size[1], : size[0]] + grain + lighter).clip(0, 255).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = round((frame.pts_s - begin_s) / _TIME_BASE), _TIME_BASE
            container.mux(video.encode(picture))
            step_s = frame.pts_s - last_s if count else step_s
            last_s, count = frame.pts_s, count + 1
        container.mux(video.encode(None))
        begin_s = max(begin_s, 0.0)
        if sound is not None:
            samples = read_sound(clip, AudioRequest(_AUDIO_RATE), limits, origins_s).samples
            samples = samples[round(begin_s * _AUDIO_RATE) : round((last_s + step_s) * _AUDIO_RATE)]
            samples = samples * np.float32(chance.uniform(1 - _LOUDER, 1))
            samples = samples + chance.normal(0, 1e-4, len(samples)).astype(np.float32)
            for first in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = _AUDIO_RATE, first, Fraction(1, _AUDIO_RATE)
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    made_s = last_s + step_s - begin_s
    return {"begin_s": begin_s, "width": size[0], "height": size[1], "duration_s": made_s, "fps": count / made_s}


def _even(pixels: int, cropped: float) -> int:
    """An even number of pixels, at least two fewer where so large a share is cropped."""
    return (pixels - max(2, round(pixels * cropped)) if cropped and pixels > 32 else pixels) // 2 * 2


def main() -> None:
    job = json.loads(sys.argv[1])
    limits = Limits(**job["limits"])
    made = write_copy(
        Path(job["clip"]),
        Path(job["copy"]),
        tuple(job["origins_s"]),
        job["audio"],
        limits,
        job["duration_s"],
        job["number"],
        job["aligned"],
    )
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
