"""What finds changes of shot in a stream of frames: PySceneDetect (`AdaptiveCuts`) or TransNetV2 (`NetworkCuts`)."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from reelbench.analyzers.base import Phases, WeightsSource
from reelbench.analyzers.motion.statistics import Film, alike
from reelbench.analyzers.motion.transitions import transitions
from reelbench.analyzers.shots.transnet import TransNet
from reelbench.engines.base import Availability, Evidence
from reelbench.engines.lowered import LoweredNetwork
from reelbench.errors import ConfigError
from reelbench.media.types import Frame, Image
from reelbench.settings import FieldsOf

FLASH_FRAMES = 5
"""So many frames later a flash is over."""
SAME_PICTURE = 0.85
"""Correlation of two tiny grey pictures from which on they show the same."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of shot between two instants that are frames' own; equal ones for a hard cut, at the new shot's first
    frame. ``kind``: 'cut', 'fade', 'dissolve', or 'gradual' where the detector cannot tell which."""

    start_s: float
    end_s: float
    kind: str
    score: float

    @property
    def at_s(self) -> float:
        return (self.start_s + self.end_s) / 2


@dataclass(slots=True)
class Found:
    """``pictures`` are small RGB pictures of the frames at ``times``, where the detector keeps them."""

    times: list[float]
    changes: list[Change]
    pictures: Sequence[NDArray[np.uint8]] = ()


class Detector(Protocol):
    """Frames in order (RGB), changes of shot out. ``size`` is what it wants frames at; None leaves that to the
    analyzer."""

    weights: tuple[str, ...]
    size: tuple[int, int] | None

    def available(self) -> Availability: ...

    def prepare(self, store: WeightsSource) -> None: ...

    def load(self, store: WeightsSource) -> None: ...

    def detect(self, frames: Iterator[Frame], fps: float, phases: Phases) -> Found: ...

    def evidence(self) -> Evidence: ...

    def close(self) -> None: ...


class AdaptiveCuts:
    """PySceneDetect's AdaptiveDetector: the change of hue, saturation and lightness against its rolling mean.

    ``threshold`` is that ratio, ``least_change`` the change that it takes at least, ``least_shot_frames`` the
    shortest shot. ``shrink`` (width, height): frames are resized before they are compared. ``gradual`` adds fades and
    dissolves (`motion.transitions`), which the detector does not look for; a hard cut within one is dropped.
    """

    weights: tuple[str, ...] = ()
    size: tuple[int, int] | None = None

    def __init__(
        self,
        threshold: NonNegativeFloat = 3.0,
        least_change: NonNegativeFloat = 15.0,
        least_shot_frames: PositiveInt = 15,
        shrink: Sequence[PositiveInt] | None = None,
        gradual: bool = False,
    ) -> None:
        if threshold <= 0 or least_change <= 0 or least_shot_frames < 0:
            raise ConfigError(
                "analyzer.detector: threshold, least_change or least_shot_frames makes no sense", "give positive ones"
            )
        self._options = {
            "adaptive_threshold": threshold,
            "min_content_val": least_change,
            "min_scene_len": least_shot_frames,
        }
        self._shrink = None if shrink is None else (int(shrink[0]), int(shrink[1]))
        self._gradual = gradual

    def available(self) -> Availability:
        if importlib.util.find_spec("scenedetect") is None:
            return Availability(False, "PySceneDetect is not installed", "pip install scenedetect-headless")
        return Availability(True)

    def prepare(self, store: WeightsSource) -> None:
        """Nothing is built."""

    def load(self, store: WeightsSource) -> None:
        import cv2

        cv2.setNumThreads(1)
        importlib.import_module("scenedetect.detectors")

    def detect(self, frames: Iterator[Frame], fps: float, phases: Phases) -> Found:
        # The package has no type hints that a checker would accept.
        stamps, detectors = (importlib.import_module(f"scenedetect.{name}") for name in ("common", "detectors"))
        detector, film = detectors.AdaptiveDetector(**self._options), Film()
        cuts: list[int] = []
        for number, frame in enumerate(frames):
            with phases("infer"):
                # It counts in frames; seconds are looked up in the container's own time stamps.
                stamp = stamps.FrameTimecode(number, fps or 30.0)
                cuts += [one.frame_num for one in detector.process_frame(stamp, self._blue_first(frame.image))]
                film.add(frame.image, frame.pts_s)
        changes = [Change(film.times[at], film.times[at], "cut", 1.0) for at in cuts]
        if self._gradual:
            with phases("postprocess", items=0):
                changes = _with_gradual(changes, film)
        return Found(film.times, changes, film.tiny)

    def evidence(self) -> Evidence:
        return Evidence(
            engine="scenedetect",
            device="CPU",
            precision="uint8",
            version=importlib.metadata.version("scenedetect-headless" if _headless() else "scenedetect"),
            details={"detector": "AdaptiveDetector", "gradual": self._gradual, "shrink": self._shrink, **self._options},
        )

    def close(self) -> None:
        """Nothing is held."""

    def _blue_first(self, image: Image) -> Any:
        import cv2

        small = image if self._shrink is None else cv2.resize(image, self._shrink, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGB2BGR)


class NetworkCuts:
    """TransNetV2 (`shots.transnet.TransNet`), which finds fades and dissolves by itself.

    ``threshold``: a hard cut is where the network is surer than this that the shot ends; ``gradual``: frames of which
    it is surer than this that they belong to a transition make one, from ``least_gradual_s`` seconds on.
    """

    def __init__(
        self,
        network: Annotated[Mapping[str, Any], FieldsOf(TransNet)] | None = None,
        threshold: NonNegativeFloat = 0.35,
        gradual: float = 0.5,
        least_gradual_s: NonNegativeFloat = 0.15,
    ) -> None:
        if not (0 < threshold < 1 and 0 < gradual < 1 and least_gradual_s > 0):
            raise ConfigError("analyzer.detector: threshold or gradual is not between 0 and 1", "give a share")
        try:
            self._network = TransNet(**(network or {}))
        except TypeError as error:
            raise ConfigError(f"analyzer.detector.network: {error}") from error
        self._threshold, self._gradual, self._least_gradual_s = threshold, gradual, least_gradual_s
        self.weights = self._network.weights
        self.size: tuple[int, int] | None = self._network.size

    def available(self) -> Availability:
        return self._network.available()

    def prepare(self, store: WeightsSource) -> None:
        self._network.prepare(store)

    def lowered(self, store: WeightsSource) -> Iterator[LoweredNetwork]:
        return self._network.lowered(store)

    def load(self, store: WeightsSource) -> None:
        self._network.load(store)

    def detect(self, frames: Iterator[Frame], fps: float, phases: Phases) -> Found:
        seen = self._network.look(frames, phases)
        with phases("postprocess", items=0):
            changes = read(seen.times, seen.single, seen.many, self._threshold, self._gradual, self._least_gradual_s)
        return Found(seen.times, changes, seen.pictures)

    def evidence(self) -> Evidence:
        return self._network.evidence()

    def close(self) -> None:
        self._network.close()


def read(
    times: Sequence[float],
    single: NDArray[np.float32],
    many: NDArray[np.float32],
    threshold: float,
    gradual: float,
    least_gradual_s: float,
) -> list[Change]:
    """Changes of shot from the network's two answers for each frame.

    The frames of which ``many`` is sure are one transition where they last long enough and ``single`` peaks among
    them; every other peak of ``single`` is a hard cut, and the new shot begins with the next frame.
    """
    from reelbench.analyzers.motion.statistics import runs

    changes, taken = [], np.zeros(len(times), bool)
    for first, last in runs(many > gradual):
        sure = float(single[first:last].max())
        if times[last - 1] - times[first] >= least_gradual_s and sure > threshold:
            changes.append(Change(times[first], times[last - 1], "gradual", sure))
            taken[max(0, first - 2) : last + 2] = True
    for first, last in runs((single > threshold) & ~taken):
        at = first + int(np.argmax(single[first:last]))
        if at + 1 < len(times):
            changes.append(Change(times[at + 1], times[at + 1], "cut", float(single[at])))
    return sorted(changes, key=lambda change: change.start_s)


def _with_gradual(cuts: list[Change], film: Film) -> list[Change]:
    """Transitions that lead from one shot to another, and the cuts outside of them; a fade at an end of the clip
    leads nowhere."""
    count = len(film.times)
    soft = [one for one in transitions(film) if one.first > 0 and one.last < count]
    spans = [Change(film.times[one.first], film.times[one.last], one.kind, min(1.0, one.score)) for one in soft]
    outside = [
        cut
        for cut in cuts
        if not any(span.start_s - 0.1 <= cut.at_s <= span.end_s + 0.1 for span in spans) and not _goes_on(film, cut)
    ]
    return sorted([*outside, *spans], key=lambda change: change.start_s)


def _goes_on(film: Film, cut: Change) -> bool:
    """Whether the same picture goes on after the change: a flash, or a colour filter that comes or goes, is no cut."""
    at = film.times.index(cut.start_s)
    after = min(at + FLASH_FRAMES, len(film.times) - 1)
    before, beyond = (film.tiny[i].mean(axis=2, keepdims=True).astype(np.uint8) for i in (max(0, at - 1), after))
    return alike(before, beyond) > SAME_PICTURE


def _headless() -> bool:
    try:
        importlib.metadata.version("scenedetect-headless")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
