"""The one result schema of all analyzers.

History of ``SCHEMA_VERSION``:
    1  first version

A result belongs to one clip. Times are seconds since the clip's start, taken from the container's own time stamps. Boxes
are pixels of the displayed frame (rotation applied) as x1, y1, x2, y2. Scores lie in 0…1.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reelbench.encoding import readable

SCHEMA_VERSION = 1

Readable = Annotated[str, BeforeValidator(readable)]
"""Text of a command line or a file name, which may hold bytes that are not UTF-8: they are kept as escapes."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Pixels = Annotated[float, Field(allow_inf_nan=False)]
Box = tuple[Pixels, Pixels, Pixels, Pixels]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoxAt(_Strict):
    """Where something was at one instant: one key frame of a track."""

    t_s: Seconds
    box: Box
    score: Score


class Event(_Strict):
    """Something that an analyzer saw, from ``start_s`` up to ``end_s`` (excluded, unless both are equal).

    ``box`` and ``score`` are the best of the interval. ``track`` holds the boxes over time where the thing moves; between two
    key frames the box is interpolated, after the last one it is held.
    """

    start_s: Seconds
    end_s: Seconds
    label: str = Field(min_length=1)
    score: Score
    box: Box | None = None
    text: str | None = None
    track: tuple[BoxAt, ...] = ()
    attributes: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end_s < self.start_s:
            raise ValueError(f"end_s {self.end_s} lies before start_s {self.start_s}")
        if self.box is not None and (self.box[2] < self.box[0] or self.box[3] < self.box[1]):
            raise ValueError(f"box {self.box} is not x1, y1, x2, y2")
        if any(a.t_s >= b.t_s for a, b in zip(self.track, self.track[1:], strict=False)):
            raise ValueError("the key frames of a track must ascend in time")
        return self

    def box_at(self, t_s: float) -> BoxAt | None:
        """The box at ``t_s``, or None where the event does not cover that instant or has no box."""
        covered = self.start_s <= t_s < self.end_s or (self.start_s == self.end_s == t_s)
        if not covered or self.box is None:
            return None
        if not self.track:
            return BoxAt(t_s=t_s, box=self.box, score=self.score)
        before = [key for key in self.track if key.t_s <= t_s]
        after = [key for key in self.track if key.t_s > t_s]
        if not before or not after:
            nearest = before[-1] if before else after[0]
            return nearest.model_copy(update={"t_s": t_s})
        a, b = before[-1], after[0]
        w = (t_s - a.t_s) / (b.t_s - a.t_s)
        x1, y1, x2, y2 = (p + w * (q - p) for p, q in zip(a.box, b.box, strict=True))
        return BoxAt(t_s=t_s, box=(x1, y1, x2, y2), score=a.score + w * (b.score - a.score))


class AnalyzerResult(_Strict):
    """What one analyzer found in one clip.

    ``frames_sampled`` were handed to the analyzer; ``frames_inferred`` of them reached the network (fewer where near-duplicates
    were filtered). ``sampled_s`` are the instants of the former.
    """

    analyzer: str
    schema_version: int = SCHEMA_VERSION
    clip: str
    duration_s: Seconds
    frames_sampled: int = Field(default=0, ge=0)
    frames_inferred: int = Field(default=0, ge=0)
    sampled_s: tuple[Seconds, ...] = ()
    events: tuple[Event, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a result file (exported to docs/result.schema.json)."""
    return AnalyzerResult.model_json_schema()
