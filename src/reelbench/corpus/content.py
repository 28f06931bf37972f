"""What a shot shows, in pixels of its picture: a photograph with what was annotated in it, or flat patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reelbench.corpus.materials import Outline, PhotographFace, PhotographObject
from reelbench.corpus.patches import painted
from reelbench.corpus.script import Script, Shot
from reelbench.media.types import Image


@dataclass(frozen=True, slots=True)
class Content:
    """``faces`` and ``people`` are None where they were not annotated. ``name`` is the photograph's."""

    picture: Image
    size: tuple[int, int]
    name: str | None = None
    objects: tuple[PhotographObject, ...] = ()
    faces: tuple[PhotographFace, ...] | None = ()
    people: tuple[Outline, ...] | None = ()


def content(script: Script, shot: Shot, pictures: Mapping[str, Image]) -> Content:
    if shot.photograph is None:
        return Content(painted(shot.patches, script.size), script.size)
    known = script.photograph(shot.photograph)
    return Content(pictures[shot.photograph], known.size, shot.photograph, known.objects, known.faces, known.people)
