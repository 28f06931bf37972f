"""qwen2_vl_temporal: what happens in a clip, and when, in the words of a vision-language network.

Every technique is one switch of the configuration, so that each can be measured alone: the attention kernel, the weights' precision,
``batch``, the frames' ``size``, the ``prompt``, compiled decoding, the prompt's cached beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from reelbench.analyzers.base import Material, Needs, Phases, WeightsSource, naming
from reelbench.analyzers.narration.repetition import Repetition
from reelbench.analyzers.narration.windows import Window, Windows, cut
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork, MayLower
from reelbench.engines.transformers_vlm_types import Answer, Decoding, Prompt
from reelbench.errors import ConfigError
from reelbench.media.types import FrameRequest, Sampling
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import FieldsOf

NAME = "qwen2_vl_temporal"
LABEL = "segment"


class VisionLanguage(Protocol):
    """What runs the network (`engines.transformers_vlm.TransformersVLM`)."""

    def available(self) -> Availability: ...

    def load(self, model: Path, **files: Path) -> None: ...

    def build(self, architecture: str) -> None: ...

    def encode(self, videos: Sequence[NDArray[np.uint8]], fps: float, prompt: Prompt) -> Any: ...

    def generate(self, encoded: Any, decoding: Decoding) -> list[Answer]: ...

    def evidence(self) -> Evidence: ...

    def close(self) -> None: ...


class Qwen2VLTemporal:
    """Narrates the windows of a clip.

    ``weights`` are the catalog entries of one folder (configuration, tokenizer, safetensors), or 'random': then ``architecture`` is
    built with seeded random weights, good for speed and memory, and `quality_absent_reason` says that quality is not measured.
    ``size`` is (width, height) that frames are stretched to. ``windows`` are `narration.windows.Windows`, ``prompt`` is
    `transformers_vlm_types.Prompt`. ``repetition`` (`narration.repetition.Repetition`) retries a text that repeats, null takes what
    comes; random weights repeat themselves by nature and are never retried.
    """

    def __init__(
        self,
        engine: VisionLanguage,
        weights: Sequence[str] | str,
        prompt: Annotated[Mapping[str, Any], FieldsOf(Prompt)],
        size: Sequence[PositiveInt],
        windows: Annotated[Mapping[str, Any], FieldsOf(Windows)],
        batch: PositiveInt = 1,
        max_new_tokens: PositiveInt = 64,
        repetition: Annotated[Mapping[str, Any], FieldsOf(Repetition)] | None = None,
        architecture: str | None = None,
    ) -> None:
        if batch < 1:
            raise ConfigError(f"batch is {batch}", "give 1 or more windows a batch")
        if max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens is {max_new_tokens}", "give 1 or more")
        self._engine, self._batch = engine, batch
        self._files, self._random = _weights(weights, architecture)
        self._decoding = Decoding(max_new_tokens)
        with naming("prompt"):
            self._prompt = Prompt(**prompt)
        with naming("windows"):
            self._windows = Windows(**windows)
        with naming("repetition"):
            self._repetition = None if repetition is None or self._random else Repetition(**repetition)
        with naming("size"):
            width, height = (int(side) for side in size)
            self._request = FrameRequest(Sampling(rate=self._windows.rate), (width, height), "rgb")

    @property
    def needs(self) -> Needs:
        return Needs(frames=self._request)

    @property
    def weights(self) -> tuple[str, ...]:
        return self._files

    @property
    def step(self) -> int:
        return self._batch * self._windows.frames

    @property
    def quality_absent_reason(self) -> str:
        """Why the results must not be scored; empty where they may be."""
        return "not measured: random weights" if self._random else ""

    def available(self) -> Availability:
        return self._engine.available()

    def prepare(self, store: WeightsSource) -> None:
        """Nothing is built beforehand."""

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        if not isinstance(self._engine, MayLower):
            return ()
        model = Path(self._random) if self._random else self._folder(store)
        return self._engine.lowered(store.derived(f"parity-{NAME}-{model.name}"), model, tuple)

    def load(self, store: WeightsSource) -> None:
        if self._random:
            self._engine.build(self._random)
        else:
            self._engine.load(self._folder(store))

    def analyze(self, material: Material) -> AnalyzerResult:
        duration_s = material.info.duration_s
        story = _Story(self._repetition)
        sampled: list[float] = []
        waiting: list[Window] = []
        for window in cut(_noting(material, sampled), self._windows, duration_s):
            waiting.append(window)
            if len(waiting) == self._batch:
                self._narrate(waiting, story, material.phases)
                waiting = []
        if waiting:
            self._narrate(waiting, story, material.phases)
        with material.phases("postprocess", items=0):
            events = story.events(duration_s)
        return AnalyzerResult(
            analyzer=NAME,
            clip=material.clip,
            duration_s=duration_s,
            frames_sampled=len(sampled),
            frames_inferred=len(story.frames),
            sampled_s=tuple(sampled),
            events=tuple(events),
        )

    def evidence(self) -> Evidence:
        return self._engine.evidence()

    def close(self) -> None:
        self._engine.close()

    def _folder(self, store: WeightsSource) -> Path:
        folders = {store.path(artifact).parent for artifact in self._files}
        if len(folders) != 1:
            raise ConfigError(
                "analyzer.weights lie in several folders of the model store", "name the files of one network"
            )
        return folders.pop()

    def _narrate(self, windows: list[Window], story: _Story, phases: Phases) -> None:
        answers = self._ask([window.video for window in windows], self._decoding, phases)
        for window, answer in zip(windows, answers, strict=True):
            tries = 0
            while self._repetition and tries < self._repetition.tries and story.repeats(answer.text):
                tries += 1
                answer = self._ask([window.video], self._other(story, self._repetition), phases, again=True)[0]
            story.add(window, answer, tries)

    def _other(self, story: _Story, repetition: Repetition) -> Decoding:
        """The decoding for another try: still greedy, so still deterministic, but what was just said may not be said again."""
        return Decoding(
            max_new_tokens=self._decoding.max_new_tokens,
            repetition_penalty=repetition.penalty,
            no_repeat_ngram=repetition.ngram,
            avoid=tuple(story.texts[-repetition.memory :]) if repetition.memory else (),
        )

    def _ask(
        self, videos: list[NDArray[np.uint8]], decoding: Decoding, phases: Phases, again: bool = False
    ) -> list[Answer]:
        items = 0 if again else len(videos) * self._windows.frames
        with phases("preprocess", items=items):
            encoded = self._engine.encode(videos, self._windows.rate, self._prompt)
        with phases("infer", items=items):
            return self._engine.generate(encoded, decoding)


@dataclass(slots=True)
class _Story:
    """What was said so far, and of which frames."""

    repetition: Repetition | None
    texts: list[str] = field(default_factory=list)
    frames: set[int] = field(default_factory=set)
    _told: list[tuple[Window, Answer, dict[str, Any]]] = field(default_factory=list)

    def repeats(self, text: str) -> str:
        return self.repetition.reason(text, self.texts) if self.repetition else ""

    def add(self, window: Window, answer: Answer, tries: int) -> None:
        attributes = {"tokens": answer.tokens, "retries": tries, "repeats": self.repeats(answer.text)}
        self.texts.append(answer.text)
        self.frames.update(window.indices)
        self._told.append((window, answer, attributes))

    def events(self, duration_s: float) -> list[Event]:
        """One a window, up to where the next one begins: where windows overlap, the later one speaks."""
        later = [window.start_s for window, _, _ in self._told[1:]]
        return [
            Event(
                start_s=window.start_s,
                end_s=max(window.start_s, min(window.end_s, duration_s, *later[at : at + 1])),
                label=LABEL,
                score=answer.score,
                text=answer.text,
                attributes=attributes,
            )
            for at, (window, answer, attributes) in enumerate(self._told)
        ]


def _noting(material: Material, sampled: list[float]) -> Iterator[Any]:
    for frame in material.frames:
        sampled.append(frame.pts_s)
        yield frame


def _weights(given: Sequence[str] | str, architecture: str | None) -> tuple[tuple[str, ...], str]:
    """(catalog entries, the architecture to build randomly instead of them or '')."""
    if not isinstance(given, str):
        return tuple(given), ""
    if given != "random":
        raise ConfigError(f"analyzer.weights is '{given}'", "give a list of catalog entries, or 'random'")
    if architecture is None:
        raise ConfigError(
            "analyzer.weights=random wants analyzer.architecture",
            "give tiny, 2b, 7b or another size (docs/qwen2_vl_temporal.md)",
        )
    return (), architecture
