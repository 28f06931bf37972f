"""What is done to the picture when it is edited, before the texts go on: fades, flashes, blur and colour filters; and its pace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reelbench.corpus.clip import TruthSpan
from reelbench.corpus.edit_script import PACED, Effect
from reelbench.corpus.script import Script
from reelbench.corpus.timeline import Part, Timeline
from reelbench.media.types import Image

FLASH = 0.95
"""The share of white in the frames of a flash."""
BLUR_RAMP_S = 0.3
"""A blur comes and goes in this time, or in a third of its length."""
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
"""The usual matrix of editors, for red, green and blue."""
REFERENCE_SIDE = 720


@dataclass(frozen=True, slots=True)
class Spell:
    """``effect`` covers frames ``start`` … ``end`` − 1."""

    effect: Effect
    start: int
    end: int


class Effects:
    def __init__(self, script: Script, timeline: Timeline) -> None:
        self.timeline = timeline
        self.spells = [
            Spell(effect, timeline.frame(effect.start), timeline.frame(effect.end)) for effect in script.effects
        ]
        self.known = bool(script.effects) or "effects" in script.states
        self._scale = min(script.size) / REFERENCE_SIDE
        self._steps = self._paces()

    def source(self, part: Part, number: int) -> int:
        """The frame that was recorded at this place, counted as if nothing had been slowed: a frozen picture shows its first
        frame all along, slow motion each one several times, and what comes after goes on where it stopped."""
        return part.start + int(self._steps[number] - self._steps[part.start])

    @property
    def paced(self) -> bool:
        return any(spell.effect.kind in PACED for spell in self.spells)

    def frozen(self, number: int) -> bool:
        return any(spell.effect.kind == "freeze" for spell in self._at(number))

    def visibility(self, number: int) -> float:
        """The share of the picture that fades and flashes leave."""
        share = 1.0
        for spell in self._at(number):
            if spell.effect.kind == "fade":
                share *= _faded(spell, number)
            elif spell.effect.kind == "flash":
                share *= 1 - FLASH
        return share

    def apply(self, image: Image, number: int) -> Image:
        """The frame with its effects, in the order of the script."""
        for spell in self._at(number):
            image = self._applied(image, spell, number)
        return image

    def truth(self) -> tuple[TruthSpan, ...] | None:
        """The effects with the fades and dissolves between shots, in time order."""
        if not self.known:
            return None
        seconds = self.timeline.seconds
        spans = [
            TruthSpan(start_s=seconds(spell.start), end_s=seconds(spell.end), label=spell.effect.kind)
            for spell in self.spells
        ]
        spans += [
            TruthSpan(start_s=cut.start_s, end_s=cut.end_s, label=cut.kind)
            for cut in self.timeline.cuts()
            if cut.kind != "cut"
        ]
        return tuple(sorted(spans, key=lambda span: (span.start_s, span.end_s)))

    def _at(self, number: int) -> list[Spell]:
        return [spell for spell in self.spells if spell.start <= number < spell.end]

    def _paces(self) -> list[int]:
        """How many recorded frames have gone by at each frame of the clip."""
        stands = np.zeros(self.timeline.frames, bool)
        for spell in self.spells:
            numbers = np.arange(spell.start, spell.end)
            if spell.effect.kind == "freeze":
                stands[numbers[1:]] = True
            elif spell.effect.kind == "slow_motion":
                stands[numbers[(numbers - spell.start) % spell.effect.repeat != 0]] = True
        return [int(step) for step in np.cumsum(~stands)]

    def _applied(self, image: Image, spell: Spell, number: int) -> Image:
        import cv2

        kind = spell.effect.kind
        if kind == "fade":
            image = cv2.convertScaleAbs(image, alpha=_faded(spell, number))
        elif kind == "flash":
            image = cv2.addWeighted(image, 1 - FLASH, np.full_like(image, 255), FLASH, 0)
        elif kind == "blur":
            sigma = spell.effect.sigma * self._scale * self._swell(spell, number)
            image = cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.1 else image
        elif kind == "grayscale":
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        elif kind == "sepia":
            image = cv2.transform(image, SEPIA)
        return np.asarray(image, np.uint8)

    def _swell(self, spell: Spell, number: int) -> float:
        """0 … 1: rising at the beginning, falling at the end."""
        ramp = min(BLUR_RAMP_S * self.timeline.fps, (spell.end - spell.start) / 3)
        return min(1.0, (number - spell.start + 0.5) / ramp, (spell.end - number - 0.5) / ramp)


def _faded(spell: Spell, number: int) -> float:
    since, left = number - spell.start + 0.5, spell.end - number - 0.5
    return (since if spell.effect.direction == "in" else left) / (spell.end - spell.start)
