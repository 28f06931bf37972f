"""background_segmentation: which part of the picture is people, and which is background.

Every technique is one switch of the configuration: ``follow`` (landmarks lead from frame to frame), results of
object_detection upstream (the detector looks only where people are), a ``segmenter`` instead of both networks (it sees
the whole picture), ``sampling`` and ``size`` of the frames, ``threads``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, naming
from reelbench.analyzers.blaze.crops import Picture, size_of
from reelbench.analyzers.faces.events import Clock
from reelbench.analyzers.networks import WithNetworks, given
from reelbench.analyzers.person.follow import Following, People, Track
from reelbench.analyzers.person.outlines import Shape
from reelbench.analyzers.person.pose import DETECTOR_FEED, LANDMARK_FEED, pose_detector
from reelbench.analyzers.person.regions import SEGMENTER_FEED, Followed, Regions
from reelbench.engines.base import Evidence
from reelbench.engines.openvino_small import evidence_of
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Box, BoxAt, Event
from reelbench.settings import FieldsOf

NAME = "background_segmentation"
PERSON = "person"
_DETECTION = "object_detection"
_NEAR = 0.1
"""Least score of a detection where object_detection says that there is somebody: what is found is held against that."""
_ROLES = {"detector": DETECTOR_FEED, "landmarks": LANDMARK_FEED}
_WHOLE = {"segmenter": SEGMENTER_FEED}


class BackgroundSegmentation(WithNetworks):
    """Outlines people in the sampled frames of a clip; the rest is background.

    ``weights`` names the catalog entry of each network: detector and landmarks, or a segmenter alone. ``size`` is
    [width, height] of the frames, null as displayed. ``threshold``: least score of a detection. ``closer``: the
    detector also looks at overlapping parts of a long frame. ``follow`` are the arguments of
    `person.follow.Following`; ``remember`` false runs the detector on every frame. ``people``: with results of
    object_detection upstream, look only where it sees a person with at least this score; null looks at the whole frame.

    A segmenter always does, so that threshold, closer, remember and people mean nothing to it, and of ``follow`` most,
    person, smallest and forget_s are left. ``architecture`` names what it is with random weights. ``background``: least
    share of the frame with which its other classes are reported; null reports people only. Raises ConfigError where
    one makes no sense."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        threshold: NonNegativeFloat = 0.5,
        closer: bool = True,
        remember: bool = False,
        follow: Annotated[Mapping[str, Any], FieldsOf(Following)] | None = None,
        people: float | None = None,
        threads: NonNegativeInt = 1,
        architecture: Mapping[str, str] | None = None,
        background: float | None = None,
    ) -> None:
        self._whole = "segmenter" in given(weights)
        super().__init__(weights, _WHOLE if self._whole else _ROLES, threads, architecture)
        for name, value in (("threshold", threshold), ("people", people), ("background", background)):
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"analyzer.{name} is {value}", "give a number between 0 and 1")
        if self._whole and people is not None:
            raise ConfigError(f"analyzer.people is {people}", "give null: a segmenter always sees the whole frame")
        if background is not None and not self._whole:
            raise ConfigError(f"analyzer.background is {background}", "name analyzer.weights.segmenter")
        with naming("sampling"):
            self._request = FrameRequest(Sampling(**sampling), size_of(size))
        with naming("follow"):
            self._following = Following(**(follow or {}))
        self._threshold, self._closer = threshold, closer
        self._remember, self._people, self._background = remember, people, background
        self._detections = 0

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request, upstream_if_any=(_DETECTION,) if self._people else ())

    def analyze(self, material: Material) -> AnalyzerResult:
        info = material.info
        looking = self._looking()
        pts_s: list[float] = []
        for frame in material.frames:
            known = self._known(material, frame.pts_s)
            with material.phases("infer"):
                looking.step(Picture(frame.image, info.width, info.height), frame.pts_s, known)
            pts_s.append(frame.pts_s)
        self._detections = looking.detections
        with material.phases("postprocess", items=0):
            clock = Clock(pts_s, info.duration_s)
            tracks: Sequence[Track | Followed] = looking.tracks
            found = [_event(track.seen, clock, number) for number, track in enumerate(tracks)]
            if isinstance(looking, Regions):
                found += looking.background(clock)
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
        """``detections``: on how many frames of the last clip the detector, or the segmenter, ran."""
        return evidence_of(self.networks, detections=self._detections)

    def _looking(self) -> People | Regions:
        if self._whole:
            return Regions(self.networks["segmenter"], self._following, self._background)
        detector = pose_detector(self.networks["detector"], self._threshold)
        near = pose_detector(self.networks["detector"], min(self._threshold, _NEAR))
        return People(detector, near, self.networks["landmarks"], self._following, self._remember, self._closer)

    def _known(self, material: Material, t_s: float) -> list[Box] | None:
        """Where object_detection sees people at that instant, the surest first; None where nobody asked it."""
        if self._people is None or _DETECTION not in material.upstream:
            return None
        boxes = [
            at
            for event in material.upstream[_DETECTION].events
            if event.label == PERSON and (at := event.box_at(t_s)) is not None and at.score >= self._people
        ]
        return [at.box for at in sorted(boxes, key=lambda at: -at.score)]


def _event(seen: Sequence[tuple[float, Shape]], clock: Clock, number: int) -> Event:
    """One person over time; ``attributes.masks`` are the outlines at each sample."""
    start, end = clock.span(seen[0][0], seen[-1][0])
    keys = tuple(BoxAt(t_s=t_s, box=person.box, score=person.score) for t_s, person in seen)
    best = max(keys, key=lambda key: key.score)
    cover = [person.cover for _, person in seen]
    return Event(
        start_s=start,
        end_s=end,
        label=PERSON,
        score=best.score,
        box=best.box,
        track=keys,
        attributes={
            "person": number,
            "samples": len(keys),
            "cover": round(float(np.mean(cover)), 4),
            "cover_max": round(max(cover), 4),
            # One row for each sample: t_s, then the outlines as x, y, x, y … in pixels.
            "masks": [[round(t_s, 4), [list(one) for one in person.outlines]] for t_s, person in seen],
        },
    )
