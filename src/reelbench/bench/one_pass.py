"""One pass over one clip: opened, decoded, analyzed. The clock runs from before the first until the result is plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from time import perf_counter, thread_time, time
from typing import Any

from reelbench.analyzers.base import Analyzer, Material
from reelbench.bench.decoded import decoded_facts
from reelbench.bench.process_stats import UsageMeter
from reelbench.bench.timing import PhaseTimer, TimedFrames
from reelbench.media.audio import Sound, read_sound
from reelbench.media.frames import FrameStream
from reelbench.media.types import ClipInfo, DecodeOptions, Frame, Limits
from reelbench.results import AnalyzerResult

PROGRESS_EVERY_S = 0.5


def one_pass(
    analyzer: Analyzer,
    name: str,
    info: ClipInfo,
    decode: DecodeOptions,
    limits: Limits,
    progress: Callable[[float], None],
    delay_s: float = 0.0,
    upstream: Mapping[str, AnalyzerResult] = {},
) -> dict[str, Any]:
    """Analyze one clip.

    ``sample`` is a row of `reelbench.bench.records.SAMPLE_COLUMNS` without its first three columns; ``frames`` are (pts_s, step_s) of
    each sampled frame; ``result`` is JSON; `decoded_facts` complete the answer. ``progress`` is told now and then which share of the
    clip is done. ``delay_s``: so many seconds of processor time are burnt at each frame, for a slow-down that is known.
    """
    needs, phases, meter = analyzer.needs, PhaseTimer(), UsageMeter()
    stream = frames = None
    sound: Sound | None = None
    audio_s = 0.0
    meter.start()
    begun, started = time(), perf_counter()
    if needs.audio is not None and info.has_audio:
        sound = read_sound(info.path, needs.audio, limits, info.origins_s)
        audio_s = perf_counter() - started
    audio = sound.samples if sound is not None else None
    if needs.frames is not None:
        with FrameStream(info.path, needs.frames, decode, limits, info.origins_s) as stream:
            told = _told(iter(stream), info, progress)
            frames = TimedFrames(_delayed(told, delay_s) if delay_s else told, phases)
            frames.waited_s = perf_counter() - started - audio_s  # opening the file
            result = analyzer.analyze(Material(name, info, phases, frames, audio, upstream))
    else:
        result = analyzer.analyze(Material(name, info, phases, audio=audio, upstream=upstream))
    # Whatever a result still has to work out when it is read belongs to the pass.
    text, sampled, inferred = result.model_dump_json(), int(result.frames_sampled), int(result.frames_inferred)
    ended = perf_counter()
    usage = meter.stop()

    total_s = ended - started
    decode_s = audio_s + (frames.waited_s if frames else 0.0)
    sample = {
        "started": begun,
        "total_s": total_s,
        "decode_s": decode_s,
        **{f"{phase}_s": seconds for phase, seconds in phases.seconds.items()},
        "other_s": max(0.0, total_s - decode_s - sum(phases.seconds.values())),
        "decode_busy_s": audio_s + (stream.busy_s if stream else 0.0),
        **asdict(usage),
        "frames_decoded": stream.frames_decoded if stream else 0,
        "frames_sampled": sampled,
        "frames_inferred": inferred,
        "frames_handed": len(frames.pts_s) if frames else 0,
        "duration_s": info.duration_s,
    }
    return {
        "sample": sample,
        "frames": list(zip(frames.pts_s, frames.step_seconds(ended, analyzer.step), strict=True)) if frames else [],
        "result": text,
        **decoded_facts(stream, sound.damage if sound is not None else {}, decode),
    }


def _told(frames: Iterator[Frame], info: ClipInfo, progress: Callable[[float], None]) -> Iterator[Frame]:
    """Pass frames on and say now and then how far the clip is. The clock is looked at once a sampled frame."""
    told = perf_counter()
    for frame in frames:
        if (now := perf_counter()) - told > PROGRESS_EVERY_S:
            told = now
            progress(min(1.0, frame.pts_s / info.duration_s) if info.duration_s else 0.0)
        yield frame


def _delayed(frames: Iterator[Frame], delay_s: float) -> Iterator[Frame]:
    """Burn processor time of this thread before each frame: like slower code, it takes longer still where the core is shared."""
    for frame in frames:
        until = thread_time() + delay_s
        while thread_time() < until:
            pass
        yield frame
