"""A clip and its ground truth (docs/corpus.md describes the file ``<name>.truth.json``)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reelbench.errors import InputError
from reelbench.results import Box, Seconds

TRUTH_VERSION = 1
Label = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TruthObject(_Strict):
    """An object in one frame. ``ignore``: present but not judged (a detection of it is neither right nor wrong)."""

    label: Label
    box: Box
    ignore: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_box(self, self.box)


class TruthFrame(_Strict):
    """Everything that can be seen at one instant; an empty list says that nothing is there."""

    t_s: Seconds
    objects: tuple[TruthObject, ...] = ()


class TruthSpan(_Strict):
    """A camera move, an overlay text or any other thing with an interval."""

    start_s: Seconds
    end_s: Seconds
    label: Label
    text: str | None = None
    box: Box | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_box(_checked_times(self, self.start_s, self.end_s), self.box)


class Cut(_Strict):
    """A change of shot. ``kind`` is 'cut', 'fade' or 'dissolve'; a cut has ``start_s == end_s``."""

    start_s: Seconds
    end_s: Seconds
    kind: Label

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_times(self, self.start_s, self.end_s)


class TruthWord(_Strict):
    """A spoken word. ``syllables``: how many, from its phonemes."""

    start_s: Seconds
    end_s: Seconds
    text: Label
    syllables: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_times(self, self.start_s, self.end_s)


class TruthMusic(_Strict):
    """A stretch with a beat; ``key`` as 'C major' or 'A minor'."""

    start_s: Seconds
    end_s: Seconds
    tempo_bpm: float = Field(gt=0)
    key: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_times(self, self.start_s, self.end_s)


Point = tuple[float, float]


class TruthFace(_Strict):
    """A face in one frame. ``eyes``: the centres of the irises, first the one further left in the picture. ``age`` in years."""

    box: Box
    eyes: tuple[Point, Point]
    open: bool = True
    looking: bool | None = None
    age: float | None = Field(default=None, ge=0, le=120)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_box(self, self.box)


class TruthFaces(_Strict):
    """All faces at one instant."""

    t_s: Seconds
    faces: tuple[TruthFace, ...] = ()


class TruthMask(_Strict):
    """The outline of all people at one instant: polygons in pixels of the displayed frame; none says that nobody is there."""

    t_s: Seconds
    polygons: tuple[tuple[Point, ...], ...] = ()


class TruthPalette(_Strict):
    """The colours of an interval as '#rrggbb' with the share of the picture that each covers, largest first."""

    start_s: Seconds
    end_s: Seconds
    colours: tuple[tuple[str, float], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_times(self, self.start_s, self.end_s)


class TruthDegradation(_Strict):
    """An interval whose picture was made worse. ``kind``: 'blur', 'noise', 'blocks', 'dark' or 'bright'; ``level`` 0 … 1."""

    start_s: Seconds
    end_s: Seconds
    kind: Label
    level: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _checked_times(self, self.start_s, self.end_s)


class Truth(_Strict):
    """Ground truth of one clip. A part that is None is unknown; an empty one is known to hold nothing.

    ``speech`` are the intervals in which somebody speaks (label 'speech'; pauses of 0.2 s and more lie between them); ``sounds`` are
    events (label: 'click', 'whoosh', 'bell', 'applause') and noise beds (label: 'noise'); ``loudness_lufs`` is the programme's
    integrated loudness (ITU-R BS.1770). ``effects`` are labelled 'fade', 'dissolve', 'flash', 'freeze', 'blur', 'slow_motion',
    'grayscale' or 'sepia'; ``scenes`` group shots (same label, same scene); ``products`` have a product category for label;
    ``calls`` are calls to action (label: 'follow', 'like', 'comment', 'share', 'buy', 'link', 'save'; ``text``: the words);
    ``structure`` has 'hook', 'body' and 'call_to_action'; ``prosody`` spans of speech are labelled 'calm' or 'excited'.
    """

    version: int = Field(default=TRUTH_VERSION, ge=1, le=TRUTH_VERSION)
    source: str = ""
    objects: tuple[TruthFrame, ...] | None = None
    overlays: tuple[TruthSpan, ...] | None = None
    camera: tuple[TruthSpan, ...] | None = None
    cuts: tuple[Cut, ...] | None = None
    words: tuple[TruthWord, ...] | None = None
    speech: tuple[TruthSpan, ...] | None = None
    sounds: tuple[TruthSpan, ...] | None = None
    music: tuple[TruthMusic, ...] | None = None
    loudness_lufs: float | None = None
    effects: tuple[TruthSpan, ...] | None = None
    scenes: tuple[TruthSpan, ...] | None = None
    products: tuple[TruthSpan, ...] | None = None
    faces: tuple[TruthFaces, ...] | None = None
    masks: tuple[TruthMask, ...] | None = None
    palettes: tuple[TruthPalette, ...] | None = None
    degradations: tuple[TruthDegradation, ...] | None = None
    calls: tuple[TruthSpan, ...] | None = None
    structure: tuple[TruthSpan, ...] | None = None
    prosody: tuple[TruthSpan, ...] | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """One video file. ``name`` is unique within its corpus; ``sha256`` is that of the file."""

    name: str
    path: Path
    corpus: str
    sha256: str
    truth: Truth | None = None

    @property
    def truth_sha256(self) -> str:
        """The hash of its ground truth (`truth_digest`); '' where it has none."""
        return truth_digest(self.truth) if self.truth is not None else ""


def truth_digest(truth: Truth) -> str:
    """The sha256 of what is known of a clip, however its file is laid out. What is unknown does not count, so that a kind of truth
    that is added later changes no hash."""
    return hashlib.sha256(truth.model_dump_json(exclude_none=True, exclude={"source"}).encode()).hexdigest()


def read_truth(path: Path) -> Truth:
    """Read a truth file; InputError names the file and the first thing that is wrong in it."""
    try:
        return Truth.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path.name}: {where}: {message}", "docs/corpus.md describes the file") from error


_Item = TypeVar("_Item")


def _checked_box(item: _Item, box: Box | None) -> _Item:
    if box is not None and (box[2] < box[0] or box[3] < box[1]):
        raise ValueError(f"box {list(box)} is not x1, y1, x2, y2")
    return item


def _checked_times(item: _Item, start_s: float, end_s: float) -> _Item:
    if end_s < start_s:
        raise ValueError(f"end_s {end_s} lies before start_s {start_s}")
    return item
