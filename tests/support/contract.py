"""What the contract suite runs: every analyzer in every variant that this machine can run, on any clip, as the worker does it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from reelbench.analyzers.base import Analyzer, Material
from reelbench.config import RunConfig, compose, instantiate
from reelbench.engines import whisper_random
from reelbench.media import FrameStream, probe, read_audio
from reelbench.media.types import ClipInfo
from reelbench.models.store import ModelStore
from reelbench.paths import conf_dir
from reelbench.results import AnalyzerResult

PHASES = {"preprocess", "infer", "postprocess"}


def pairs() -> list[tuple[str, str]]:
    """(analyzer, variant) of everything in conf/: a new file is under the contract without a line written.

    A variant that is another one but for how its network was calibrated runs the same code: it is left to REELBENCH_SLOW=1.
    """
    files = sorted((conf_dir() / "tuning").glob("*/*.yaml"))
    slow = bool(os.environ.get("REELBENCH_SLOW"))
    return [(path.parent.name, path.stem) for path in files if slow or not _only_calibrated(path)]


def _only_calibrated(path: Path) -> bool:
    node = yaml.safe_load(path.read_text()) or {}
    inherits = any(str(item).startswith("/tuning/") for item in node.pop("defaults", []))
    analyzer = node.pop("analyzer", {}) or {}
    engine = analyzer.pop("engine", {})
    changed = {*analyzer, *(f"engine.{key}" for key in engine), *node}
    return inherits and bool(changed) and changed <= {"calibration", "validation", "engine.quantization"}


def build(analyzer: str, variant: str, *overrides: str) -> tuple[RunConfig, Any]:
    """The configuration and the analyzer it describes. A network that can be built without weights is: none are downloaded for it."""
    config = compose([f"analyzer={analyzer}", f"variant={variant}", *overrides])
    if architecture := config.analyzer.constructor.get("architecture"):
        # One network, or the name of one for each role that can do without weights.
        roles = [f".{role}" for role in architecture] if isinstance(architecture, dict) else [""]
        random = [f"analyzer.weights{role}=random" for role in roles]
        if isinstance(architecture, str) and architecture in whisper_random.SIZES:
            random.append("analyzer.architecture=tiny")  # the code is the same, the published size takes minutes
        config = compose([f"analyzer={analyzer}", f"variant={variant}", *random, *overrides])
    return config, instantiate(config.analyzer.constructor)


@dataclass(frozen=True)
class Ready:
    """One analyzer, loaded."""

    name: str
    config: RunConfig
    analyzer: Analyzer

    def on(self, path: Path) -> tuple[AnalyzerResult, ClipInfo]:
        """One pass over a clip."""
        info = probe(path, self.config.media.limits)
        needs = self.analyzer.needs
        audio = read_audio(path, needs.audio) if needs.audio and info.has_audio else None
        given = self.upstream_on(path)
        if needs.frames is None:
            return self.analyzer.analyze(Material(path.stem, info, StrictPhases(), iter(()), audio, given)), info
        with FrameStream(path, needs.frames, self.config.media.decode, self.config.media.limits) as frames:
            return self.analyzer.analyze(Material(path.stem, info, StrictPhases(), iter(frames), audio, given)), info

    def upstream_on(self, path: Path) -> dict[str, AnalyzerResult]:
        """What the analyzers upstream find in the clip; what this one merely likes to have is left out where it cannot run."""
        found = {}
        for name, variant in self.config.analyzer.upstream.items():
            state = build(name, variant)[1].available()
            if not state.ok and name in self.analyzer.needs.upstream:
                pytest.skip(f"{name}, upstream, is unavailable here: {state.reason}")
            if state.ok:
                key = (name, variant, str(path))
                if key not in _found:
                    _found[key] = ready(name, variant).on(path)[0]
                found[name] = _found[key]
        return found


_loaded: dict[tuple[str, ...], Ready] = {}
_found: dict[tuple[str, str, str], AnalyzerResult] = {}
"""What was found upstream in a clip; a clip of the tests never changes."""


def ready(*wanted: str) -> Ready:
    """(analyzer, variant, overrides …), prepared and loaded once for all tests. The weights come through the model store."""
    if wanted not in _loaded:
        _loaded[wanted] = _load(*wanted)
    return _loaded[wanted]


def close_all() -> None:
    _found.clear()
    while _loaded:
        _loaded.popitem()[1].analyzer.close()


def _load(analyzer: str, variant: str, *overrides: str) -> Ready:
    config, built = build(analyzer, variant, *overrides)
    store = ModelStore()
    store.ensure(built.weights)
    built.prepare(store)
    built.load(store)
    return Ready(analyzer, config, built)


class StrictPhases:
    """`Phases` that insist on the contract: known names, no nesting, no negative counts."""

    def __init__(self) -> None:
        self._open = ""

    @contextmanager
    def __call__(self, phase: str, items: int = 1) -> Iterator[None]:
        assert phase in PHASES, f"unknown phase {phase}"
        assert not self._open, f"{phase} inside {self._open}"
        assert items >= 0
        self._open = phase
        yield
        self._open = ""


def photograph() -> NDArray[np.uint8]:
    """A cat: real content, so that the suite is not about empty answers. H×W×3 RGB."""
    from PIL import Image

    artifact = "photographs/chelsea.png"
    with Image.open(ModelStore().ensure([artifact])[artifact]) as image:
        return np.asarray(image.convert("RGB"))
