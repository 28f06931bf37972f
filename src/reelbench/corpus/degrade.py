"""Makes the picture worse by known amounts, one kind and level for an interval (``degrade`` of a script)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from reelbench.corpus.clip import TruthDegradation
from reelbench.corpus.edit_script import Degradation
from reelbench.corpus.painting import Noise
from reelbench.corpus.script import Script
from reelbench.corpus.timeline import Timeline
from reelbench.media.types import Image

BLUR_SIGMA = 8.0
"""Pixels of a frame 720 wide, at level 1."""
NOISE_LEVELS = 40.0
DARKEST = 0.15
BRIGHTEST = 3.2
QUALITY_FIRST, QUALITY_SPAN = 50.0, 0.1
"""The JPEG quality falls from 50 just above level 0 to 5 at level 1, by a constant factor."""
REFERENCE_SIDE = 720


class Degrader:
    """Light and focus are lost before the sensor adds its noise (``optics``), its noise grows (``grain``), and blocks come last of
    all, over the texts too (``squeeze``): a platform encodes what it is given."""

    def __init__(self, script: Script, timeline: Timeline) -> None:
        self.timeline = timeline
        self.steps = [(step, timeline.frame(step.start), timeline.frame(step.end)) for step in script.degrade]
        self.known = bool(script.degrade) or "degradations" in script.states
        self._sigma = BLUR_SIGMA * min(script.size) / REFERENCE_SIDE
        self._noises = {
            step.level: Noise(script.seed + 1, script.size, NOISE_LEVELS * step.level)
            for step in script.degrade
            if step.kind == "noise"
        }

    def optics(self, image: Image, number: int) -> Image:
        import cv2

        for step in self._at(number, "dark", "bright", "blur"):
            if step.kind == "blur":
                image = cv2.GaussianBlur(image, (0, 0), self._sigma * step.level)
            else:
                gain = 1 + step.level * ((DARKEST if step.kind == "dark" else BRIGHTEST) - 1)
                image = cv2.convertScaleAbs(image, alpha=gain)
        return np.asarray(image, np.uint8)

    def grain(self, image: Image, number: int) -> Image:
        for step in self._at(number, "noise"):
            image = self._noises[step.level].onto(image, number)
        return image

    def squeeze(self, image: Image, number: int) -> Image:
        import cv2

        for step in self._at(number, "blocks"):
            quality = max(1, round(QUALITY_FIRST * QUALITY_SPAN**step.level))
            coded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            image = np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[:, :, ::-1])
        return image

    def truth(self) -> tuple[TruthDegradation, ...] | None:
        if not self.known:
            return None
        seconds = self.timeline.seconds
        found = [
            TruthDegradation(start_s=seconds(start), end_s=seconds(end), kind=step.kind, level=step.level)
            for step, start, end in self.steps
        ]
        return tuple(sorted(found, key=lambda step: (step.start_s, step.kind)))

    def _at(self, number: int, *kinds: Literal["blur", "noise", "dark", "bright", "blocks"]) -> list[Degradation]:
        return [step for step, start, end in self.steps if start <= number < end and step.kind in kinds]
