"""scene_segmentation: shots, and which of them together are a scene.

``detector`` finds the shots (`shots.detectors`), their look groups them (`shots.scenes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import NonNegativeFloat, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, lowered_networks, naming
from reelbench.analyzers.shots.detectors import Detector
from reelbench.analyzers.shots.scenes import Look, Scene, Shot, look, scenes, shots
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "scene_segmentation"


class SceneSegmentation(Plain):
    """``sampling`` {every: n} or {rate: f}. ``size`` of the frames where the detector does not fix it, null: as
    displayed.

    ``alike``: shots that look so much alike (0…1) belong together, at most ``reach_shots`` shots and ``reach_s``
    seconds apart, across others only where these take at most ``cutaway_s`` or interleave with them; ``layout_share``
    of that is where colours are, the rest which colours there are.
    """

    def __init__(
        self,
        detector: Detector,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        alike: NonNegativeFloat = 0.8,
        reach_s: NonNegativeFloat = 4.0,
        reach_shots: PositiveInt = 3,
        layout_share: NonNegativeFloat = 0.2,
        cutaway_s: NonNegativeFloat = 1.5,
    ) -> None:
        if not (0 < alike < 1 and 0 <= layout_share <= 1 and min(reach_s, cutaway_s) >= 0 and reach_shots >= 1):
            raise ConfigError(
                "analyzer.alike, layout_share, reach_s, cutaway_s or reach_shots makes no sense", "see conf/analyzer"
            )
        with naming("sampling"):
            chosen = Sampling(**sampling)
        with naming("size"):
            asked = None if size is None else (int(size[0]), int(size[1]))
        self._detector = detector
        self._request = FrameRequest(chosen, detector.size or asked, "rgb")
        self._how = {"alike": alike, "reach_s": reach_s, "layout_share": layout_share, "cutaway_s": cutaway_s}
        self._reach_shots = reach_shots
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
        """Events: 'shot' for each shot, 'scene' for each scene; ``place`` says which scenes look like the same
        place."""
        found = self._detector.detect(material.frames, material.info.fps, material.phases)
        duration = material.info.duration_s
        events: list[Event] = []
        if found.times:
            with material.phases("postprocess", items=0):
                each = shots(found.times, found.changes, max(duration, found.times[-1]))
                looks: list[Look] = [look(found.pictures, shot) for shot in each]
                groups = scenes(each, looks, reach_shots=self._reach_shots, **self._how)
                events = [*(_shot(number, shot) for number, shot in enumerate(each)), *(map(_scene, groups))]
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=duration,
            frames_sampled=len(found.times),
            frames_inferred=len(found.times),
            sampled_s=tuple(found.times),
            events=tuple(sorted(events, key=lambda event: (event.start_s, event.label))),
        )

    def evidence(self) -> Evidence:
        return self._detector.evidence()

    def close(self) -> None:
        self._detector.close()


def _shot(number: int, shot: Shot) -> Event:
    return Event(start_s=shot.start_s, end_s=shot.end_s, label="shot", score=1.0, attributes={"shot": number})


def _scene(scene: Scene) -> Event:
    """``score``: how much alike the most similar shots are; 1 for a scene of one shot."""
    score = round(min(1.0, max(0.0, scene.likeness)), 4)
    attributes = {"place": scene.place, "shots": list(scene.shots)}
    return Event(start_s=scene.start_s, end_s=scene.end_s, label="scene", score=score, attributes=attributes)
