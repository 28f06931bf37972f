"""What the parts of the speech analyzer share: the grid of their answers, their protocols, their optional packages.

Every part answers on one grid: a frame is 10 ms (`HOP` samples at `RATE` Hz), and frame i covers 10·i to 10·(i + 1) ms. A part hears a
stretch of sound and knows nothing of the rest, so that stretches can be heard in parallel; what needs the whole clip (a loudness
relative to the loudest frame, say) is decided afterwards from the frames of all stretches.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.base import WeightsSource
from reelbench.engines.base import Availability
from reelbench.errors import UnavailableError

RATE = 16000
HOP = 160
FRAMES_PER_S = RATE // HOP
SILENT_DB = -100.0
"""The level of digital silence, dB of full scale."""

Sound = NDArray[np.float32]
"""Mono samples in -1…1 at `RATE` Hz."""
Frames = NDArray[np.float32]
"""One number for each frame."""
Flags = NDArray[np.bool_]
"""Yes or no for each frame."""


@dataclass(frozen=True, slots=True)
class Package:
    """An optional package: the name that is imported and the name that is installed."""

    module: str
    distribution: str

    def load(self) -> Any:
        """The imported module; UnavailableError where it is not installed."""
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise UnavailableError(
                f"{self.distribution} cannot be imported: {error}", f"pip install {self.distribution}"
            ) from error

    def __str__(self) -> str:
        """Name and installed version."""
        return f"{self.distribution} {importlib.metadata.version(self.distribution)}"


LIBROSA = Package("librosa", "librosa")
SOXR = Package("soxr", "soxr")
WEBRTC = Package("webrtcvad", "webrtcvad-wheels")
PRAAT = Package("parselmouth", "praat-parselmouth")
ONNX = Package("onnxruntime", "onnxruntime")
SCIPY = Package("scipy", "scipy")


def installed(packages: Iterable[Package]) -> Availability:
    """Whether all of them can be found, without importing any."""
    absent = sorted({one.distribution for one in packages if importlib.util.find_spec(one.module) is None})
    if not absent:
        return Availability(True)
    are = "is" if len(absent) == 1 else "are"
    return Availability(False, f"{', '.join(absent)} {are} not installed", f"pip install {' '.join(absent)}")


class Part(Protocol):
    """``packages`` must be installed; ``weights`` are catalog entries; ``precision`` is that of its arithmetic."""

    packages: tuple[Package, ...]
    precision: str

    @property
    def weights(self) -> tuple[str, ...]: ...

    def load(self, store: WeightsSource) -> None: ...


class Voice(Part, Protocol):
    """Where somebody speaks. ``nothing``: what it would hear in a frame in which nobody does, for frames that it is spared."""

    nothing: float

    def hear(self, sound: Sound) -> Frames:
        """What speaks for speech in each frame of a stretch; its meaning is the part's own."""
        ...

    def decide(self, heard: Frames) -> Flags:
        """Which frames of the whole clip are speech, from what was heard in all of its stretches."""
        ...


class Pitch(Part, Protocol):
    """How high a voice is."""

    def hear(self, sound: Sound) -> Frames:
        """Fundamental frequency in Hz for each frame of a stretch; 0 where nothing is voiced."""
        ...


class Syllables(Part, Protocol):
    """Where the nuclei of syllables are."""

    def hear(self, sound: Sound) -> Frames:
        """The level of each frame of a stretch, dB of full scale."""
        ...

    def nuclei(self, level: Frames, voiced: Flags) -> NDArray[np.int64]:
        """The frames of the whole clip that are nuclei, ascending. ``voiced``: the frames of speech that have a pitch."""
        ...


def count(sound: Sound) -> int:
    """How many whole frames a stretch has."""
    return len(sound) // HOP


def fitted(values: NDArray[Any], frames: int, fill: float) -> Frames:
    """``values`` cut or filled up to so many frames."""
    out = np.full(frames, fill, np.float32)
    out[: min(frames, len(values))] = values[:frames]
    return out


def nearest(values: NDArray[Any], first_s: float, step_s: float, frames: int, fill: float) -> Frames:
    """Values taken at ``first_s + k * step_s``, for the middle of each frame; ``fill`` where none is within one step."""
    if not len(values):
        return np.full(frames, fill, np.float32)
    middles = (np.arange(frames) + 0.5) / FRAMES_PER_S
    at = np.rint((middles - first_s) / step_s).astype(np.int64)
    inside = (at >= 0) & (at < len(values))
    return np.where(inside, values[np.clip(at, 0, len(values) - 1)], fill).astype(np.float32)
