"""What a run found in one clip, by all analyzers, as one file for other programs (docs/clip.schema.json).

Nothing found and nothing known are told apart by the shape: only an analyzer that is 'done' has events, and it has them even where they
are none; every other has a reason instead.

History of ``CLIP_VERSION``:
    1  first version
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbench.results import Event, Seconds

CLIP_VERSION: Literal[1] = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Done(_Model):
    """An analyzer that finished. ``events`` may be empty: it looked, and there is nothing. The rest is as in `AnalyzerResult`."""

    status: Literal["done"] = "done"
    variant: str
    frames_sampled: int = Field(ge=0)
    frames_inferred: int = Field(ge=0)
    sampled_s: tuple[Seconds, ...]
    events: tuple[Event, ...]


class NotDone(_Model):
    """An analyzer of which nothing is known about this clip, and why; ``mend`` is the command that would help, where there is one.

    'lost': the run says that it was done, but its result cannot be read any more. 'pending': the run is not finished.
    """

    status: Literal["pending", "failed", "timed_out", "unavailable", "skipped", "lost"]
    variant: str
    reason: str = Field(min_length=1)
    mend: str = ""


class ClipFacts(_Model):
    """The video. ``file`` is its name without folders; what is None is not known (the clip could not be read: ``error`` says why)."""

    name: str
    file: str
    sha256: str = ""
    duration_s: Seconds | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    error: str = ""


class ClipOutput(_Model):
    """Everything about one clip. Times are seconds since its start, boxes pixels of the displayed frame as x1, y1, x2, y2."""

    schema_version: Literal[1] = CLIP_VERSION
    run: str
    created: str
    corpus: str
    clip: ClipFacts
    analyzers: dict[str, Annotated[Done | NotDone, Field(discriminator="status")]]

    def done(self, analyzer: str) -> Done | None:
        """What ``analyzer`` found; None where it did not finish, or took no part."""
        found = self.analyzers.get(analyzer)
        return found if isinstance(found, Done) else None

    def why_not(self, analyzer: str) -> str:
        """Why there is nothing by ``analyzer``, in a line; empty where it is done."""
        found = self.analyzers.get(analyzer)
        if found is None:
            return f"{analyzer} took no part in this run"
        return "" if isinstance(found, Done) else f"{analyzer} is {found.status.replace('_', ' ')}: {found.reason}"


def clip_json_schema() -> dict[str, Any]:
    """The JSON Schema of a clip's file (exported to docs/clip.schema.json)."""
    return ClipOutput.model_json_schema(mode="serialization")
