"""What runs inside of the worker processes of a system run: `reelbench.bench.worker` calls these by name (request 'call')."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, time
from typing import Any

from reelbench.bench.process_stats import UsageMeter
from reelbench.bench.timing import PhaseTimer, TimedFrames
from reelbench.bench.worker import Job
from reelbench.errors import AnalyzerError
from reelbench.media.types import ClipInfo, Frame
from reelbench.results import AnalyzerResult
from reelbench.system import spool

Tell = Callable[[float], None]

SETTLE, FRAMES, HEAR, ANALYZE = (f"{__name__}:{name}" for name in ("settle", "decode", "hear", "analyze"))

_TELL_EVERY_S = 1.0


def settle(analyzer: Any, job: Job, value: dict[str, Any], tell: Tell) -> None:
    """Do nothing: what every task imports is imported now, which belongs to loading."""


def decode(analyzer: Any, job: Job, value: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write the frames of a clip for all who ask: ``folder``, ``info``, ``requests``, ``most_bytes`` → the span's sample."""
    meter, begun, started = _started()
    requests = [spool.request_of(fields) for fields in value["requests"]]
    info = ClipInfo(**value["info"])
    try:
        folder, most = Path(value["folder"]), value["most_bytes"]
        facts, found = spool.write_frames(folder, info.path, requests, job.decode, job.limits, most, info.origins_s)
    except OSError as error:
        return _full(error, Path(value["folder"]))
    return {"sample": _sample(meter, begun, started, facts), **found}


def hear(analyzer: Any, job: Job, value: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write the sound of a clip at each of ``rates``."""
    meter, begun, started = _started()
    info = ClipInfo(**value["info"])
    try:
        folder, most = Path(value["folder"]), value["most_bytes"]
        found = spool.write_sound(folder, info.path, value["rates"], job.limits, most, info.origins_s)
    except OSError as error:
        return _full(error, Path(value["folder"]))
    return {"sample": _sample(meter, begun, started, {}), **found}


def analyze(analyzer: Any, job: Job, value: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """One analyzer on one clip, from what was decoded for it: the counterpart of `reelbench.bench.one_pass.one_pass`."""
    from reelbench.analyzers.base import Material

    meter, begun, started = _started()
    folder, info, needs, phases = Path(value["folder"]), ClipInfo(**value["info"]), analyzer.needs, PhaseTimer()
    upstream = {name: AnalyzerResult.model_validate_json(text) for name, text in value["upstream"].items()}
    audio = frames = None
    if needs.audio is not None and info.has_audio:
        audio = spool.read_sound(folder, needs.audio.rate)
    read_s = perf_counter() - started
    with ExitStack() as files:
        given: Iterator[Frame] = iter(())
        if needs.frames is not None:
            spooled = files.enter_context(spool.SpooledFrames(folder, needs.frames))
            given = frames = TimedFrames(_told(iter(spooled), info, tell), phases)
        result = analyzer.analyze(Material(value["name"], info, phases, given, audio, upstream))
    facts = {
        "decode_s": read_s + (frames.waited_s if frames is not None else 0.0),
        **{f"{phase}_s": seconds for phase, seconds in phases.seconds.items()},
    }
    text = checked(result).model_dump_json()
    handed = frames.pts_s if frames is not None else []
    return {"sample": _sample(meter, begun, started, facts), "result": text, "frames": handed}


def checked(result: Any) -> AnalyzerResult:
    if not isinstance(result, AnalyzerResult):
        raise AnalyzerError(f"it returned {type(result).__name__} instead of an AnalyzerResult")
    return result


def _told(frames: Iterator[Frame], info: ClipInfo, tell: Tell) -> Iterator[Frame]:
    last = perf_counter()
    for frame in frames:
        if (now := perf_counter()) - last > _TELL_EVERY_S:
            last = now
            tell(min(1.0, frame.pts_s / info.duration_s) if info.duration_s else 0.0)
        yield frame


def _started() -> tuple[UsageMeter, float, float]:
    meter = UsageMeter()
    meter.start()
    return meter, time(), perf_counter()


def _sample(meter: UsageMeter, begun: float, started: float, facts: dict[str, Any]) -> dict[str, Any]:
    total_s = perf_counter() - started
    return {"started": begun, "total_s": total_s, **asdict(meter.stop()), **facts}


def _full(error: OSError, folder: Path) -> dict[str, Any]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"full": str(folder)}
    raise error
