"""Following people from frame to frame: the landmarks of one frame say where to look in the next, the detector runs
when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot

from reelbench.analyzers.blaze.crops import Picture, Square
from reelbench.analyzers.blaze.ssd import Detector
from reelbench.analyzers.person.pose import Person, read_person, square_of_detection
from reelbench.engines.openvino_small import SmallNetwork

_SAME = 0.12
"""Two people whose hips lie closer than this share of the square around one of them are one."""


@dataclass(frozen=True, slots=True)
class Following:
    """``every_s``: the detector looks for further people so often. ``most``: so many at a time. ``person``: least
    score of somebody. ``smallest``: least share of the frame. ``forget_s``: who was lost for longer comes back as
    somebody else."""

    every_s: float = 2.0
    most: int = 3
    person: float = 0.5
    smallest: float = 0.002
    forget_s: float = 1.1

    def __post_init__(self) -> None:
        if (
            self.every_s < 0
            or self.forget_s < 0
            or self.most < 1
            or not (0 < self.person < 1 and 0 < self.smallest < 1)
        ):
            raise ValueError(
                "follow wants seconds of 0 or more, most of 1 or more, person and smallest between 0 and 1"
            )


@dataclass(slots=True)
class Track:
    """One person over time, as (instant, person)."""

    seen: list[tuple[float, Person]] = field(default_factory=list)


class People:
    """People of one clip. Without ``remember`` the detector runs on every frame."""

    def __init__(
        self, detector: Detector, landmarks: SmallNetwork, how: Following, remember: bool, closer: bool
    ) -> None:
        self._detector, self._landmarks = detector, landmarks
        self._how, self._remember, self._closer = how, remember, closer
        self._live: list[Track] = []
        self._looked_s = float("-inf")
        self.tracks: list[Track] = []
        self.detections = 0

    def step(self, picture: Picture, t_s: float, known: Sequence[Square] | None = None) -> None:
        """Take the next frame. ``known``: squares in which somebody is, from elsewhere; the detector then looks only
        there, and at once where there are more of them than people who are followed. None: it looks at the whole
        frame."""
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
        self, picture: Picture, t_s: float, there: list[tuple[Track, Person]], known: Sequence[Square] | None
    ) -> list[tuple[Track, Person]]:
        """People who are not ``there``; each continues somebody who was there a moment ago, or is somebody new."""
        if known is not None and not known:
            return []
        self.detections += 1
        seen = list(there)
        for detected in self._detector.find(picture, self._closer, None if known is None else known[: self._how.most]):
            square = square_of_detection(detected)
            if len(seen) >= self._how.most or any(_same(square, other.square) for _, other in seen):
                continue
            person = self._read(picture, square)
            if person is not None and not any(_same(person.square, other.square) for _, other in seen):
                seen.append((self._before(person, t_s, [track for track, _ in seen]) or Track(), person))
        return seen[len(there) :]

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
