"""Encode a copy of a clip that no analyzer has seen: the same content in other bytes, with pixels that differ invisibly.

Run as ``python -m reelbench.bench.reencode JOB`` in a process of its own, which a hostile file may
take down. The copy has the pictures as they are displayed, H.264 and AAC in an MP4.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

from reelbench.errors import MediaError
from reelbench.media.types import AudioRequest, ClipInfo, FrameRequest, Limits, Sampling

LONGEST_S = 20.0
"""Of a longer clip the beginning is copied."""
TIMEOUT_S = 300.0
_AUDIO_RATE = 48000
_BLOCK = 16
"""The side, in pixels, of the blocks whose brightness is changed by one or two grey levels: too little to be seen, enough
to survive the encoder."""
_TIME_BASE = Fraction(1, 90000)


def reencoded(info: ClipInfo, folder: Path, limits: Limits) -> ClipInfo:
    """Write the copy into ``folder`` and say what is in it. Raises MediaError."""
    copy = folder / "copy.mp4"
    job = {"clip": str(info.path), "origins_s": info.origins_s, "audio": info.has_audio, "limits": asdict(limits)}
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
    return replace(
        info, path=copy, codec="h264", pixel_format="yuv420p", rotation=0, details=details,
        bytes=copy.stat().st_size, **changed,
    )  # fmt: skip


def write_copy(clip: Path, copy: Path, origins_s: tuple[float, ...], audio: bool, limits: Limits) -> dict[str, float]:
    """Decode ``clip`` and encode it anew; size, duration and rate of what was written."""
    import av
    import numpy as np

    from reelbench.media.audio import read_sound
    from reelbench.media.frames import FrameStream

    request = FrameRequest(Sampling(every=1))
    last_s, step_s, count, size = 0.0, 1 / 30, 0, (0, 0)
    chance = np.random.default_rng()  # each copy is another one: what remembers an earlier copy does not know it
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
            if frame.pts_s > LONGEST_S:
                break
            if not count:
                size = (frame.image.shape[1] // 2 * 2, frame.image.shape[0] // 2 * 2)
                video.width, video.height = size
                blocks = chance.integers(-2, 3, (size[1] // _BLOCK + 1, size[0] // _BLOCK + 1, 1), np.int16)
                grain = blocks.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[: size[1], : size[0]]
            image = (frame.image[: size[1], : size[0]] + grain).clip(0, 255).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = round(frame.pts_s / _TIME_BASE), _TIME_BASE
            container.mux(video.encode(picture))
            step_s = frame.pts_s - last_s if count else step_s
            last_s, count = frame.pts_s, count + 1
        container.mux(video.encode(None))
        if sound is not None:
            samples = read_sound(clip, AudioRequest(_AUDIO_RATE), limits, origins_s).samples
            samples = samples[: round((last_s + step_s) * _AUDIO_RATE)]
            samples = samples + chance.normal(0, 1e-4, len(samples)).astype(np.float32)
            for first in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = _AUDIO_RATE, first, Fraction(1, _AUDIO_RATE)
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    duration_s = last_s + step_s
    return {"width": size[0], "height": size[1], "duration_s": duration_s, "fps": count / duration_s}


def main() -> None:
    job = json.loads(sys.argv[1])
    limits = Limits(**job["limits"])
    made = write_copy(Path(job["clip"]), Path(job["copy"]), tuple(job["origins_s"]), job["audio"], limits)
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
