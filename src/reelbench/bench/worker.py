"""The process that is measured. It does what it is told over a pipe and answers with plain values.

It is spawned fresh for each variant, so nothing of the parent (imports, caches, threads) is in its figures, and a decoder or a
network that crashes or hangs takes only this process with it. Requests and replies are tuples ``(kind, value)``:

    ready      → sent once, when Python and this module are up
    prepare    → done
    load       → loaded
    analyze    → progress … , analyzed | refused | failed
    evidence   → evidence
    stop
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, time
from typing import Any

from reelbench.bench.process_stats import UsageMeter
from reelbench.bench.timing import PhaseTimer, TimedFrames
from reelbench.errors import MediaError, ReelBenchError
from reelbench.media.types import ClipInfo, DecodeOptions, Limits

PROGRESS_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is for: the analyzer's node of the configuration, how to decode, and where it may write."""

    analyzer: dict[str, Any]
    decode: DecodeOptions
    limits: Limits
    seed: int
    log: Path


def serve(pipe: Connection, job: Job) -> None:
    """The worker's main function: answer requests until 'stop' or until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _redirect_output(job.log)
    random.seed(job.seed)
    worker = _Worker(pipe, job)
    pipe.send(("ready", None))
    while True:
        try:
            request, value = pipe.recv()
        except EOFError:
            return
        if request == "stop":
            worker.close()
            return
        pipe.send(worker.answer(request, value))


class _Worker:
    def __init__(self, pipe: Connection, job: Job) -> None:
        self._pipe = pipe
        self._job = job
        self._analyzer: Any = None

    def answer(self, request: str, value: Any) -> tuple[str, Any]:
        try:
            return getattr(self, f"_{request}")(value)  # type: ignore[no-any-return]
        except MediaError as error:
            return "refused", error
        except ReelBenchError as error:
            traceback.print_exc()
            return "failed", error.message
        except MemoryError:
            traceback.print_exc()
            return "failed", "out of memory"
        except Exception as error:  # noqa: BLE001 - whatever an analyzer raises is a recorded failure of that clip
            traceback.print_exc()
            return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finally:
            sys.stderr.flush()

    def close(self) -> None:
        if self._analyzer is not None:
            self._analyzer.close()

    def _build(self) -> Any:
        from reelbench.config import instantiate
        from reelbench.models.store import ModelStore

        if self._analyzer is None:
            self._analyzer = instantiate(self._job.analyzer)
        return self._analyzer, ModelStore()

    def _prepare(self, _: None) -> tuple[str, Any]:
        started = perf_counter()
        analyzer, store = self._build()
        analyzer.prepare(store)
        return "done", perf_counter() - started

    def _load(self, _: None) -> tuple[str, Any]:
        started = perf_counter()
        analyzer, store = self._build()
        analyzer.load(store)
        return "loaded", perf_counter() - started

    def _evidence(self, _: None) -> tuple[str, Any]:
        return "evidence", asdict(self._analyzer.evidence())

    def _analyze(self, clip: tuple[str, ClipInfo]) -> tuple[str, Any]:
        """One pass over one clip: opened, decoded, analyzed; the clock runs from before the first to after the last."""
        from reelbench.analyzers.base import Material
        from reelbench.media.audio import read_audio
        from reelbench.media.frames import FrameStream

        name, info = clip
        analyzer, needs = self._analyzer, self._analyzer.needs
        phases, meter = PhaseTimer(), UsageMeter()
        stream = frames = audio = None
        audio_s = 0.0
        meter.start()
        begun, started = time(), perf_counter()
        if needs.audio is not None and info.has_audio:
            audio = read_audio(info.path, needs.audio, self._job.limits)
            audio_s = perf_counter() - started
        if needs.frames is not None:
            stream = FrameStream(info.path, needs.frames, self._job.decode, self._job.limits)
            opened = perf_counter()
            with stream:
                frames = TimedFrames(self._reported(iter(stream), info), phases)
                frames.waited_s = opened - started - audio_s
                result = analyzer.analyze(Material(clip=name, info=info, phases=phases, frames=frames, audio=audio))
        else:
            result = analyzer.analyze(Material(clip=name, info=info, phases=phases, audio=audio))
        ended = perf_counter()
        usage = meter.stop()

        decode_s = audio_s + (frames.waited_s if frames else 0.0)
        total_s = ended - started
        sample = {
            "started": begun,
            "total_s": total_s,
            "decode_s": decode_s,
            **{f"{phase}_s": seconds for phase, seconds in phases.seconds.items()},
            "other_s": max(0.0, total_s - decode_s - sum(phases.seconds.values())),
            "decode_busy_s": audio_s + (stream.busy_s if stream else 0.0),
            **asdict(usage),
            "frames_decoded": stream.frames_decoded if stream else 0,
            "frames_sampled": result.frames_sampled,
            "frames_inferred": result.frames_inferred,
            "duration_s": info.duration_s,
        }
        steps = list(zip(frames.pts_s, frames.step_seconds(ended, analyzer.step), strict=True)) if frames else []
        truncated = bool(stream and stream.truncated)
        return "analyzed", {
            "sample": sample,
            "frames": steps,
            "result": result.model_dump_json(),
            "truncated": truncated,
        }

    def _reported(self, frames: Any, info: ClipInfo) -> Any:
        """Tell the parent now and then how far the clip is. The clock is looked at once a sampled frame."""
        told = perf_counter()
        for frame in frames:
            if (now := perf_counter()) - told > PROGRESS_EVERY_S:
                told = now
                self._pipe.send(("progress", min(1.0, frame.pts_s / info.duration_s) if info.duration_s else 0.0))
            yield frame


def _redirect_output(log: Path) -> None:
    """Native libraries write to the standard streams; what they say belongs into the run's log, not into the user's table."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
