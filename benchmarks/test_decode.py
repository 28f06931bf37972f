"""What it costs to feed several consumers from one decoding, as ratios within one run.

    pytest benchmarks/test_decode.py -s

writes ``decode.json`` into ``$REELBENCH_BENCH_OUT`` (or pytest's temporary folder). The yardstick is a plain single-threaded PyAV
decode of the same clip that converts nothing. Sides are run in interleaved pairs whose order alternates; a ratio is the median
of the pairs' ratios.

Wall time is judged: the limits are those of a machine with two cores, and the fan-out exists to convert on the second while the first
decodes, which is what a user waits for. CPU time is recorded beside it and is higher: it counts the conversions, wherever they
ran. Where the second core is busy with something else, both lie higher and closer together.

Clips are synthesised: 720×1280, 30 fps, H.264, a moving photograph-like texture.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
import pytest

from reelbench.media import decode_for, probe
from reelbench.media.types import FrameRequest, Sampling

PAIRS = int(os.environ.get("REELBENCH_BENCH_PAIRS", "9"))
FIVE = (
    FrameRequest(Sampling(rate=1.0)),
    FrameRequest(Sampling(rate=2.0), (360, 640)),
    FrameRequest(Sampling(rate=3.0), (270, 480)),
    FrameRequest(Sampling(rate=3.0), (300, 300), "bgr"),
    FrameRequest(Sampling(rate=6.0), (224, 224)),
)
SIX = (*FIVE, FrameRequest(Sampling(every=1), (48, 27)))
LIMITS = {"five_consumers": 1.15, "six_consumers": 1.35}
MAX_GROWTH_MIB = 50.0


def render(path: Path, seconds: float) -> Path:
    """A texture with soft and hard edges that drifts, cuts every two seconds and carries a little noise."""
    rng = np.random.default_rng(7)
    scenes = [
        cv2.resize(rng.integers(0, 255, (190, 120, 3), dtype=np.uint8), (960, 1520), interpolation=cv2.INTER_CUBIC)
        for _ in range(4)
    ]
    noise = rng.integers(0, 6, (1280, 720, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = 720, 1280, "yuv420p"
        stream.codec_context.options = {"crf": "23"}
        for index in range(round(seconds * 30)):
            step = index % 60
            scene = scenes[index // 60 % len(scenes)]
            window = scene[2 * step : 2 * step + 1280, 3 * step : 3 * step + 720]
            image = cv2.add(window, np.roll(noise, 7 * index, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def repeat(path: Path, target: Path, times: int) -> Path:
    """The same packets ``times`` over: a long clip without the time to encode one."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        picture = source.streams.video[0]
        stream = container.add_stream_from_template(picture)
        packets = [packet for packet in source.demux(picture) if packet.dts is not None]
        length = picture.duration
        stamps = [(packet.pts, packet.dts) for packet in packets]
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.pts, packet.dts, packet.stream = pts + turn * length, dts + turn * length, stream
                packet.time_base = picture.time_base
                container.mux(packet)
    return target


def plain_decode(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def feed(path: Path, requests: Sequence[FrameRequest]) -> list[int]:
    """Decode once for ``requests``, each read by a thread of its own that only takes the frames; how many each was given."""
    counts = [0] * len(requests)

    def consume(place: int) -> None:
        counts[place] = sum(1 for _ in fan.streams[place])

    with decode_for(path, requests) as fan:
        readers = [threading.Thread(target=consume, args=(place,)) for place in range(len(requests))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    return counts


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def ratios(path: Path, requests: Sequence[FrameRequest]) -> dict[str, float]:
    """Medians over interleaved pairs, the order of each pair turned about."""
    cv2.setNumThreads(1)  # As the yardstick, which has one thread too.
    plain_decode(path)
    feed(path, requests)
    pairs = []
    for turn in range(PAIRS):
        first, second = (plain_decode, feed) if turn % 2 == 0 else (feed, plain_decode)
        times = {}
        for work in (first, second):
            times[work] = clocked(lambda w=work: w(path) if w is plain_decode else w(path, requests))
        pairs.append((times[feed], times[plain_decode]))
    return {
        "wall_ratio": round(median(a[0] / b[0] for a, b in pairs), 3),
        "cpu_ratio": round(median(a[1] / b[1] for a, b in pairs), 3),
        "plain_wall_s": round(median(b[0] for _, b in pairs), 3),
        "fed_wall_s": round(median(a[0] for a, _ in pairs), 3),
        "pairs": PAIRS,
    }


def peak_mib(path: Path) -> float:
    """Peak resident memory of a fresh process that feeds the six consumers."""
    return float(
        subprocess.run([sys.executable, __file__, str(path)], check=True, capture_output=True, text=True).stdout
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decode")


@pytest.fixture(scope="module")
def ten_seconds(folder: Path) -> Path:
    return render(folder / "ten_seconds.mp4", 10)


@pytest.mark.parametrize(("name", "requests"), [("five_consumers", FIVE), ("six_consumers", SIX)])
def test_feeding_consumers(
    name: str, requests: Sequence[FrameRequest], ten_seconds: Path, record: Callable[..., None]
) -> None:
    figures = ratios(ten_seconds, requests)
    record(name, figures | {"limit": LIMITS[name]})
    assert figures["wall_ratio"] <= LIMITS[name]


def test_memory_does_not_grow_with_the_clip(ten_seconds: Path, folder: Path, record: Callable[..., None]) -> None:
    five_minutes = repeat(ten_seconds, folder / "five_minutes.mp4", 30)
    assert 299 < probe(five_minutes).duration_s < 301
    short, long = peak_mib(ten_seconds), peak_mib(five_minutes)
    record("memory", {"ten_seconds_mib": short, "five_minutes_mib": long, "growth_mib": round(long - short, 1)})
    assert long - short < MAX_GROWTH_MIB


if __name__ == "__main__":
    feed(Path(sys.argv[1]), SIX)
    # Not ru_maxrss: a child begins with its parent's.
    status = Path("/proc/self/status").read_text()
    print(round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1))
