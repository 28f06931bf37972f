"""age_estimation: how old, and of which gender, faces appear. An impression of a picture, not a fact about a person
(docs say for what not to use it).

Every technique is one switch of the configuration: faces from eye_tracking upstream (no detector of its own),
``looks`` (so many crops of each face), ``mirror``, ``sampling`` and ``size`` of the frames, ``threads``, and which
networks there are: one for age and one for gender, or InsightFace's one for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, naming
from reelbench.analyzers.blaze.crops import Picture, size_of
from reelbench.analyzers.blaze.ssd import Detector
from reelbench.analyzers.faces import genderage
from reelbench.analyzers.faces.events import FACE
from reelbench.analyzers.faces.networks import DETECTOR_FEED, face_detector
from reelbench.analyzers.faces.portraits import (
    FEED,
    Eyes,
    Sitter,
    associate,
    estimate,
    event_of,
    eyes_in,
    frontal,
)
from reelbench.analyzers.networks import WithNetworks, given
from reelbench.engines.base import Evidence
from reelbench.engines.openvino_small import evidence_of
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Box, Event
from reelbench.settings import FieldsOf

NAME = "age_estimation"
_EYES = "eye_tracking"
_BOTH = "genderage"
_ROLES = {"detector": DETECTOR_FEED, "age": FEED, "gender": FEED}
_ROLES_OF_BOTH = {"detector": DETECTOR_FEED, _BOTH: genderage.FEED}


class AgeEstimation(WithNetworks):
    """Estimates apparent age and gender of each face.

    ``weights`` names the catalog entry of each network: detector, age and gender, or detector and genderage (the other
    two null). ``architecture`` builds a role whose entry is 'random'. ``size`` is [width, height] of the frames, null as
    displayed. ``upstream_faces``: take faces and eyes from eye_tracking, where it is upstream; false, or without it, the
    detector looks for them in every frame. ``threshold``: least score of a detection. ``looks``: at most so many crops of
    each face, null all. ``least_apart``: eyes closer than this share of the face's width are a profile, which is not
    estimated. ``mirror``: each crop is estimated twice, once mirrored. ``gap_s``: a face that is not detected for longer is
    another one. Raises ConfigError where one makes no sense."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        upstream_faces: bool = False,
        threshold: NonNegativeFloat = 0.75,
        closer: bool = True,
        looks: PositiveInt | None = None,
        least_apart: NonNegativeFloat = 0.28,
        mirror: bool = False,
        gap_s: NonNegativeFloat = 0.6,
        threads: NonNegativeInt = 1,
        architecture: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(weights, _ROLES_OF_BOTH if _BOTH in given(weights) else _ROLES, threads, architecture)
        if not 0 < threshold < 1 or not 0 <= least_apart < 1 or (looks is not None and looks < 1) or gap_s < 0:
            raise ConfigError(
                "analyzer.threshold, least_apart, looks or gap_s makes no sense",
                "threshold and least_apart lie between 0 and 1, looks is 1 or more or null, gap_s not below 0",
            )
        with naming("sampling"):
            self._request = FrameRequest(Sampling(**sampling), size_of(size))
        self._upstream, self._threshold, self._closer = upstream_faces, threshold, closer
        self._looks, self._least_apart, self._mirror = looks, least_apart, mirror
        self._gap_s = gap_s
        self._from = ""

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request, upstream_if_any=(_EYES,) if self._upstream else ())

    def analyze(self, material: Material) -> AnalyzerResult:
        known = self._upstream and _EYES in material.upstream
        self._from = _EYES if known else "detector"
        sitters, pts_s = (self._known if known else self._detected)(material)
        with material.phases("postprocess", items=0):
            found = [event for sitter in sitters if (event := event_of(sitter, FACE)) is not None]
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=material.info.duration_s,
            frames_sampled=len(pts_s),
            frames_inferred=len(pts_s),
            sampled_s=tuple(pts_s),
            events=tuple(found),
        )

    def evidence(self) -> Evidence:
        """``faces_from``: what found the faces of the last clip."""
        return evidence_of(self.networks, faces_from=self._from)

    def _known(self, material: Material) -> tuple[list[Sitter], list[float]]:
        """Faces of eye_tracking, each looked at ``looks`` times."""
        info, pts_s = material.info, []
        events = [event for event in material.upstream[_EYES].events if event.label == FACE and event.box is not None]
        pairs: list[tuple[Sitter, Event]] = []
        for event in events:
            assert event.box is not None
            sitter = Sitter(event.start_s, event.end_s, event.score, event.box, list(event.track), len(pairs))
            pairs.append((sitter, event))
        for frame in material.frames:
            pts_s.append(frame.pts_s)
            picture = Picture(frame.image, info.width, info.height)
            with material.phases("infer"):
                for sitter, event in pairs:
                    at = event.box_at(frame.pts_s)
                    if at is not None and sitter.due(frame.pts_s, self._looks):
                        self._look(sitter, picture, eyes_in(event, frame.pts_s), at.box)
        return [sitter for sitter, _ in pairs], pts_s

    def _detected(self, material: Material) -> tuple[list[Sitter], list[float]]:
        """Faces that the detector finds, frame by frame; each lasts until the sample after its last one."""
        info, detector = material.info, face_detector(self.networks["detector"], self._threshold)
        sitters: list[Sitter] = []
        pts_s: list[float] = []
        live: list[Sitter] = []
        for frame in material.frames:
            for sitter in live:
                sitter.end_s = frame.pts_s
            pts_s.append(frame.pts_s)
            with material.phases("infer"):
                live = self._step(detector, Picture(frame.image, info.width, info.height), frame.pts_s, sitters)
        for sitter in live:
            sitter.end_s = max(info.duration_s, sitter.end_s)
        return sitters, pts_s

    def _step(self, detector: Detector, picture: Picture, t_s: float, sitters: list[Sitter]) -> list[Sitter]:
        found = detector.find(picture, self._closer)
        seen = associate(sitters, found, t_s, t_s, self._gap_s, picture.width, picture.height)
        for sitter, eyes in seen:
            if self._looks is None or len(sitter.estimates) < self._looks:
                self._look(sitter, picture, eyes, sitter.track[-1].box)
        return [sitter for sitter, _ in seen]

    def _look(self, sitter: Sitter, picture: Picture, eyes: Eyes, box: Box) -> None:
        networks = self.networks
        if not frontal(eyes, box, self._least_apart):
            return
        if _BOTH in networks:
            sitter.estimates.append(genderage.estimate(networks[_BOTH], picture, box, self._mirror))
        else:
            sitter.estimates.append(estimate(networks["age"], networks["gender"], picture, eyes, self._mirror))
