"""Analyzers that want weights."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from reelbench.analyzers.base import Material, WeightsSource
from reelbench.results import AnalyzerResult
from support.analyzers import Brightness


class Asks:
    """Says which weights it needs, and is never loaded."""

    def __init__(self, weights: Sequence[str] = (), more: str = "") -> None:
        self.weights = tuple(weights)


class Holds(Brightness):
    """Loads ``weights`` and a derived folder; in its first pass it writes its process's number to ``started`` and waits for ``go``."""

    def __init__(self, weights: Sequence[str], started: str, go: str) -> None:
        super().__init__()
        self.weights = tuple(weights)
        self._started, self._go = Path(started), Path(go)

    def load(self, store: WeightsSource) -> None:
        for name in self.weights:
            store.path(name).read_bytes()
        store.derived("built")

    def analyze(self, material: Material) -> AnalyzerResult:
        part = self._started.with_suffix(".part")
        part.write_text(str(os.getpid()))
        part.rename(self._started)
        while not self._go.exists():
            time.sleep(0.02)
        return super().analyze(material)
