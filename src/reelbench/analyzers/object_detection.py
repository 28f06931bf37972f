"""object_detection: which COCO objects are in a clip, where and when.

Every technique is one switch of the configuration, so that each can be measured alone: the engine and its precision, ``batch``,
``deduplicate`` (near-duplicate frames carry the last answer) and ``tracks`` (merging over time).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from reelbench.analyzers.base import Material, Needs, Phases, WeightsSource, naming
from reelbench.analyzers.detection.agreement import VERSION as AGREEMENT
from reelbench.analyzers.detection.calibration import Judged, Pictures
from reelbench.analyzers.detection.heads import Detections, FitsFrames, Head
from reelbench.analyzers.detection.tracks import Merging, hold, merge
from reelbench.engines.base import Availability, Engine, Evidence, Tensors
from reelbench.engines.capabilities import Pipelined, Prepares
from reelbench.engines.fingerprint import fingerprint
from reelbench.engines.lowered import LoweredNetwork, MayLower
from reelbench.errors import ConfigError
from reelbench.media.dedup import NearDuplicates
from reelbench.media.types import FrameRequest, Image, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "object_detection"


class ObjectDetection:
    """Detects objects in sampled frames of a clip.

    ``weights`` maps the engine's file roles to catalog entries (null: not needed); 'model' is the network. ``sampling`` is
    {every: n} or {rate: f}. ``threshold`` drops detections with a lower score. ``deduplicate`` {threshold: …} skips near-duplicate
    frames (`reelbench.media.dedup`), null infers every frame. ``tracks`` {iou: …} merges over time (`detection.tracks.Merging`),
    null reports each sample alone, held until the next one. ``calibration`` are the pictures on which an engine calibrates INT8,
    ``validation`` those by which one with accuracy control judges what it made. ``weights`` 'random' runs ``architecture``,
    a configuration that the engine builds with seeded random weights: good for speed, and `quality_absent_reason` says that quality
    is not.
    """

    def __init__(
        self,
        engine: Engine,
        head: Head,
        weights: Mapping[str, str | None] | str,
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        batch: PositiveInt = 1,
        threshold: NonNegativeFloat = 0.2,
        deduplicate: Annotated[Mapping[str, Any], FieldsOf(NearDuplicates)] | None = None,
        tracks: Annotated[Mapping[str, Any], FieldsOf(Merging)] | None = None,
        calibration: Pictures | None = None,
        validation: Pictures | None = None,
        architecture: str | None = None,
    ) -> None:
        if batch < 1:
            raise ConfigError(f"batch is {batch}", "give 1 or more frames a batch")
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold is {threshold}", "give a score between 0 and 1")
        self._engine, self._head = engine, head
        self._files, self._random = _weights(weights, architecture)
        self._batch, self._threshold = batch, threshold
        self._deduplicate, self._calibration, self._validation = deduplicate, calibration, validation
        with naming("sampling"):
            self._request = FrameRequest(Sampling(**sampling), head.size, head.colour)
        with naming("tracks"):
            self._merging = None if tracks is None else Merging(**tracks)
        with naming("deduplicate"):
            self._filter()

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    @property
    def weights(self) -> tuple[str, ...]:
        sets = [one.weights for one in (self._calibration, self._validation) if one]
        return (*self._files.values(), *dict.fromkeys(artifact for artifacts in sets for artifact in artifacts))

    @property
    def step(self) -> int:
        return self._batch

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return "not measured: random weights" if self._random else ""

    def available(self) -> Availability:
        return self._engine.available()

    def prepare(self, store: WeightsSource) -> None:
        if isinstance(self._engine, Prepares):
            model = self._random or store.path(self._files["model"])
            folder = store.derived(self._engine.key(model, self._calibrated_by))
            self._engine.prepare(folder, model, self._calibrating(store))

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        """Those of an engine that can compute in less than FP32."""
        if not isinstance(self._engine, MayLower):
            return ()
        model = self._random or store.path(self._files["model"])
        key = f"parity-{type(self._engine).__name__.lower()}-{fingerprint(model)}"
        if isinstance(self._engine, Prepares):
            key = self._engine.key(model, self._calibrated_by)
        return self._engine.lowered(store.derived(key), model, self._calibrating(store))

    def load(self, store: WeightsSource) -> None:
        files = {role: store.path(artifact) for role, artifact in self._files.items()}
        model = self._random or files.pop("model", Path())
        if isinstance(self._engine, Prepares):
            files["derived"] = store.derived(self._engine.key(model, self._calibrated_by))
        self._engine.load(model, **files)

    def analyze(self, material: Material) -> AnalyzerResult:
        seen = self._look(material)
        info = material.info
        with material.phases("postprocess", items=0):
            events = self._events(seen, info.duration_s, info.width, info.height)
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=info.duration_s,
            frames_sampled=len(seen.pts_s),
            frames_inferred=len(seen.found),
            sampled_s=tuple(seen.pts_s),
            events=tuple(events),
        )

    def evidence(self) -> Evidence:
        return self._engine.evidence()

    def close(self) -> None:
        self._engine.close()

    @property
    def _calibrated_by(self) -> str:
        """Names everything on which a calibrated network depends and that the engine does not know."""
        judged = f"|{self._validation}|agreement {AGREEMENT}" if self._validation else ""
        return f"{self._calibration}{judged}"

    def _calibrating(self, store: WeightsSource) -> Callable[[], list[NDArray[Any]]]:
        calibration, validation = (partial(self._batches, one, store) for one in (self._calibration, self._validation))
        return Judged(calibration, validation, self._head) if self._validation else calibration

    def _batches(self, pictures: Pictures | None, store: WeightsSource) -> list[NDArray[Any]]:
        if pictures is None:
            raise ConfigError("this engine wants calibration images and analyzer.calibration is null")
        images = pictures.images(store, self._request)
        return [self._head.batch(images[at : at + self._batch]) for at in range(0, len(images), self._batch)]

    def _events(self, seen: _Seen, duration_s: float, width: int, height: int) -> list[Event]:
        if self._merging is None:
            return hold(seen.pts_s, seen.per_sample(), duration_s, width, height)
        return merge(seen.pts_s, seen.per_sample(), duration_s, width, height, self._merging)

    def _look(self, material: Material) -> _Seen:
        """Take the frames one by one; a full batch is inferred, or handed to an engine that works ahead."""
        info = material.info
        head = self._head.fitted(info.width, info.height) if isinstance(self._head, FitsFrames) else self._head
        flow = _Flow(self._engine, head, self._threshold, material.phases)
        near = self._filter()
        seen = _Seen()
        waiting: list[Image] = []
        for frame in material.frames:
            seen.pts_s.append(frame.pts_s)
            if near is not None:
                with material.phases("preprocess", items=0):
                    duplicate = near.is_duplicate(frame.image)
                if duplicate and flow.accepted + len(waiting):
                    seen.slots.append(flow.accepted + len(waiting) - 1)
                    continue
            seen.slots.append(flow.accepted + len(waiting))
            waiting.append(frame.image)
            if len(waiting) == self._batch:
                flow.put(waiting)
                waiting = []
        if waiting:
            flow.put(waiting)
        seen.found = flow.finish()
        return seen

    def _filter(self) -> NearDuplicates | None:
        return None if self._deduplicate is None else NearDuplicates(**self._deduplicate)


def _weights(given: Mapping[str, str | None] | str, architecture: str | None) -> tuple[dict[str, str], Path | None]:
    """(catalog entry of each role, the configuration to build randomly instead of them)."""
    if not isinstance(given, str):
        return {role: artifact for role, artifact in given.items() if artifact}, None
    if given != "random":
        raise ConfigError(f"analyzer.weights is '{given}'", "give {role: catalog entry}, or 'random'")
    if architecture is None:
        raise ConfigError("this variant's network cannot be built with random weights", "its weights must be fetched")
    if Path(architecture).suffix != ".yaml":  # a file of weights would be a pickle that no entry of the catalog pins
        raise ConfigError(f"analyzer.architecture is '{architecture}'", "name a configuration, such as yolo11n.yaml")
    return {}, Path(architecture)


@dataclass(slots=True)
class _Seen:
    """What one pass saw: when each sample was, which answer it has (``slots`` points into ``found``), and the answers."""

    pts_s: list[float] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    found: list[Detections] = field(default_factory=list)

    def per_sample(self) -> list[Detections]:
        return [self.found[slot] for slot in self.slots]


class _Flow:
    """Batches into an engine and detections out, in order; up to ``depth`` batches are in flight where the engine can."""

    def __init__(self, engine: Engine, head: Head, threshold: NonNegativeFloat, phases: Phases) -> None:
        self._engine, self._head, self._threshold, self._phases = engine, head, threshold, phases
        self._depth = engine.depth if isinstance(engine, Pipelined) else 0
        self._in_flight: deque[int] = deque()
        self._found: list[Detections] = []
        self.accepted = 0

    def put(self, images: list[Image]) -> None:
        with self._phases("preprocess", items=len(images)):
            batch = self._head.batch(images)
        self.accepted += len(images)
        if not isinstance(self._engine, Pipelined):
            with self._phases("infer", items=len(images)):
                outputs = self._engine.infer(batch)
            self._read(outputs, len(images))
            return
        if len(self._in_flight) >= self._depth:
            self._collect()
        with self._phases("infer", items=0):
            self._engine.submit(batch)
        self._in_flight.append(len(images))

    def finish(self) -> list[Detections]:
        while self._in_flight:
            self._collect()
        return self._found

    def _collect(self) -> None:
        assert isinstance(self._engine, Pipelined)
        count = self._in_flight.popleft()
        with self._phases("infer", items=count):
            outputs = self._engine.collect()
        self._read(outputs, count)

    def _read(self, outputs: Tensors, count: int) -> None:
        with self._phases("postprocess", items=count):
            self._found += self._head.decode(outputs, self._threshold)
