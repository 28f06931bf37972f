"""camera_analysis: how the camera moves: still, pan, tilt, zoom, shake, each with its speed.

The motion between sampled frames is found by sparse optical flow and a robust similarity (`motion.flow`), and read as
moves shot by shot (`motion.moves`): where two frames have no motion in common there is a cut, and a cut is no move.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Annotated, Any

from pydantic import NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, naming
from reelbench.analyzers.motion.flow import Follower, Motion
from reelbench.analyzers.motion.moves import STILL, Limits, Move, moves
from reelbench.engines.base import Evidence
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "camera_analysis"


class CameraAnalysis(Plain):
    """Finds the camera's moves in grey frames.

    ``size`` (width, height) of the frames, null: as displayed. ``sampling`` {every: n} or {rate: f}. ``points``: how
    many corners are followed. ``limits`` are the arguments of `motion.moves.Limits`. ``threads`` of OpenCV, 0: its
    own choice. Raises ConfigError where one of them makes no sense.
    """

    def __init__(
        self,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        points: PositiveInt = 120,
        limits: Annotated[Mapping[str, Any], FieldsOf(Limits)] | None = None,
        threads: NonNegativeInt = 1,
    ) -> None:
        if points < 8:
            raise ConfigError(f"analyzer.points is {points}", "give 8 or more")
        with naming("sampling"):
            chosen = Sampling(**sampling)
        with naming("size"):
            width_height = None if size is None else (int(size[0]), int(size[1]))
        with naming("limits"):
            self._limits = Limits(**(limits or {}))
        self._request = FrameRequest(chosen, width_height, "gray")
        self._points, self._threads = points, threads

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    def load(self, store: WeightsSource) -> None:
        import cv2

        if self._threads:
            cv2.setNumThreads(self._threads)

    def analyze(self, material: Material) -> AnalyzerResult:
        """A move's ``score`` is the share of the followed points that agreed with it. A clip of one frame is still."""
        times: list[float] = []
        motions: list[Motion | None] = []
        follower = Follower(self._points)
        for frame in material.frames:
            with material.phases("infer"):
                motions.append(follower.next(frame.image))
            times.append(frame.pts_s)
        duration = material.info.duration_s
        with material.phases("postprocess", items=0):
            found = moves(times, motions, max(duration, times[-1]), self._limits) if times else []
            events = [_event(move) for move in found]
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=duration,
            frames_sampled=len(times),
            frames_inferred=len(times),
            sampled_s=tuple(times),
            events=tuple(events),
        )

    def evidence(self) -> Evidence:
        import cv2

        return Evidence(
            engine="opencv",
            device="CPU",
            precision="fp32",
            version=importlib.metadata.version("opencv-python-headless"),
            details={
                "points": self._points,
                "size": self._request.size or "as displayed",
                "threads": cv2.getNumThreads(),
            },
        )


def _event(move: Move) -> Event:
    """``speed`` in widths, heights or doublings a second; of a zoom also ``scale``, how many times larger things
    became."""
    attributes: dict[str, Any] = {}
    if move.label != STILL:
        attributes["speed"] = round(move.speed, 4)
    if move.label in ("zoom_in", "zoom_out"):
        sign = 1 if move.label == "zoom_in" else -1
        attributes["scale"] = round(exp(sign * move.speed * log(2) * (move.end_s - move.start_s)), 4)
    return Event(
        start_s=move.start_s, end_s=move.end_s, label=move.label, score=round(move.share, 4), attributes=attributes
    )
