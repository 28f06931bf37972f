"""What synthetic scripts are made of: photographs with their objects, and fonts (``conf/synthetic/photographs.yaml``)."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reelbench.corpus.base import CorpusStore
from reelbench.corpus.clip import Point, TruthObject
from reelbench.errors import InputError
from reelbench.paths import conf_dir
from reelbench.results import Box

DOCS = "docs/corpus.md describes every key"
Side = Annotated[int, Field(ge=8, le=20000)]
Time = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhotographObject(TruthObject):
    """``core`` is the part that decides whether the object is judged, where its box is not (a body, not an outstretched arm).

    ``product`` is what a shop would file it under.
    """

    core: Box | None = None
    product: str | None = Field(default=None, min_length=1)


class PhotographFace(Strict):
    """``box`` from the hairline to the chin and from cheek to cheek, ``eyes`` the centres of the irises (the one further left first),
    ``opening`` the width and height of an open eye. ``arguable``: not to be judged, as where one eye cannot be seen."""

    box: Box
    eyes: tuple[Point, Point]
    opening: tuple[float, float]
    looking: bool | None = None
    age: float | None = Field(default=None, ge=0, le=120)
    arguable: bool = False

    @property
    def tilt(self) -> float:
        """The degrees by which the line of the eyes falls to the right."""
        (x1, y1), (x2, y2) = self.eyes
        return math.degrees(math.atan2(y2 - y1, x2 - x1))


Outline = Annotated[tuple[Point, ...], Field(min_length=3)]


class Photograph(Strict):
    """A picture and everything in it that has a COCO name. ``artifact`` is a catalog entry, ``file`` a path beside the script.

    ``size`` is (width, height) in pixels; boxes are pixels of the photograph, annotated once. ``faces`` and ``people`` (their
    outlines) are None where they were not annotated, and empty where there are none.
    """

    artifact: str | None = None
    file: Path | None = None
    size: tuple[Side, Side]
    objects: tuple[PhotographObject, ...] = ()
    faces: tuple[PhotographFace, ...] | None = None
    people: tuple[Outline, ...] | None = None

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if (self.artifact is None) == (self.file is None):
            raise ValueError("give either artifact or file")
        points = [
            *(eye for face in self.faces or () for eye in face.eyes),
            *(p for line in self.people or () for p in line),
        ]
        for x, y in points:
            if not (0 <= x <= self.size[0] and 0 <= y <= self.size[1]):
                raise ValueError(f"point {[x, y]} does not lie within {list(self.size)}")
        for item in self.objects:
            for box in (item.box, item.core or item.box):
                x1, y1, x2, y2 = box
                if not (0 <= x1 < x2 <= self.size[0] and 0 <= y1 < y2 <= self.size[1]):
                    raise ValueError(f"box {list(box)} of '{item.label}' does not lie within {list(self.size)}")
        return self

    def path(self, store: CorpusStore) -> Path:
        return store.path(self.artifact) if self.artifact else Path(str(self.file))


class Library(Strict):
    """``fonts`` maps a short name to a catalog entry."""

    photographs: dict[str, Photograph]
    fonts: dict[str, str]


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(model: type[Model], path: Path) -> Model:
    """Parse and validate a YAML file. InputError: one line with the file, and the line or the key that is wrong."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{path}: {line}{error.problem}", "the file must be YAML") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {error}", "the file must be YAML") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error)}", DOCS) from error


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, as ``key: message``; shots and overlays count from 0."""
    first = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return f"{where or 'the file'}: {message}"


def synthetic_dir() -> Path:
    return conf_dir() / "synthetic"


@cache
def library() -> Library:
    """The shipped photographs and fonts."""
    return read_yaml(Library, synthetic_dir() / "photographs.yaml")
