"""Images on which an engine calibrates its INT8 ranges: sampled frames of a clip, photographs, and crops of them; and their judge.

They must be none of the clips that quality is measured on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from reelbench.analyzers.base import WeightsSource
from reelbench.analyzers.detection.agreement import LEAST_SCORE, agreement
from reelbench.analyzers.detection.heads import Head
from reelbench.engines.base import Tensors
from reelbench.errors import AnalyzerError, ConfigError
from reelbench.media.dedup import NearDuplicates
from reelbench.media.frames import FrameStream
from reelbench.media.types import DecodeOptions, FrameRequest, Image, Limits, Sampling

LEAST_CONTRAST = 15.0
"""Standard deviation in grey levels below which a frame shows next to nothing: black, white, or in the middle of a fade."""


class Pictures(Protocol):
    """Where images come from on which an engine calibrates, or is judged (`CalibrationSet` is one)."""

    @property
    def weights(self) -> tuple[str, ...]:
        """Catalog entries of the pictures and clips."""
        ...

    def __str__(self) -> str:
        """Names the set: equal texts mean equal images."""
        ...

    def images(self, store: WeightsSource, request: FrameRequest) -> list[Image]: ...


class CalibrationSet:
    """``every`` n-th frame of each of ``clips`` (at most ``frames`` each); each of ``photographs`` whole and in ``crops`` random crops.

    ``span_s`` [from, to] takes only that part of each clip. ``distinct``: frames that differ by less than so many grey levels from the
    last one taken are left out (`reelbench.media.dedup`), and so is what has hardly any contrast (a fade); the ``frames`` are then
    spread evenly over the rest. Without it they are the first ones.

    All are named by their catalog entries. Deterministic: the same arguments give the same images. Variety counts more than number:
    flat and blurred footage alone gives ranges too narrow for sharp photographs, and the network then sees an aeroplane in a bus.
    """

    def __init__(
        self,
        clips: Sequence[str] = (),
        photographs: Sequence[str] = (),
        every: PositiveInt = 50,
        frames: PositiveInt = 100,
        crops: PositiveInt = 30,
        seed: NonNegativeInt = 0,
        span_s: Sequence[NonNegativeFloat] | None = None,
        distinct: NonNegativeFloat | None = None,
    ) -> None:
        if span_s is not None and not (len(span_s) == 2 and 0 <= span_s[0] < span_s[1]):
            raise ConfigError(f"calibration.span_s is {list(span_s)}", "give [from, to] in seconds")
        self._clips, self._photographs = tuple(clips), tuple(photographs)
        self._every, self._frames, self._crops, self._seed = every, frames, crops, seed
        self._span, self._distinct = (0.0, math.inf) if span_s is None else tuple(span_s), distinct

    def __str__(self) -> str:
        which = f"{self._every}|{self._frames}|{self._span}|{self._distinct}"
        return f"{self._clips}|{self._photographs}|{which}|{self._crops}|{self._seed}"

    @property
    def weights(self) -> tuple[str, ...]:
        return (*self._clips, *self._photographs)

    def images(self, store: WeightsSource, request: FrameRequest) -> list[Image]:
        """The images at ``request``'s size and colour; its sampling is not used."""
        wanted = FrameRequest(Sampling(every=self._every), request.size, request.colour)
        images = [image for clip in self._clips for image in self._of_clip(store.path(clip), wanted)]
        random = np.random.default_rng(self._seed)
        for photograph in self._photographs:
            images += self._of_photograph(store.path(photograph), wanted, random)
        return images

    def _of_clip(self, path: Path, request: FrameRequest) -> list[Image]:
        with FrameStream(path, request, DecodeOptions(), Limits()) as frames:
            within = (frame.image for frame in frames if self._span[0] <= frame.pts_s < self._span[1])
            if self._distinct is None:
                return list(islice(within, self._frames))
            return _spread(_distinct(within, self._distinct), self._frames)

    def _of_photograph(self, path: Path, request: FrameRequest, random: np.random.Generator) -> list[Image]:
        import cv2

        whole = cv2.imread(str(path))
        if whole is None:
            raise AnalyzerError(f"{path.name} cannot be read as a picture")
        if request.colour == "rgb":
            whole = cv2.cvtColor(whole, cv2.COLOR_BGR2RGB)
        views = [whole, *(_crop(whole, random) for _ in range(self._crops))]
        return [np.ascontiguousarray(cv2.resize(view, request.size)) if request.size else view for view in views]


class Judged:
    """What an engine is handed to calibrate on (`engines.capabilities.Calibration`), where it may also ask how well its answers agree
    with those of the exact network (`engines.openvino_accuracy.Judge`): by what the head reads from them, not number by number."""

    def __init__(
        self, calibrating: Callable[[], list[NDArray[Any]]], validating: Callable[[], list[NDArray[Any]]], head: Head
    ) -> None:
        self._calibrating, self._validating, self._head = calibrating, validating, head

    def __call__(self) -> list[NDArray[Any]]:
        return self._calibrating()

    def validation(self) -> list[NDArray[Any]]:
        return self._validating()

    def agreement(self, reference: Tensors, found: Tensors) -> float:
        (a,), (b,) = (self._head.decode(outputs, LEAST_SCORE) for outputs in (reference, found))
        return agreement(a, b)


def _distinct(images: Iterable[Image], threshold: float) -> list[Image]:
    near = NearDuplicates(threshold)
    return [image for image in images if image.std() >= LEAST_CONTRAST and not near.is_duplicate(image)]


def _spread(images: Sequence[Image], count: int) -> list[Image]:
    """At most ``count`` of them, evenly over the whole."""
    taken = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)
    return [images[at] for at in taken]


def _crop(image: Image, random: np.random.Generator) -> Image:
    """35 to 95 % of each side, sides varied, half of them mirrored: other scales and shapes of the same things."""
    height, width = image.shape[:2]
    scale, shape = random.uniform(0.35, 0.95), random.uniform(0.5, 1.4)
    w, h = max(1, int(scale * width)), max(1, min(height, int(scale * height * shape)))
    x, y = random.integers(0, width - w + 1), random.integers(0, height - h + 1)
    crop = image[y : y + h, x : x + w]
    return crop[:, ::-1] if random.random() < 0.5 else crop
