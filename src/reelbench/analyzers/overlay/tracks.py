"""Lines of single samples followed over time, and told apart: laid over the picture, part of it, or not readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from reelbench.analyzers.overlay.watch import Line, Sample, overlap
from reelbench.results import Box


@dataclass(frozen=True, slots=True)
class Merging:
    """``similarity``: two lines say the same from this normalised edit similarity on. ``iou``: about the same place, likewise.
    ``gap``: so many samples in between may miss a line. ``together``: lines whose intervals overlap so much may be one overlay.
    """

    similarity: float = 0.75
    iou: float = 0.3
    gap: int = 1
    together: float = 0.7

    def __post_init__(self) -> None:
        if self.gap < 0 or not all(0 < share <= 1 for share in (self.similarity, self.iou, self.together)):
            raise ValueError("gap is 0 or more; similarity, iou and together lie above 0 and at most at 1")


@dataclass(frozen=True, slots=True)
class Layout:
    """What tells an overlay from text that belongs to the scene.

    An overlay stands still (it moves by less than ``still`` line heights in all), level or upright (within ``tilt`` degrees), for
    ``least_s`` seconds, inside the frame, and no line is thicker than ``thickest`` of the frame's shorter side. A line that stands like
    one and whose spelling is unsure is reported as unreadable where its region scores at least ``unreadable`` at the detector;
    null leaves it out.
    """

    still: float = 0.35
    tilt: float = 3.0
    least_s: float = 0.9
    thickest: float = 0.3
    unreadable: float | None = 0.7

    def __post_init__(self) -> None:
        if min(self.still, self.tilt, self.least_s, self.thickest) < 0:
            raise ValueError("still, tilt, least_s and thickest are 0 or more")
        if self.unreadable is not None and not 0 <= self.unreadable <= 1:
            raise ValueError("unreadable lies between 0 and 1, or is null")


class Kind(Enum):
    OVERLAY = "overlay"
    BRIEF = "brief"
    """Stands like an overlay, for a shorter time than one that stands alone."""
    UNREADABLE = "unreadable"
    SCENE = "scene"


@dataclass(slots=True)
class Track:
    """One line over time: samples ``first`` to ``last``, ``start_s`` to ``end_s``, and how much score each spelling of it collected."""

    first: int
    last: int
    latest: Line
    best: Line
    began: Box
    votes: dict[str, float] = field(default_factory=dict)
    moved_px: float = 0.0
    start_s: float = 0.0
    end_s: float = 0.0

    @classmethod
    def begun(cls, index: int, line: Line) -> Track:
        return cls(index, index, line, line, line.box, {line.text: line.score})

    @property
    def text(self) -> str:
        return max(self.votes, key=lambda text: (self.votes[text], text))

    @property
    def moved(self) -> float:
        """How far it strayed from where it began, in line heights."""
        return self.moved_px / max(1.0, thickness(self.best.box))

    def take(self, index: int, line: Line) -> None:
        self.last, self.latest = index, line
        self.votes[line.text] = self.votes.get(line.text, 0.0) + line.score
        self.moved_px = max(self.moved_px, _shift(self.began, line.box))
        if line.score > self.best.score:
            self.best = line


def follow(samples: Sequence[Sample], duration_s: float, merging: Merging) -> list[Track]:
    """The lines of all samples as tracks; each lasts until the sample at which it is gone."""
    tracks: list[Track] = []
    for index, sample in enumerate(samples):
        going_on = [track for track in tracks if index - track.last <= merging.gap + 1]
        fits = [
            (_fit(track, line, merging), number, track)
            for track in going_on
            for number, line in enumerate(sample.lines)
        ]
        taken: set[int] = set()
        for fit, number, track in sorted(fits, key=lambda one: (-one[0], one[1])):
            if fit > 0 and number not in taken and track.last < index:
                track.take(index, sample.lines[number])
                taken.add(number)
        tracks += [Track.begun(index, line) for number, line in enumerate(sample.lines) if number not in taken]
    for track in tracks:
        after = track.last + 1
        track.start_s = samples[track.first].pts_s
        track.end_s = max(track.start_s, samples[after].pts_s if after < len(samples) else duration_s)
    return tracks


def kind_of(track: Track, duration_s: float, size: tuple[int, int], layout: Layout) -> Kind:
    """``size``: width and height of the frame. In a clip that is shorter than two ``least_s``, half of it is long enough."""
    width, height = size
    box = track.best.box
    tilt = abs((track.best.angle + 45) % 90 - 45)
    outside = box[0] <= 1 or box[1] <= 1 or box[2] >= width - 2 or box[3] >= height - 2
    brief = track.end_s - track.start_s < min(layout.least_s, duration_s / 2) - 1e-6
    thick = thickness(box) > layout.thickest * min(size)
    if outside or thick or tilt > layout.tilt or track.moved > layout.still:
        return Kind.SCENE
    if brief:
        return Kind.BRIEF if track.best.read and track.last > track.first else Kind.SCENE
    if track.best.read:
        return Kind.OVERLAY
    sure_of_region = layout.unreadable is not None and track.best.found >= layout.unreadable
    return Kind.UNREADABLE if sure_of_region else Kind.SCENE


def similarity(a: str, b: str) -> float:
    """1 minus the edit distance (Levenshtein) over the longer text's length, without case and spaces, in which readers waver."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity("".join(a.split()).casefold(), "".join(b.split()).casefold()))


def thickness(box: Box) -> float:
    return min(box[2] - box[0], box[3] - box[1])


def _fit(track: Track, line: Line, merging: Merging) -> float:
    """How well ``line`` goes on with ``track``; 0 where it does not."""
    place = overlap(track.latest.box, line.box)
    if place < merging.iou or track.latest.read != line.read:
        return 0.0
    alike = similarity(track.latest.text, line.text) if line.read else 1.0
    return place + alike if alike >= merging.similarity else 0.0


def _shift(a: Box, b: Box) -> float:
    """By how much a box moved: both of its opposite sides, in the same direction. One side alone is a detector that wavers."""
    moves = [(b[0] - a[0], b[2] - a[2]), (b[1] - a[1], b[3] - a[3])]
    return max(min(abs(one), abs(two)) if one * two > 0 else 0.0 for one, two in moves)
