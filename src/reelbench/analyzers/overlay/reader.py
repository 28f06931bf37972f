"""What the text analyzer asks of an OCR library: find the lines of a frame, spell them. Nothing else knows which library it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import atan2, degrees
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.media.types import Colour, Image
from reelbench.results import Box


@dataclass(frozen=True, slots=True)
class Region:
    """Where a line of text is. ``quad``: 4×2 pixels, clockwise from its top left; ``score``: how sure the detector is, 0…1
    (1 where it does not say)."""

    quad: NDArray[np.float32]
    score: float = 1.0

    @property
    def box(self) -> Box:
        (x1, y1), (x2, y2) = self.quad.min(axis=0), self.quad.max(axis=0)
        return float(x1), float(y1), float(x2), float(y2)

    @property
    def upright(self) -> bool:
        """Whether the line runs from top to bottom or from bottom to top: a region that is so high is turned before it is spelled."""
        along, down = self.quad[1] - self.quad[0], self.quad[3] - self.quad[0]
        return bool(np.hypot(*down) >= 1.5 * np.hypot(*along))

    @property
    def angle(self) -> float:
        """Degrees by which the line runs downwards; 0 is level, 90 is from top to bottom (or from bottom to top)."""
        along = self.quad[3] - self.quad[0] if self.upright else self.quad[1] - self.quad[0]
        return float(degrees(atan2(float(along[1]), float(along[0]))))

    @property
    def length(self) -> float:
        """How many times as long as high the line is."""
        sides = sorted(float(np.hypot(*(self.quad[i] - self.quad[0]))) for i in (1, 3))
        return sides[1] / max(1.0, sides[0])


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a region says, and how sure the recogniser is, 0…1. ``whole`` False: it knows only some of the letters of such a text's
    language, and has left out the others."""

    text: str
    score: float
    whole: bool = True


class Reader(Protocol):
    """One OCR library with one engine, for one worker process."""

    @property
    def colour(self) -> Colour: ...

    def available(self) -> Availability:
        """Look only: packages, drivers, hardware."""
        ...

    def load(self, files: Mapping[str, Path]) -> None:
        """``files``: 'detector' and 'recogniser'. Raises UnavailableError or AnalyzerError."""
        ...

    def prepare(self, image: Image) -> Any:
        """What can be computed from one frame before anything is found on it. May be called from any thread."""
        ...

    def find(self, images: Sequence[Image], prepared: Sequence[Any]) -> list[list[Region]]:
        """The lines of each frame, in one batch. All frames have the same size."""
        ...

    def spell(self, image: Image, prepared: Any, regions: Sequence[Region]) -> list[Spelling]:
        """What the regions of one frame say, in their order; ``prepared`` is what `prepare` made of the frame."""
        ...

    def evidence(self) -> Evidence:
        """What executed; valid after the first ``find``."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ReadsLowered(Protocol):
    """A reader that may compute in less than FP32."""

    def lowered(self, files: Mapping[str, Path], derived: Callable[[str], Path]) -> Iterable[LoweredNetwork]:
        """Its networks that do. ``derived`` gives the folder of a key in the model store."""
        ...
