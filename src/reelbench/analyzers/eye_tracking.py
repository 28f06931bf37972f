"""eye_tracking: faces over time, their eyes, blinks, and who looks at the camera.

Every technique is one switch of the configuration: ``follow`` (landmarks lead from frame to frame, the detector runs
when needed), ``sampling`` and ``size`` of the frames, ``threads``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, naming
from reelbench.analyzers.blaze.crops import Picture, size_of
from reelbench.analyzers.faces.events import Clock, Judging, events
from reelbench.analyzers.faces.follow import Faces, Following
from reelbench.analyzers.faces.networks import DETECTOR_FEED, LANDMARK_FEED, face_detector
from reelbench.analyzers.networks import WithNetworks
from reelbench.engines.base import Evidence
from reelbench.engines.openvino_small import evidence_of
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult
from reelbench.settings import FieldsOf

NAME = "eye_tracking"
_ROLES = {"detector": DETECTOR_FEED, "mesh": LANDMARK_FEED, "iris": LANDMARK_FEED}


class EyeTracking(WithNetworks):
    """Follows faces and their eyes through the sampled frames of a clip.

    ``weights`` names the catalog entry of each network: detector, mesh, iris. ``size`` is [width, height] of the
    frames, null as displayed. ``threshold``: least score of a detection. ``closer``: the detector also looks at
    overlapping parts of a long frame, where it finds faces that are small in the whole. ``follow`` are the arguments
    of `faces.follow.Following`, null runs the detector on every frame. ``judging`` are those of
    `faces.events.Judging`. Raises ConfigError where one of them makes no sense."""

    def __init__(
        self,
        weights: Mapping[str, str],
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        threshold: NonNegativeFloat = 0.5,
        closer: bool = True,
        follow: Annotated[Mapping[str, Any], FieldsOf(Following)] | None = None,
        judging: Annotated[Mapping[str, Any], FieldsOf(Judging)] | None = None,
        threads: NonNegativeInt = 1,
    ) -> None:
        super().__init__(weights, _ROLES, threads)
        if not 0 < threshold < 1:
            raise ConfigError(f"analyzer.threshold is {threshold}", "give a score between 0 and 1")
        with naming("sampling"):
            self._request = FrameRequest(Sampling(**sampling), size_of(size))
        with naming("follow"):
            self._following = Following(**(follow or {}))
        with naming("judging"):
            self._judging = Judging(**(judging or {}))
        self._threshold, self._closer = threshold, closer
        self._remember = follow is not None
        self._detections = 0

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    def analyze(self, material: Material) -> AnalyzerResult:
        networks, info = self.networks, material.info
        detector = face_detector(networks["detector"], self._threshold)
        faces = Faces(detector, networks["mesh"], networks["iris"], self._following, self._remember, self._closer)
        pts_s: list[float] = []
        for frame in material.frames:
            with material.phases("infer"):
                faces.step(Picture(frame.image, info.width, info.height), frame.pts_s)
            pts_s.append(frame.pts_s)
        self._detections = faces.detections
        with material.phases("postprocess", items=0):
            clock = Clock(pts_s, info.duration_s)
            found = events(faces.tracks, clock, info.width, info.height, self._judging)
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=info.duration_s,
            frames_sampled=len(pts_s),
            frames_inferred=len(pts_s),
            sampled_s=tuple(pts_s),
            events=tuple(found),
        )

    def evidence(self) -> Evidence:
        """``detections``: on how many frames of the last clip the detector ran."""
        return evidence_of(self.networks, detections=self._detections)
