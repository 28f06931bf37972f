"""A few frames of a clip with what the analyzer found there, small enough to live inside a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from reelbench.corpus.clip import Truth
from reelbench.errors import AnalyzerError, ReelBenchError
from reelbench.media.types import Frame
from reelbench.processes import die_with_parent
from reelbench.results import AnalyzerResult, Box

WIDTH = 400
HEIGHT = 400
QUALITY = 70
LONGEST_S = 120.0
"""Frames are looked for in the first two minutes of a clip: a page must not decode an hour of video."""
TIMEOUT_S = 120.0
_SAME_INSTANT_S = 1e-3


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """``box`` is in pixels of the thumbnail. ``score`` is None for ground truth."""

    box: Box
    label: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One frame as JPEG, ``width`` × ``height`` pixels, ``t_s`` seconds into the clip; ``truth`` is None where there is none."""

    t_s: float
    width: int
    height: int
    jpeg: bytes
    found: tuple[LabelledBox, ...] = ()
    truth: tuple[LabelledBox, ...] | None = None


def sampled_frames(
    clip_path: Path, result: AnalyzerResult, count: int = 4, truth: Truth | None = None
) -> list[SampledFrame]:
    """``count`` frames spread over the clip, each with the boxes that hold at its instant.

    Where the analyzer saw something near a wanted instant, the frame is taken there, so that detections of a single frame
    (an event that starts and ends at once) are shown too. Fewer frames come from a clip that has fewer. Decodes in this
    process; MediaError where the clip cannot be opened. `sampled_frames_apart` shields the caller from a crash.
    """
    return [alone for (alone,) in frames_at(clip_path, _instants(result, count), (result,), truth)]


def sampled_frames_apart(
    clip_path: Path, result: AnalyzerResult, count: int = 4, truth: Truth | None = None, timeout_s: float = TIMEOUT_S
) -> list[SampledFrame]:
    """As `sampled_frames`, in a process of its own: a decoder that crashes or hangs is an AnalyzerError, not the caller's end."""
    return [alone for (alone,) in frames_at_apart(clip_path, _instants(result, count), (result,), truth, timeout_s)]


def frames_at(
    clip_path: Path, wanted: Sequence[float], results: Sequence[AnalyzerResult], truth: Truth | None = None
) -> list[tuple[SampledFrame, ...]]:
    """For each of the ascending instants ``wanted`` (seconds) its frame, once with the boxes of each of ``results``."""
    from reelbench.media import FrameStream
    from reelbench.media.types import FrameRequest, Sampling

    taken: list[tuple[SampledFrame, ...]] = []
    if not wanted:
        return taken
    with FrameStream(clip_path, FrameRequest(Sampling(every=1))) as stream:
        for frame in stream:
            if frame.pts_s + _SAME_INSTANT_S >= wanted[len(taken)]:
                taken.append(_sampled(frame, results, truth))
            if len(taken) == len(wanted):
                break
    return taken


def frames_at_apart(
    clip_path: Path,
    wanted: Sequence[float],
    results: Sequence[AnalyzerResult],
    truth: Truth | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[tuple[SampledFrame, ...]]:
    """As `frames_at`, in a process of its own (see `sampled_frames_apart`)."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs, clip_path, wanted, results, truth), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(timeout_s):
            raise AnalyzerError(f"{clip_path.name}: no frames for the page after {timeout_s:.0f} s")
        answer = ours.recv()
    except AnalyzerError:
        raise
    except Exception as error:  # the end of the pipe, or whatever a process sent whose memory was overwritten
        raise AnalyzerError(f"{clip_path.name}: the decoder crashed while frames were taken for the page") from error
    finally:
        child.kill()
        child.join()
        ours.close()
    if isinstance(answer, ReelBenchError):
        raise answer
    frames: list[tuple[SampledFrame, ...]] = answer
    return frames


def _answer(
    pipe: Connection, path: Path, wanted: Sequence[float], results: Sequence[AnalyzerResult], truth: Truth | None
) -> None:
    """What the child does: send the frames, or the error that says why there are none."""
    die_with_parent()
    try:
        pipe.send(frames_at(path, wanted, results, truth))
    except ReelBenchError as error:
        pipe.send(error)
    except Exception as error:  # noqa: BLE001 - a page must do without the frames of a clip, whatever is wrong with them
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        pipe.send(AnalyzerError(f"{path.name}: no frames for the page: {what}"))


def _instants(result: AnalyzerResult, count: int) -> list[float]:
    """The middles of ``count`` equal parts of the clip, each moved to the nearest detection inside its part."""
    length = min(result.duration_s, LONGEST_S)
    part = length / count
    seen = sorted({key for event in result.events for key in _key_times(event.start_s, event.track)})
    instants = []
    for index in range(count):
        middle = (index + 0.5) * part
        near = [t for t in seen if index * part <= t < (index + 1) * part]
        instants.append(min(near, key=lambda t: abs(t - middle)) if near else middle)
    return instants


def _key_times(start_s: float, track: Sequence[object]) -> list[float]:
    return [float(t) for key in track if (t := getattr(key, "t_s", None)) is not None] or [start_s]


def _sampled(frame: Frame, results: Sequence[AnalyzerResult], truth: Truth | None) -> tuple[SampledFrame, ...]:
    from PIL import Image

    image = Image.fromarray(frame.image)
    scale = min(1.0, WIDTH / image.width, HEIGHT / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    written = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(written, "JPEG", quality=QUALITY, optimize=True)
    return tuple(
        SampledFrame(
            t_s=frame.pts_s,
            width=size[0],
            height=size[1],
            jpeg=written.getvalue(),
            found=_found(result, frame.pts_s, scale),
            truth=_true(truth, frame.pts_s, scale),
        )
        for result in results
    )


def _found(result: AnalyzerResult, t_s: float, scale: float) -> tuple[LabelledBox, ...]:
    boxes = []
    for event in result.events:
        alone = event.start_s == event.end_s and abs(event.start_s - t_s) <= _SAME_INSTANT_S
        at = event.box_at(event.start_s if alone else t_s)
        if at is not None:
            boxes.append(LabelledBox(_scaled(at.box, scale), event.label, at.score))
    return tuple(sorted(boxes, key=lambda box: -(box.score or 0.0)))


def _true(truth: Truth | None, t_s: float, scale: float) -> tuple[LabelledBox, ...] | None:
    """What the truth says of the instant nearest to ``t_s``; None where it knows no objects near it."""
    if truth is None or not truth.objects:
        return None
    frames = truth.objects
    nearest = min(frames, key=lambda frame: abs(frame.t_s - t_s))
    spacing = (frames[-1].t_s - frames[0].t_s) / max(1, len(frames) - 1)
    if abs(nearest.t_s - t_s) > max(spacing, 0.05):
        return None
    return tuple(LabelledBox(_scaled(known.box, scale), known.label) for known in nearest.objects if not known.ignore)


def _scaled(box: Box, scale: float) -> Box:
    x1, y1, x2, y2 = (round(value * scale, 1) for value in box)
    return x1, y1, x2, y2
