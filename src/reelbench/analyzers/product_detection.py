"""product_detection: which kinds of products are shown, where and when.

Objects come from object_detection, upstream; a classifier looks at a few pictures of each, and now and then at the
picture as a whole; a taxonomy (``conf/products.yaml``) says which objects and classes are products. How often it
looks is the price: ``deciding``. The classifier is EfficientNet, or with ``zero_shot`` CLIP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, Plain, WeightsSource, lowered_networks, naming
from reelbench.analyzers.blaze.crops import Picture, size_of
from reelbench.analyzers.products.classifiers import ImageNet, Words, ZeroShot
from reelbench.analyzers.products.taxonomy import read_taxonomy
from reelbench.analyzers.products.things import Classifier, Deciding, Thing, judge, scene_events
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.engines.openvino_small import evidence_of
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "product_detection"
_DETECTION = "object_detection"
_PERSON = "person"


class ProductDetection(Plain):
    """Tells products from other things.

    ``weights`` names the catalog entries of the classifier and of its classes' names. ``size`` is [width, height] of
    the frames, null as displayed. ``deciding`` are the arguments of `products.things.Deciding`. ``taxonomy`` is a
    file like ``conf/products.yaml``; null: that one. ``zero_shot`` are the arguments of `products.classifiers.Words`,
    and asks for CLIP, with the weights and ``architecture`` of `clip.compare.Clip`. Raises ConfigError where one of them
    makes no sense."""

    def __init__(
        self,
        weights: Mapping[str, str | None],
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        size: Sequence[PositiveInt] | None = None,
        deciding: Annotated[Mapping[str, Any], FieldsOf(Deciding)] | None = None,
        taxonomy: str | None = None,
        threads: NonNegativeInt = 1,
        zero_shot: Annotated[Mapping[str, Any], FieldsOf(Words)] | None = None,
        architecture: Mapping[str, str] | None = None,
    ) -> None:
        with naming("sampling"):
            self._request = FrameRequest(Sampling(**sampling), size_of(size))
        with naming("deciding"):
            self._deciding = Deciding(**(deciding or {}))
        known = read_taxonomy(None if taxonomy is None else Path(taxonomy))
        self._model: ImageNet | ZeroShot
        if zero_shot is None:
            self._model = ImageNet(weights, known, threads)
        else:
            with naming("zero_shot"):
                words = Words(**zero_shot)
            self._model = ZeroShot(weights, known, words, threads, architecture)
        self.weights = self._model.weights
        self._runs = 0

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request, upstream=(_DETECTION,))

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return self._model.quality_absent_reason

    def available(self) -> Availability:
        return self._model.available()

    def prepare(self, store: WeightsSource) -> None:
        self._model.prepare(store)

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        return lowered_networks(self._model, store)

    def load(self, store: WeightsSource) -> None:
        self._model.load(store)

    def analyze(self, material: Material) -> AnalyzerResult:
        """Frames are not kept: an object's pictures are classified as they pass, at instants that follow from its
        time."""
        classifier, info = Classifier(self._model.look), material.info
        objects = [event for event in material.upstream[_DETECTION].events if event.label != _PERSON]
        things = [Thing(event) for event in objects]
        scene: list[tuple[float, NDArray[np.float32]]] = []
        pts_s: list[float] = []
        for frame in material.frames:
            with material.phases("infer"):
                self._look(classifier, Picture(frame.image, info.width, info.height), frame.pts_s, things, scene)
            pts_s.append(frame.pts_s)
        self._runs = classifier.runs
        with material.phases("postprocess", items=0):
            found = self._events(things, scene, info.duration_s) if pts_s else []
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
        """``looks``: how many pictures were classified in the last clip."""
        return evidence_of(self._model.networks, looks=self._runs)

    def close(self) -> None:
        self._model.close()

    def _look(
        self,
        classifier: Classifier,
        picture: Picture,
        t_s: NonNegativeFloat,
        things: Sequence[Thing],
        scene: list[tuple[float, NDArray[np.float32]]],
    ) -> None:
        how = self._deciding
        for thing in things:
            box = thing.due(t_s, how.looks)
            if box is not None:
                thing.seen.append(classifier.box(picture, box))
        if how.scene_every_s is not None and (not scene or t_s - scene[-1][0] >= how.scene_every_s - 1e-6):
            scene.append((t_s, classifier.whole(picture)))

    def _events(
        self, things: Sequence[Thing], scene: Sequence[tuple[float, NDArray[np.float32]]], duration_s: float
    ) -> list[Event]:
        taxonomy, names = self._model.taxonomy, self._model.names
        judged = (judge(thing, taxonomy, self._deciding, names) for thing in things)
        products = [event for event in judged if event is not None]
        return products + scene_events(scene, taxonomy, self._deciding.scene, duration_s, products, names)
