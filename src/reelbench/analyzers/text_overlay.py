"""text_overlay: which texts are laid over a clip, where, and from when to when.

Every technique is one switch of the configuration, so that each can be measured alone: the ``reader`` (library, engine, precision, size
at which it looks for text), ``batch``, ``deduplicate`` (frames whose text regions did not change are not read again), ``adaptive``
(readings follow change), ``reuse`` (a line that looks the same is not spelled again) and ``threads`` (preprocessing in threads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.base import Material, Needs, Phases, WeightsSource, naming
from reelbench.analyzers.overlay.ahead import ahead
from reelbench.analyzers.overlay.look import Look
from reelbench.analyzers.overlay.reader import Reader, ReadsLowered, Region, Spelling
from reelbench.analyzers.overlay.spans import events
from reelbench.analyzers.overlay.tracks import Layout, Merging
from reelbench.analyzers.overlay.watch import Adaptive, Deduplicate, Line, Memory, Sample, Watch
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.errors import ConfigError
from reelbench.media.types import Frame, FrameRequest, Image, Sampling
from reelbench.results import AnalyzerResult
from reelbench.settings import FieldsOf

NAME = "text_overlay"
ROLES = ("detector", "recogniser")
_LEAST_CHARACTERS = 0.5
"""For each height that a line is long. Chinese characters are 1, Latin ones about 2, widely spaced capitals 1."""


class TextOverlay:
    """Reads sampled frames of a clip and follows what it reads.

    ``weights`` maps 'detector' and 'recogniser' to catalog entries. ``sampling`` is {every: n} or {rate: f}. ``batch`` frames go
    through the detector together; with ``deduplicate`` or ``adaptive`` one does, since the next sample is judged by what the last one
    said. ``threshold``: lines that the recogniser is less sure of are not taken for text. ``deduplicate`` {threshold, similarity}
    and ``adaptive`` {shortest_s, longest_s}: `overlay.watch`; null switches off. ``reuse``: the correlation from which a line is not
    spelled again; null spells all. ``threads`` prepare the next frames; 0 prepares each when it is read. ``merging`` and ``layout``:
    `overlay.tracks`.
    """

    def __init__(
        self,
        reader: Reader,
        weights: Mapping[str, str],
        sampling: Annotated[Mapping[str, Any], FieldsOf(Sampling)],
        batch: PositiveInt = 1,
        threshold: NonNegativeFloat = 0.8,
        deduplicate: Annotated[Mapping[str, Any], FieldsOf(Deduplicate)] | None = None,
        adaptive: Annotated[Mapping[str, Any], FieldsOf(Adaptive)] | None = None,
        reuse: float | None = None,
        threads: NonNegativeInt = 0,
        merging: Annotated[Mapping[str, Any], FieldsOf(Merging)] | None = None,
        layout: Annotated[Mapping[str, Any], FieldsOf(Layout)] | None = None,
    ) -> None:
        if batch < 1 or threads < 0:
            raise ConfigError(f"batch is {batch}, threads {threads}", "1 or more frames a batch, 0 or more threads")
        for name, share in (("threshold", threshold), ("reuse", reuse)):
            if share is not None and not 0 < share < 1:
                raise ConfigError(f"analyzer.{name} is {share}", "give a number between 0 and 1")
        if set(weights) != set(ROLES):
            raise ConfigError(f"analyzer.weights has {', '.join(weights) or 'nothing'}", f"it wants {', '.join(ROLES)}")
        self._reader, self._files = reader, dict(weights)
        self._threshold, self._reuse, self._threads = threshold, reuse, threads
        with naming("sampling"):
            self._request = FrameRequest(Sampling(**sampling), None, reader.colour)
        with naming("deduplicate"):
            self._deduplicate = None if deduplicate is None else Deduplicate(**deduplicate)
        with naming("adaptive"):
            self._adaptive = None if adaptive is None else Adaptive(**adaptive)
        with naming("merging"):
            self._merging = Merging(**(merging or {}))
        with naming("layout"):
            self._layout = Layout(**(layout or {}))
        self._batch = 1 if self._watches else batch

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    @property
    def weights(self) -> tuple[str, ...]:
        return tuple(self._files.values())

    @property
    def step(self) -> int:
        return self._batch

    def available(self) -> Availability:
        return self._reader.available()

    def prepare(self, store: WeightsSource) -> None:
        """Nothing is converted."""

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        if not isinstance(self._reader, ReadsLowered):
            return ()
        files = {role: store.path(artifact) for role, artifact in self._files.items()}
        return self._reader.lowered(files, store.derived)

    def load(self, store: WeightsSource) -> None:
        self._reader.load({role: store.path(artifact) for role, artifact in self._files.items()})

    def analyze(self, material: Material) -> AnalyzerResult:
        info = material.info
        samples, read = self._read(material)
        with material.phases("postprocess", items=0):
            found = events(samples, info.duration_s, (info.width, info.height), self._merging, self._layout)
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=info.duration_s,
            frames_sampled=len(samples),
            frames_inferred=read,
            sampled_s=tuple(sample.pts_s for sample in samples),
            events=tuple(found),
        )

    def evidence(self) -> Evidence:
        return self._reader.evidence()

    def close(self) -> None:
        self._reader.close()

    @property
    def _watches(self) -> bool:
        return self._deduplicate is not None or self._adaptive is not None

    def _read(self, material: Material) -> tuple[list[Sample], int]:
        """Every sample with its lines, and how many of them were read."""
        watch = Watch(self._deduplicate or Deduplicate(), self._adaptive) if self._watches else None
        reading = _Reading(
            self._reader, self._line, None if self._reuse is None else Memory(self._reuse), material.phases
        )
        samples: list[Sample] = []
        waiting: list[tuple[Sample, Image, Any]] = []
        read = 0
        for frame, (look, prepared) in ahead(material.frames, self._work, self._threads, material.phases):
            sample = Sample(frame.pts_s, look=look)
            samples.append(sample)
            if watch is not None:
                with material.phases("preprocess", items=0):
                    wanted = watch.wants(sample)
                if not wanted:
                    continue
            read += 1
            waiting.append((sample, frame.image, prepared))
            if len(waiting) == self._batch:
                reading.take(waiting)
                if watch is not None:
                    with material.phases("postprocess", items=0):
                        watch.read(sample, sample.lines)
                for done, _, _ in waiting:
                    done.look = None  # memory must not grow with the clip
                waiting = []
        if waiting:
            reading.take(waiting)
        return samples, read

    def _work(self, frame: Frame) -> tuple[Look | None, Any]:
        """What can be done before it is known whether the frame is read: in threads also what may turn out not to be needed."""
        look = Look.at(frame.image) if self._watches or self._reuse is not None else None
        return look, self._reader.prepare(frame.image) if self._threads else None

    def _line(self, region: Region, said: Spelling) -> Line:
        """A line of text, read or not. A recogniser leaves out characters that it does not know and may be sure of the rest: so few
        for so long a line are not what it says."""
        enough = len("".join(said.text.split())) >= _LEAST_CHARACTERS * region.length
        read = said.score >= self._threshold and enough and said.whole
        return Line(said.text, region.box, said.score, region.angle, read, region.score)


class _Reading:
    """Batches of frames through a reader."""

    def __init__(
        self, reader: Reader, line: Callable[[Region, Spelling], Line], memory: Memory | None, phases: Phases
    ) -> None:
        self._reader, self._line, self._memory, self._phases = reader, line, memory, phases

    def take(self, batch: Sequence[tuple[Sample, Image, Any]]) -> None:
        """Give each sample of ``batch`` (with its image and what `Reader.prepare` made of it, or None) its lines."""
        images = [image for _, image, _ in batch]
        with self._phases("preprocess", items=0):
            prepared = [self._reader.prepare(image) if made is None else made for _, image, made in batch]
        with self._phases("infer", items=len(batch)):
            regions = self._reader.find(images, prepared)
        for (sample, image, _), made, found in zip(batch, prepared, regions, strict=True):
            self._spell(sample, image, made, found)

    def _spell(self, sample: Sample, image: Image, prepared: Any, regions: Sequence[Region]) -> None:
        with self._phases("postprocess", items=0):
            lines = [self._recall(sample, region) for region in regions]
        new = [at for at, line in enumerate(lines) if line is None]
        with self._phases("infer", items=0):
            spelled = self._reader.spell(image, prepared, [regions[at] for at in new])
        for at, spelling in zip(new, spelled, strict=True):
            lines[at] = self._line(regions[at], spelling)
        sample.lines = [line for line in lines if line is not None]
        if self._memory is not None and sample.look is not None:
            with self._phases("postprocess", items=0):
                self._memory.keep(sample.look, sample.lines)

    def _recall(self, sample: Sample, region: Region) -> Line | None:
        if self._memory is None or sample.look is None:
            return None
        return self._memory.recall(sample.look, region.box)
