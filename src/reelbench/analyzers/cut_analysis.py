"""cut_analysis: where one shot ends and the next begins, and the rhythm that follows from it.

``detector`` finds the changes (`shots.detectors`): PySceneDetect's adaptive detector, or TransNetV2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, lowered_networks, naming
from reelbench.analyzers.shots.detectors import Change, Detector
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "cut_analysis"


class CutAnalysis(Plain):
    """``sampling`` {every: n} or {rate: f}. ``size`` (width, height) of the frames where the detector does not fix
    it, null: as displayed."""

    def __init__(
        self,
        detector: Detector,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
    ) -> None:
        with naming("sampling"):
            chosen = Sampling(**sampling)
        with naming("size"):
            asked = None if size is None else (int(size[0]), int(size[1]))
        self._detector = detector
        self._request = FrameRequest(chosen, detector.size or asked, "rgb")
        self.weights: tuple[str, ...] = detector.weights

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    def available(self) -> Availability:
        return self._detector.available()

    def prepare(self, store: WeightsSource) -> None:
        self._detector.prepare(store)

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        return lowered_networks(self._detector, store)

    def load(self, store: WeightsSource) -> None:
        self._detector.load(store)

    def analyze(self, material: Material) -> AnalyzerResult:
        found = self._detector.detect(material.frames, material.info.fps, material.phases)
        duration = material.info.duration_s
        events: list[Event] = []
        if found.times:
            events = [_event(change) for change in found.changes]
            events.append(_rhythm([change.at_s for change in found.changes], max(duration, found.times[-1])))
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=duration,
            frames_sampled=len(found.times),
            frames_inferred=len(found.times),
            sampled_s=tuple(found.times),
            events=tuple(events),
        )

    def evidence(self) -> Evidence:
        return self._detector.evidence()

    def close(self) -> None:
        self._detector.close()


def _event(change: Change) -> Event:
    score = round(min(1.0, max(0.0, change.score)), 4)
    return Event(start_s=change.start_s, end_s=change.end_s, label=change.kind, score=score)


def _rhythm(cuts: Sequence[float], duration_s: float) -> Event:
    """The whole clip's figures: shots are what lies between the middles of the changes."""
    edges = [0.0, *cuts, duration_s]
    lengths = [max(0.0, b - a) for a, b in pairwise(edges)]
    attributes = {
        "shots": len(lengths),
        "mean_shot_s": round(duration_s / len(lengths), 3),
        "shortest_shot_s": round(min(lengths), 3),
        "longest_shot_s": round(max(lengths), 3),
    }
    if duration_s > 0:
        attributes["cuts_per_min"] = round(60 * len(cuts) / duration_s, 2)
    return Event(start_s=0.0, end_s=duration_s, label="clip", score=1.0, attributes=attributes)
