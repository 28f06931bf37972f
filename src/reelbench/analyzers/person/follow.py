"""Following people from frame to frame: the landmarks of one frame say where to look in the next, the detector runs
when needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import hypot

import numpy as np

from reelbench.analyzers.blaze.crops import Picture, Square
from reelbench.analyzers.blaze.ssd import Detector, overlap
from reelbench.analyzers.person.pose import Person, read_person, square_around, square_of_detection
from reelbench.engines.openvino_small import SmallNetwork
from reelbench.results import Box

_SAME = 0.12
"""Two people whose hips lie closer than this share of the square around one of them are one."""


@dataclass(frozen=True, slots=True)
class Following:
    """``every_s``: the detector looks for further people so often. ``most``: so many at a time. ``person``: least
    score of somebody. ``smallest``: least share of the frame. ``forget_s``: who was lost for longer comes back as
    somebody else.

    Where somebody else says in which box a person is, the outline is held against that box instead of its own score,
    which says little of people whose hips are out of sight. ``around``: how large a square around the box the detector
    is shown, in box sides; the next one is tried where the outline's box overlaps the known one by less than ``good``
    (intersection over union), and the best of them is taken where it overlaps by ``fits``."""

    every_s: float = 2.0
    most: int = 3
    person: float = 0.5
    smallest: float = 0.002
    forget_s: float = 1.1
    around: Sequence[float] = (1.2, 2.0, 1.5)
    good: float = 0.7
    fits: float = 0.5

    def __post_init__(self) -> None:
        if (
            self.every_s < 0
            or self.forget_s < 0
            or self.most < 1
            or not (0 < self.person < 1 and 0 < self.smallest < 1)
            or not (0 < self.fits <= self.good <= 1)
            or not self.around
            or min(self.around) < 0.5
        ):
            raise ValueError(
                "follow wants seconds of 0 or more, most of 1 or more, person and smallest between 0 and 1, "
                "0 < fits <= good <= 1 and around of 0.5 or more"
            )


@dataclass(slots=True)
class Track:
    """One person over time, as (instant, person)."""

    seen: list[tuple[float, Person]] = field(default_factory=list)


class People:
    """People of one clip. Without ``remember`` the detector runs on every frame. ``near`` is the detector for places
    where somebody is known to be."""

    def __init__(
        self,
        detector: Detector,
        near: Detector,
        landmarks: SmallNetwork,
        how: Following,
        remember: bool,
        closer: bool,
    ) -> None:
        self._detector, self._near, self._landmarks = detector, near, landmarks
        self._how, self._remember, self._closer = how, remember, closer
        self._live: list[Track] = []
        self._looked_s = float("-inf")
        self.tracks: list[Track] = []
        self.detections = 0

    def step(self, picture: Picture, t_s: float, known: Sequence[Box] | None = None) -> None:
        """Take the next frame. ``known``: boxes of people, from elsewhere, the surest first; the detector then looks
        only there. None: it looks at the whole frame."""
        seen = self._followed(picture) if self._remember else []
        lost = len(seen) < len(self._live)
        due = t_s - self._looked_s >= self._how.every_s - 1e-6
        if not self._remember or lost or due or not seen:
            self._looked_s = t_s
            seen += self._found(picture, t_s, seen, known)
        for track, person in seen:
            track.seen.append((t_s, person))
            if len(track.seen) == 1:
                self.tracks.append(track)
        self._live = [track for track, _ in seen]

    def _followed(self, picture: Picture) -> list[tuple[Track, Person]]:
        seen: list[tuple[Track, Person]] = []
        for track in self._live:
            person = self._read(picture, track.seen[-1][1].square)
            if person is not None and not any(_same(person.square, other.square) for _, other in seen):
                seen.append((track, person))
        return seen

    def _found(
        self, picture: Picture, t_s: float, there: list[tuple[Track, Person]], known: Sequence[Box] | None
    ) -> list[tuple[Track, Person]]:
        """People who are not ``there``; each continues somebody who was there a moment ago, or is somebody new."""
        if known is not None and not known:
            return []
        self.detections += 1
        seen = list(there)
        people = self._anywhere(picture, seen) if known is None else self._in_boxes(picture, known[: self._how.most])
        for person in people:
            if len(seen) < self._how.most and not any(_same(person.square, other.square) for _, other in seen):
                seen.append((self._before(person, t_s, [track for track, _ in seen]) or Track(), person))
        return seen[len(there) :]

    def _anywhere(self, picture: Picture, seen: Sequence[tuple[Track, Person]]) -> Iterator[Person]:
        """Whom the detector sees in the whole frame, but for those who are ``seen``, which may grow meanwhile."""
        for detected in self._detector.find(picture, self._closer):
            square = square_of_detection(detected)
            if len(seen) < self._how.most and not any(_same(square, other.square) for _, other in seen):
                person = self._read(picture, square)
                if person is not None:
                    yield person

    def _in_boxes(self, picture: Picture, boxes: Sequence[Box]) -> Iterator[Person]:
        """The person of each box, where one is found whose outline fits it."""
        for box in boxes:
            best, fit = None, self._how.fits
            for margin in self._how.around:
                for detected in self._near.find(picture, False, [square_around(box, margin)])[:1]:
                    square = square_of_detection(detected)
                    person = read_person(self._landmarks, picture, square, self._how.smallest)
                    if person is not None and (fits := overlap(np.array(person.box), np.array(box))) >= fit:
                        best, fit = person, fits
                if best is not None and fit >= self._how.good:
                    break
            if best is not None:
                yield best

    def _before(self, person: Person, t_s: float, taken: list[Track]) -> Track | None:
        """The track that this person continues: somebody who was there a moment ago."""
        for track in reversed(self.tracks):
            last_s, last = track.seen[-1]
            if (
                last_s < t_s <= last_s + self._how.forget_s
                and track not in taken
                and _same(person.square, last.square, 3)
            ):
                return track
        return None

    def _read(self, picture: Picture, square: Square) -> Person | None:
        person = read_person(self._landmarks, picture, square, self._how.smallest)
        return person if person is not None and person.score >= self._how.person else None


def _same(a: Square, b: Square, times: float = 1.0) -> bool:
    return hypot(a.x - b.x, a.y - b.y) < times * _SAME * max(a.side, b.side)
