"""Faces for networks of age and gender: crops that are upright by the eyes, and what several of them say together.

The networks (by Cydral Technology, in davisking/dlib-models) were trained on dlib's face chips with a padding of 0.2:
in them the eyes lie where dlib's mean face has them, 0.375 of the crop apart, 0.301 of it below the upper edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import atan2, cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.blaze.crops import Picture, Square, cut
from reelbench.analyzers.blaze.ssd import Detected, overlap
from reelbench.analyzers.faces.events import inside
from reelbench.engines.openvino_small import Feed, SmallNetwork
from reelbench.results import Box, BoxAt, Event

FEED = Feed((122.782, 117.001, 104.298), 256.0, chw=True)
AGE_SIZE, GENDER_SIZE = 64, 32
YEARS = np.concatenate([[0.25], np.arange(1, 81)]).astype(np.float32)
"""The years that the outputs of the age network stand for; its answer is their mean, weighted by probability."""
GENDERS = ("female", "male")
_APART, _BELOW, _ASIDE = 0.3754, 0.1990, 0.0071
"""The distance of the eyes, and how far the crop's middle lies below and beside the middle between them, in sides of
the crop."""
_SAME = 0.3

Eyes = tuple[float, float, float, float]
"""x and y of the eye further left in the picture, then of the other one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one crop: years, and the probability of each of `GENDERS`."""

    years: float
    genders: NDArray[np.float32]


@dataclass(slots=True)
class Sitter:
    """One face over time, and what was estimated of it."""

    start_s: float
    end_s: float
    score: float
    box: Box
    track: list[BoxAt]
    number: int
    estimates: list[Estimate] = field(default_factory=list)

    def due(self, t_s: float, looks: int | None) -> bool:
        """Whether to look now: at once, then at equal shares of its time."""
        if not self.start_s <= t_s <= self.end_s:
            return False
        done = len(self.estimates)
        return looks is None or (
            done < looks and t_s >= self.start_s + (self.end_s - self.start_s) * done / looks - 1e-6
        )


def square_of(eyes: Eyes) -> Square:
    """The square of dlib's face chip."""
    x1, y1, x2, y2 = eyes
    angle = atan2(y2 - y1, x2 - x1)
    side = max(hypot(x2 - x1, y2 - y1), 1.0) / _APART
    aside, below = _ASIDE * side, _BELOW * side
    x = (x1 + x2) / 2 + aside * cos(angle) - below * sin(angle)
    y = (y1 + y2) / 2 + aside * sin(angle) + below * cos(angle)
    return Square(x, y, side, angle)


def frontal(eyes: Eyes, box: Box, least: float) -> bool:
    """Whether the eyes are at least so far apart, in widths of the face: in a profile they are close together."""
    return hypot(eyes[2] - eyes[0], eyes[3] - eyes[1]) >= least * max(box[2] - box[0], 1.0)


def estimate(age: SmallNetwork, gender: SmallNetwork, picture: Picture, eyes: Eyes, mirror: bool) -> Estimate:
    """``mirror``: the mean of the crop and its mirror image."""
    square = square_of(eyes)
    years, genders = [], []
    for step in (1, -1) if mirror else (1,):
        years.append(float(age(cut(picture, square, AGE_SIZE)[:, ::step])["probabilities"] @ YEARS))
        genders.append(gender(cut(picture, square, GENDER_SIZE)[:, ::step])["probabilities"])
    return Estimate(float(np.mean(years)), np.mean(genders, axis=0))


def eyes_in(event: Event, t_s: float) -> Eyes:
    """The eyes of a 'face' of eye_tracking at an instant, interpolated."""
    rows = np.array(event.attributes["eyes"], np.float64)
    x1, y1, x2, y2 = (float(np.interp(t_s, rows[:, 0], rows[:, column])) for column in range(1, 5))
    return x1, y1, x2, y2


def eyes_of(found: Detected) -> Eyes:
    """The eyes of a detected face."""
    (x1, y1), (x2, y2) = found.keys[:2].tolist()
    return x1, y1, x2, y2


def associate(
    sitters: list[Sitter], found: Sequence[Detected], t_s: float, until_s: float, gap_s: float, width: int, height: int
) -> list[tuple[Sitter, Eyes]]:
    """Each detected face with the sitter that it continues, or a new one; all that were seen at ``t_s`` last until
    ``until_s``."""
    seen: list[tuple[Sitter, Eyes]] = []
    for face in found:
        x1, y1, x2, y2 = face.box.tolist()
        box = inside((x1, y1, x2, y2), width, height)
        taken = [sitter.number for sitter, _ in seen]
        fits = [
            one
            for one in sitters
            if one.number not in taken
            and t_s - one.track[-1].t_s <= gap_s
            and overlap(np.array(one.track[-1].box), np.array(box)) > _SAME
        ]
        sitter = fits[-1] if fits else Sitter(t_s, until_s, face.score, box, [], len(sitters))
        if not fits:
            sitters.append(sitter)
        sitter.track.append(BoxAt(t_s=t_s, box=box, score=face.score))
        sitter.end_s = until_s
        if face.score > sitter.score:
            sitter.score, sitter.box = face.score, box
        seen.append((sitter, eyes_of(face)))
    return seen


def event_of(sitter: Sitter, label: str) -> Event | None:
    """Years and gender of one face; None where nothing was estimated."""
    if not sitter.estimates:
        return None
    years = np.array([one.years for one in sitter.estimates])
    genders = np.mean([one.genders for one in sitter.estimates], axis=0)
    return Event(
        start_s=sitter.start_s,
        end_s=sitter.end_s,
        label=label,
        score=sitter.score,
        box=sitter.box,
        track=tuple(sitter.track),
        attributes={
            "face": sitter.number,
            "age_years": round(float(np.median(years)), 1),
            # Half of the looks lie within this range of years.
            "age_range": [round(float(value), 1) for value in np.percentile(years, (25, 75))],
            "gender": GENDERS[int(genders.argmax())],
            "gender_probability": round(float(genders.max()), 3),
            "looks": len(years),
        },
    )
