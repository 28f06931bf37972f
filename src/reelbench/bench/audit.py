"""Passes that are not measured but tell whether the measured ones were honest, after the audits of MLPerf.

Both run in the worker, on the analyzer that is being measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter, process_time
from typing import Any

import numpy as np

from reelbench.analyzers.base import Analyzer, Material
from reelbench.media.audio import read_audio
from reelbench.media.frames import FrameStream
from reelbench.media.types import ClipInfo, DecodeOptions, Frame, Limits
from reelbench.results import AnalyzerResult

PICTURES = 4
COPIES = 4
ROUNDS = 5
BUDGET_S = 20.0
"""A slow analyzer is asked less often, and with half as many copies where not even one round fits."""


def _no_phases(phase: str, items: int = 1) -> AbstractContextManager[None]:
    return nullcontext()


def untimed_pass(
    analyzer: Analyzer,
    name: str,
    info: ClipInfo,
    decode: DecodeOptions,
    limits: Limits,
    upstream: Mapping[str, AnalyzerResult] = {},
) -> str:
    """The result, as JSON, of a pass without a timer, a counter or a message: what the timed passes must have found, too."""
    needs = analyzer.needs
    audio = None
    if needs.audio is not None and info.has_audio:
        audio = read_audio(info.path, needs.audio, limits, info.origins_s)
    if needs.frames is None:
        return analyzer.analyze(Material(name, info, _no_phases, audio=audio, upstream=upstream)).model_dump_json()
    with FrameStream(info.path, needs.frames, decode, limits, info.origins_s) as stream:
        return analyzer.analyze(Material(name, info, _no_phases, iter(stream), audio, upstream)).model_dump_json()


def repeated_frames(
    analyzer: Analyzer,
    name: str,
    info: ClipInfo,
    decode: DecodeOptions,
    limits: Limits,
    upstream: Mapping[str, AnalyzerResult] = {},
) -> dict[str, Any]:
    """Does a frame that was seen before come cheaper than it should?

    `PICTURES` frames of the clip alternate, and each is shown `COPIES` times: once each copy has its
    own faint noise, once all copies of a picture have the same. Content, order and motion are alike, so
    that only something that remembers can be faster. ``faster`` is by what share: the smaller of wall
    time and processor time, each the smallest of up to `ROUNDS` rounds, since a busy neighbour must not
    look like a memory. ``…_inferred`` are the frames that the analyzer says reached the network, of the
    changing ones and where each picture stands still for `COPIES` frames: a variant that filters
    near-duplicates, and says so, has fewer of these. Empty where the analyzer is given no frames.
    """
    if analyzer.needs.frames is None:
        return {}
    pictures = _pictures(analyzer, info, decode, limits)
    if not pictures:
        return {}
    noise = np.random.default_rng()  # never the same, or it would be remembered, too
    copies, rounds = _affordable(
        analyzer, Material(name, info, _no_phases, _stamped(pictures, pictures), upstream=upstream)
    )
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    inferred: dict[str, int] = {}

    def shown(kind: str, frames: list[Frame]) -> None:
        stream = _stamped(frames, pictures)
        started, cpu_started = perf_counter(), process_time()
        result = analyzer.analyze(Material(name, info, _no_phases, stream, upstream=upstream))
        wall[kind].append(perf_counter() - started)
        cpu[kind].append(process_time() - cpu_started)
        inferred[kind] = result.frames_inferred

    for turn in range(rounds):
        changing = [_noisy(frame, noise) for _ in range(copies) for frame in pictures]
        # The same memory four times over would come from the processor's caches, which would look like a memory of the variant.
        repeated = [_copy(frame) for _ in range(copies) for frame in changing[: len(pictures)]]
        kinds = [("changing", changing), ("repeated", repeated)]
        for kind, frames in kinds if turn % 2 else reversed(kinds):
            shown(kind, frames)
    shown("still", [_copy(frame) for frame in pictures for _ in range(copies)])
    return {
        "faster": min(1 - min(seconds["repeated"]) / max(min(seconds["changing"]), 1e-9) for seconds in (wall, cpu)),
        "changing_inferred": inferred["changing"],
        "still_inferred": inferred["still"],
        "frames": len(pictures) * copies,
    }


def _affordable(analyzer: Analyzer, once: Material) -> tuple[int, int]:
    """Copies and rounds that fit into `BUDGET_S`, at least two and one, after a pass over each picture once."""
    started = perf_counter()
    analyzer.analyze(once)
    round_s = 2 * COPIES * (perf_counter() - started)
    return (COPIES if round_s <= BUDGET_S else COPIES // 2), max(1, min(ROUNDS, int(BUDGET_S / max(round_s, 1e-9))))


def _pictures(analyzer: Analyzer, info: ClipInfo, decode: DecodeOptions, limits: Limits) -> list[Frame]:
    """`PICTURES` frames spread over the clip, as the analyzer would be given them."""
    assert analyzer.needs.frames is not None
    found: list[Frame] = []
    wanted = [info.duration_s * (index + 0.5) / PICTURES for index in range(PICTURES)]
    with FrameStream(info.path, analyzer.needs.frames, decode, limits, info.origins_s) as stream:
        for frame in stream:
            if frame.pts_s >= wanted[len(found)]:
                found.append(Frame(frame.image.copy(), frame.pts_s, len(found)))
            if len(found) == PICTURES:
                break
    return found


def _copy(frame: Frame) -> Frame:
    return Frame(frame.image.copy(), frame.pts_s, frame.index)


def _noisy(frame: Frame, noise: np.random.Generator) -> Frame:
    """The picture with each value moved by at most 1: nobody sees it, a cache by content does."""
    moved = frame.image.astype(np.int16) + noise.integers(-1, 2, frame.image.shape, dtype=np.int16)
    return Frame(moved.clip(0, 255).astype(np.uint8), frame.pts_s, frame.index)


def _stamped(frames: list[Frame], pictures: list[Frame]) -> Iterator[Frame]:
    """The frames with rising times, at the distance at which the analyzer samples."""
    step = pictures[1].pts_s - pictures[0].pts_s if len(pictures) > 1 else 0.1
    return (Frame(frame.image, index * step, index) for index, frame in enumerate(frames))
