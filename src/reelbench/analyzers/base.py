"""The contract of every analyzer.

An analyzer is one module with one class; ``conf/analyzer/<name>.yaml`` names it by ``_target_`` and no list is edited. It says what it
needs and is given it. It never opens a video file, downloads, sleeps, prints or reads a clock: phases are timed by the
``Phases`` that it is handed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.errors import ConfigError
from reelbench.media.types import AudioRequest, ClipInfo, Frame, FrameRequest
from reelbench.results import AnalyzerResult


@dataclass(frozen=True, slots=True)
class Needs:
    """What an analyzer wants to be given for each clip.

    ``upstream``: analyzers whose results it cannot do without; ``upstream_if_any``: those that it takes where they are.
    """

    frames: FrameRequest | None = None
    audio: AudioRequest | None = None
    upstream: tuple[str, ...] = ()
    upstream_if_any: tuple[str, ...] = ()


class Phases(Protocol):
    """``with phases("infer", items=8): …`` times one span of 'preprocess', 'infer' or 'postprocess'; ``items`` counts frames.

    Spans must not nest. What no span covers is reported as 'other', waiting for frames as 'decode'.
    """

    def __call__(self, phase: str, items: int = 1) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Material:
    """What an analyzer is given for one clip. ``frames`` is a stream that can be read once; ``audio`` is mono float32; ``upstream`` are
    the results of other analyzers for this clip, by name: all of ``Needs.upstream``, and what there is of ``upstream_if_any``."""

    clip: str
    info: ClipInfo
    phases: Phases
    frames: Iterator[Frame] = field(default_factory=lambda: iter(()))
    audio: NDArray[np.float32] | None = None
    upstream: Mapping[str, AnalyzerResult] = field(default_factory=dict)


class WeightsSource(Protocol):
    """How an analyzer gets at the model store (`reelbench.models.store.ModelStore` is one)."""

    def path(self, artifact: str) -> Path:
        """The verified file of a catalog entry. Raises WeightsError where it is absent or its hash is wrong."""
        ...

    def derived(self, key: str) -> Path:
        """A folder for regenerable files (IR, calibrated models, engines); the same ``key`` gives the same folder.
        ``reelbench.paths.atomic_path`` writes into it."""
        ...


@contextmanager
def naming(option: str) -> Iterator[None]:
    """A wrong value of ``option`` in the configuration is the user's mistake: one line that names it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ConfigError(f"analyzer.{option}: {error}") from error


class Analyzer(Protocol):
    """Built by Hydra from the ``analyzer`` node of the configuration. All heavy work waits for ``prepare`` and ``load``."""

    @property
    def needs(self) -> Needs: ...

    @property
    def weights(self) -> tuple[str, ...]:
        """The catalog entries that must be in the store before ``prepare`` and ``load``."""
        ...

    @property
    def step(self) -> int:
        """How many sampled frames are taken before results come out: the batch. Latency is averaged over a step."""
        ...

    def available(self) -> Availability:
        """Whether this variant can run here (packages, hardware). Cheap, without side effects."""
        ...

    def prepare(self, store: WeightsSource) -> None:
        """Build what can be built once and kept: converted, calibrated or compiled networks. Does nothing when it is there."""
        ...

    def load(self, store: WeightsSource) -> None:
        """Make ready to analyze; timed as cold start."""
        ...

    def analyze(self, material: Material) -> AnalyzerResult: ...

    def evidence(self) -> Evidence:
        """What executed; valid after the first ``analyze``."""
        ...

    def close(self) -> None: ...


def lowered_networks(part: Any, store: WeightsSource) -> Iterable[LoweredNetwork]:
    """The networks of an analyzer, or of a part of one, that compute in less than FP32; none where it says nothing of them."""
    return getattr(part, "lowered", Plain().lowered)(store)


def is_deterministic(analyzer: Analyzer) -> bool:
    """Whether each pass over a clip must find the same; an analyzer for which that is not so has ``deterministic = False``."""
    return bool(getattr(analyzer, "deterministic", Plain.deterministic))


class Plain:
    """What most analyzers have in common: the same input gives the same result, no weights, one frame a
    step, nothing to build or load, nothing to let go. A subclass says what is different about it."""

    deterministic: bool = True
    weights: tuple[str, ...] = ()

    @property
    def step(self) -> int:
        return 1

    def available(self) -> Availability:
        return Availability(True)

    def prepare(self, store: WeightsSource) -> None:
        """Nothing is built."""

    def lowered(self, store: WeightsSource) -> Iterable[LoweredNetwork]:
        """Nothing computes in less than FP32."""
        return ()

    def load(self, store: WeightsSource) -> None:
        """Nothing is loaded."""

    def close(self) -> None:
        """Nothing is held."""
