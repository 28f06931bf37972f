"""The parts of a script that say what is done to the picture and what it means (docs/corpus.md is its tutorial).

Times are seconds of the clip, except those of blinks, which are seconds of their shot.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelbench.corpus.materials import Strict, Time

EffectKind = Literal["fade", "flash", "freeze", "blur", "slow_motion", "grayscale", "sepia"]
DegradeKind = Literal["blur", "noise", "blocks", "dark", "bright"]
CallKind = Literal["follow", "like", "comment", "share", "buy", "link", "save"]
Stated = Literal["effects", "faces", "masks", "products", "degradations", "calls"]
HexColour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
FLASH_FRAMES = (2, 4)
PACED = ("freeze", "slow_motion")


class _Spell(Strict):
    """From ``start`` up to ``end``."""

    start: Time
    end: Time

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} does not lie after start {self.start}")
        return self


class Effect(_Spell):
    """``direction`` is for a fade; ``sigma`` (pixels of a frame 720 wide) for a blur; ``repeat`` for slow motion: each recorded frame
    is shown so many times."""

    kind: EffectKind
    direction: Literal["in", "out"] | None = None
    sigma: float = Field(default=10.0, ge=1, le=60)
    repeat: int = Field(default=2, ge=2, le=4)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "fade") != (self.direction is not None):
            raise ValueError("direction (in or out) is for a fade, and a fade wants one")
        return self


class Degradation(_Spell):
    """``level`` from just visible to as bad as it gets (1)."""

    kind: DegradeKind
    level: float = Field(gt=0, le=1)


class Patch(Strict):
    """A flat colour that covers ``share`` of the frame."""

    colour: HexColour
    share: float = Field(gt=0, le=1)


class Blink(Strict):
    """The eyes of face number ``who`` (of all, without it) are shut for ``frames`` frames from ``at`` seconds of the shot on."""

    at: Time
    frames: int = Field(default=4, ge=3, le=5)
    who: int | None = Field(default=None, ge=0)


class Section(_Spell):
    """A part of the clip's structure."""

    part: Literal["hook", "body", "call_to_action"]


def misplaced(
    effects: tuple[Effect, ...],
    degrade: tuple[Degradation, ...],
    structure: tuple[Section, ...],
    shots: list[float],
    fps: int,
) -> str:
    """The first part that does not fit shots that begin at ``shots`` (the last: where the clip ends), as ``key: message``."""
    end = shots[-1]
    for key, spells in (("effects", effects), ("degrade", degrade), ("structure", structure)):
        for index, spell in enumerate(spells):
            if spell.end > end + 1e-9:
                return f"{key}[{index}].end: {spell.end} lies beyond the clip's {end:g} s"
    for index, effect in enumerate(effects):
        if wrong := _misplaced(effect, shots, fps):
            return f"effects[{index}]: {wrong}"
    if wrong := _overlapping([effect for effect in effects if effect.kind in PACED]):
        return f"effects: {wrong}"
    for worse in dict.fromkeys(step.kind for step in degrade):
        if wrong := _overlapping([step for step in degrade if step.kind == worse]):
            return f"degrade: {wrong}"
    if any(a.end > b.start + 1e-9 for a, b in pairwise(structure)):
        return "structure: the parts must follow one another"
    return ""


def _misplaced(effect: Effect, shots: list[float], fps: int) -> str:
    frames = round(effect.end * fps) - round(effect.start * fps)
    if frames < 1:
        return "shorter than a frame"
    if effect.kind == "flash" and not FLASH_FRAMES[0] <= frames <= FLASH_FRAMES[1]:
        return f"a flash lasts {FLASH_FRAMES[0]} to {FLASH_FRAMES[1]} frames, not {frames}"
    if effect.kind == "fade":
        edge = effect.start if effect.direction == "in" else effect.end
        if all(abs(edge - shot) > 1e-6 for shot in shots):
            return f"a fade {effect.direction} {'begins' if effect.direction == 'in' else 'ends'} where a shot does"
    if effect.kind in PACED and any(effect.start + 1e-6 < shot < effect.end - 1e-6 for shot in shots):
        return f"{effect.kind} lies within one shot"
    return ""


def _overlapping(spells: Sequence[Effect | Degradation]) -> str:
    ordered = sorted(spells, key=lambda spell: spell.start)
    for a, b in pairwise(ordered):
        if a.end > b.start + 1e-9:
            return f"{a.kind} until {a.end} and {b.kind} from {b.start} on overlap"
    return ""
