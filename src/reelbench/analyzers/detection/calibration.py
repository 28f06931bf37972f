"""Images on which an engine calibrates its INT8 ranges: sampled frames of a clip, photographs, and crops of them.

They must be none of the clips that quality is measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from reelbench.analyzers.base import WeightsSource
from reelbench.errors import AnalyzerError
from reelbench.media.frames import FrameStream
from reelbench.media.types import DecodeOptions, FrameRequest, Image, Limits, Sampling


class CalibrationSet:
    """``every`` n-th frame of each of ``clips`` (at most ``frames`` each); each of ``photographs`` whole and in ``crops`` random crops.

    All are named by their catalog entries. Deterministic: the same arguments give the same images. Variety counts more than number:
    flat and blurred footage alone gives ranges too narrow for sharp photographs, and the network then sees an aeroplane in a bus.
    """

    def __init__(
        self,
        clips: Sequence[str] = (),
        photographs: Sequence[str] = (),
        every: int = 50,
        frames: int = 100,
        crops: int = 30,
        seed: int = 0,
    ) -> None:
        self._clips, self._photographs = tuple(clips), tuple(photographs)
        self._every, self._frames, self._crops, self._seed = every, frames, crops, seed

    def __str__(self) -> str:
        return f"{self._clips}|{self._photographs}|{self._every}|{self._frames}|{self._crops}|{self._seed}"

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
            return [frame.image for frame in islice(frames, self._frames)]

    def _of_photograph(self, path: Path, request: FrameRequest, random: np.random.Generator) -> list[Image]:
        import cv2

        whole = cv2.imread(str(path))
        if whole is None:
            raise AnalyzerError(f"{path.name} cannot be read as a picture")
        if request.colour == "rgb":
            whole = cv2.cvtColor(whole, cv2.COLOR_BGR2RGB)
        views = [whole, *(_crop(whole, random) for _ in range(self._crops))]
        return [np.ascontiguousarray(cv2.resize(view, request.size)) if request.size else view for view in views]


def _crop(image: Image, random: np.random.Generator) -> Image:
    """35 to 95 % of each side, sides varied, half of them mirrored: other scales and shapes of the same things."""
    height, width = image.shape[:2]
    scale, shape = random.uniform(0.35, 0.95), random.uniform(0.5, 1.4)
    w, h = max(1, int(scale * width)), max(1, min(height, int(scale * height * shape)))
    x, y = random.integers(0, width - w + 1), random.integers(0, height - h + 1)
    crop = image[y : y + h, x : x + w]
    return crop[:, ::-1] if random.random() < 0.5 else crop
