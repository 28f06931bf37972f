"""visual_effects: fades, dissolves, flashes, freezes, blur, slow motion and colour filters.

A few numbers and a tiny picture of every frame (`motion.statistics`), and a rule for each effect (`motion.effects`).
No network.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, naming
from reelbench.analyzers.motion.effects import Effect, effects
from reelbench.analyzers.motion.statistics import Seen
from reelbench.engines.base import Evidence
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "visual_effects"


class VisualEffects(Plain):
    """``size`` (width, height) of the frames, null: as displayed. ``sampling`` {every: n} or {rate: f}: what repeats
    frames (freezes, slow motion) or lasts for three of them (a flash) is only seen in every frame. ``threads`` of
    OpenCV, 0: its own choice."""

    def __init__(
        self,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        threads: NonNegativeInt = 1,
    ) -> None:
        with naming("sampling"):
            chosen = Sampling(**sampling)
        with naming("size"):
            width_height = None if size is None else (int(size[0]), int(size[1]))
        self._request = FrameRequest(chosen, width_height, "rgb")
        self._threads = threads

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    def load(self, store: WeightsSource) -> None:
        import cv2

        if self._threads:
            cv2.setNumThreads(self._threads)

    def analyze(self, material: Material) -> AnalyzerResult:
        seen = Seen()
        for frame in material.frames:
            with material.phases("infer"):
                seen.add(frame.image, frame.pts_s)
        duration = material.info.duration_s
        with material.phases("postprocess", items=0):
            events = tuple(_event(effect, seen, duration) for effect in effects(seen))
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=duration,
            frames_sampled=len(seen.times),
            frames_inferred=len(seen.times),
            sampled_s=tuple(seen.times),
            events=events,
        )

    def evidence(self) -> Evidence:
        import cv2

        return Evidence(
            engine="opencv",
            device="CPU",
            precision="fp32",
            version=importlib.metadata.version("opencv-python-headless"),
            details={"size": self._request.size or "as displayed", "threads": cv2.getNumThreads()},
        )


def _event(effect: Effect, seen: Seen, duration_s: float) -> Event:
    """An effect lasts until the frame after it comes."""
    start = seen.times[effect.first]
    end = seen.times[effect.last] if effect.last < len(seen.times) else max(duration_s, seen.times[-1])
    score = round(min(1.0, max(0.0, effect.score)), 4)
    return Event(start_s=start, end_s=end, label=effect.label, score=score, attributes=dict(effect.attributes))
