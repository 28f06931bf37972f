"""Things that may be products: objects from upstream with the pictures that were classified of them, and the picture
as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from reelbench.analyzers.blaze.crops import Picture, Square
from reelbench.analyzers.products.taxonomy import Taxonomy
from reelbench.results import Box, Event
from reelbench.settings import Share

_MARGIN = 1.1
PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Deciding:
    """``looks``: pictures of each object that are classified; null: all. ``scene_every_s``: so often the picture as a
    whole is classified; null: never. ``scene``: least probability of a category in it. ``object``: least score of an
    object whose category is known from its name. ``overrule``: from this probability on the classifier is believed
    against the name, unless the name has a score of ``trust`` or more. ``report``: least score of an event."""

    looks: PositiveInt | None = 2
    scene_every_s: PositiveFloat | None = 2.0
    scene: Share = 0.5
    object: Share = 0.3
    overrule: Share = 0.6
    trust: Share = 0.5
    report: Share = 0.35

    def __post_init__(self) -> None:
        shares = (self.scene, self.object, self.overrule, self.trust, self.report)
        if not all(0 < value < 1 for value in shares) or (self.looks is not None and self.looks < 1):
            raise ValueError(
                "deciding wants scene, object, overrule, trust and report between 0 and 1, looks of 1 or more"
            )
        if self.scene_every_s is not None and self.scene_every_s <= 0:
            raise ValueError("deciding wants scene_every_s above 0")


@dataclass(slots=True)
class Thing:
    """An object from upstream, and what each look at it was taken for (a probability of each class)."""

    event: Event
    seen: list[NDArray[np.float32]] = field(default_factory=list)

    def due(self, t_s: float, looks: int | None) -> Box | None:
        """The object's box where it should be looked at now: at its first sampled instant, then at equal shares of
        its time."""
        at = self.event.box_at(t_s)
        if at is None or looks is None:
            return at.box if at else None
        length = self.event.end_s - self.event.start_s
        wanted = self.event.start_s + length * len(self.seen) / looks
        return at.box if len(self.seen) < looks and t_s >= wanted - 1e-6 else None


class Classifier:
    """What a part of a picture is taken for by ``look``, which gives the probability of each of its classes."""

    def __init__(self, look: Callable[[Picture, Square], NDArray[np.float32]]) -> None:
        self._look = look
        self.runs = 0

    def box(self, picture: Picture, box: Box) -> NDArray[np.float32]:
        x1, y1, x2, y2 = box
        side = max(x2 - x1, y2 - y1, 8.0) * _MARGIN
        return self._classified(picture, Square((x1 + x2) / 2, (y1 + y2) / 2, side))

    def whole(self, picture: Picture) -> NDArray[np.float32]:
        """Of the picture's middle: a square as wide as its short side."""
        side = float(min(picture.width, picture.height))
        return self._classified(picture, Square(picture.width / 2, picture.height / 2, side))

    def _classified(self, picture: Picture, square: Square) -> NDArray[np.float32]:
        self.runs += 1
        return self._look(picture, square)


def judge(thing: Thing, taxonomy: Taxonomy, how: Deciding, names: Sequence[str]) -> Event | None:
    """The product that an object is, if it is one: by its name, by what its pictures are taken for, or by both."""
    event = thing.event
    named = taxonomy.of_coco.get(event.label) if event.score >= how.object else None
    category, score, likely = named, event.score, None
    if thing.seen:
        mean = np.mean(thing.seen, axis=0)
        best, share = taxonomy.best(mean)
        if best == named:
            score = 1 - (1 - score) * (1 - share)
        elif share >= how.overrule and (named is None or event.score < how.trust):
            category, score = best, share
        if category is not None:
            likely = taxonomy.likeliest_class(category, mean)
            likely = likely if likely is not None and mean[likely] >= 0.1 else None
    if category is None or score < how.report:
        return None
    return Event(
        start_s=event.start_s,
        end_s=event.end_s,
        label=category,
        score=min(float(score), 1.0),
        box=event.box,
        track=event.track,
        attributes={
            "object": event.label,
            "object_score": round(event.score, 3),
            "looks": len(thing.seen),
            "name": names[likely] if likely is not None else event.label,
        },
    )


def scene_events(
    seen: Sequence[tuple[float, NDArray[np.float32]]],
    taxonomy: Taxonomy,
    least: float,
    duration_s: float,
    known: Sequence[Event],
    names: Sequence[str],
) -> list[Event]:
    """Products that fill the picture without being an object that has a name: a category in successive looks is one
    event, which lasts from its first look until the first look that does not show it. What ``known`` holds at that
    time is not told twice."""
    found: list[Event] = []
    for at, (t_s, probabilities) in enumerate(seen):
        category, share = taxonomy.best(probabilities)
        until = seen[at + 1][0] if at + 1 < len(seen) else max(duration_s, t_s)
        told = any(one.label == category and one.start_s < until and t_s < one.end_s for one in known)
        if share < least or told:
            continue
        likely = taxonomy.likeliest_class(category, probabilities)
        last = found[-1] if found else None
        if last is not None and last.label == category and abs(last.end_s - t_s) < 1e-6:
            better = max(last.score, share)
            looks = int(last.attributes["looks"]) + 1
            attributes = {**last.attributes, "looks": looks}
            found[-1] = last.model_copy(update={"end_s": until, "score": better, "attributes": attributes})
        else:
            name = names[likely] if likely is not None else category
            attributes = {"object": None, "object_score": None, "looks": 1, "name": name}
            found.append(Event(start_s=t_s, end_s=until, label=category, score=share, attributes=attributes))
    return found
