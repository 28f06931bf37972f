"""The whole picture, every pixel sorted into a class: people wherever they are, and what is behind them.

Source: E. Xie et al., *SegFormer* (arXiv 2105.15203), with the classes of ADE20K. People are one class, so connected
parts of it are told apart, and parts that overlap from sample to sample are the same person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.blaze.crops import Picture
from reelbench.analyzers.faces.events import Clock
from reelbench.analyzers.person.ade20k import CLASSES, PERSON
from reelbench.analyzers.person.follow import Following
from reelbench.analyzers.person.outlines import Shape, raster_of, shape_of
from reelbench.engines.openvino_small import Feed, SmallNetwork
from reelbench.media.types import Image
from reelbench.results import Box, Event

BACKGROUND = "background"
_SIDE = 512
SEGMENTER_FEED = Feed((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), True, (1, 3, _SIDE, _SIDE))
"""ImageNet's mean and standard deviation of each channel; the published file leaves its input's size open."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One connected part of the people in a frame, and its mask in the frame's small picture."""

    shape: Shape
    mask: NDArray[np.bool_]


@dataclass(slots=True)
class Followed:
    """Parts that are taken for one person, as (instant, shape)."""

    seen: list[tuple[float, Shape]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Share:
    """How much of the frame a class covers at sample ``number``, and how sure the network is there."""

    number: int
    t_s: float
    share: float
    score: float


class Regions:
    """The people and the background of one clip. ``how``: least ``person`` score (mean probability over the part),
    ``smallest`` part, ``most`` parts at a time, and ``forget_s``, after which who was lost comes back as somebody else.
    ``background``: least share of the frame with which a class is noted; None notes none.
    ``detections`` counts the frames."""

    def __init__(self, network: SmallNetwork, how: Following, background: float | None) -> None:
        self._network, self._how, self._least = network, how, background
        self._shares: dict[int, list[_Share]] = {}
        self._masks: dict[int, NDArray[np.bool_]] = {}
        self.tracks: list[Followed] = []
        self.detections = 0

    def step(self, picture: Picture, t_s: float, known: Sequence[Box] | None = None) -> None:
        """Take the next frame. It is seen as a whole, whatever is ``known`` of where people are."""
        logits = self._network(fitted(picture.image))["logits"]
        best = logits.max(axis=0)
        sure = 1 / np.exp(logits - best).sum(axis=0)  # the probability of each pixel's best class
        if self._least is not None:
            self._note(logits.argmax(axis=0), sure, self._least, t_s)
        others = np.maximum(logits[:PERSON].max(axis=0), logits[PERSON + 1 :].max(axis=0))
        person = logits[PERSON]
        self._follow(list(self._parts(person - others, sure * np.exp(person - best), picture)), t_s)
        self.detections += 1

    def background(self, clock: Clock) -> list[Event]:
        """What is behind the people: one event for each stretch of time in which a class covers enough of the frame."""
        found = [
            _behind(CLASSES[number], stretch, clock)
            for number, shares in self._shares.items()
            for stretch in _stretches(shares, self._how.forget_s)
        ]
        return sorted(found, key=lambda event: (event.start_s, -event.attributes["share"], str(event.text)))

    def _note(self, classes: NDArray[np.intp], sure: NDArray[np.float32], least: float, t_s: float) -> None:
        flat = classes.reshape(-1)
        pixels = np.bincount(flat, minlength=len(CLASSES))
        scores = np.bincount(flat, sure.reshape(-1), len(CLASSES))
        for number in np.flatnonzero(pixels >= least * flat.size).tolist():
            if number != PERSON:
                share = _Share(
                    self.detections, t_s, float(pixels[number]) / flat.size, float(scores[number] / pixels[number])
                )
                self._shares.setdefault(number, []).append(share)

    def _parts(
        self, margin: NDArray[np.float32], probability: NDArray[np.float32], picture: Picture
    ) -> Iterator[_Part]:
        """Connected parts, the largest first. ``margin``: by how much a person is likelier than anything else; between
        the network's pixels, of which there are few, it is interpolated, and 0 is the edge."""
        import cv2

        if margin.max() <= 0:
            return
        size, scale = raster_of(picture.width, picture.height)
        people = (cv2.resize(margin, size, interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8)
        sure = cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(people)
        areas = stats[:, cv2.CC_STAT_AREA]
        for label in sorted(range(1, count), key=lambda one: -areas[one])[: self._how.most]:
            mask = labels == label
            score = min(float(sure[mask].mean()), 1.0)
            shape = shape_of(mask.astype(np.uint8), scale, score, self._how.smallest)
            if shape is not None and score >= self._how.person:
                yield _Part(shape, mask)

    def _follow(self, parts: list[_Part], t_s: float) -> None:
        """Each part continues whom it overlaps most, or is somebody new."""
        forgotten = t_s - self._how.forget_s
        self._masks = {at: mask for at, mask in self._masks.items() if self.tracks[at].seen[-1][0] >= forgotten}
        common = {
            (at, number): int(np.count_nonzero(mask & part.mask))
            for at, mask in self._masks.items()
            for number, part in enumerate(parts)
        }
        whose: dict[int, int] = {}
        for at, number in sorted(common, key=lambda pair: -common[pair]):
            if common[at, number] and number not in whose and at not in whose.values():
                whose[number] = at
        for number, part in enumerate(parts):
            if number not in whose:
                whose[number] = len(self.tracks)
                self.tracks.append(Followed())
            self.tracks[whose[number]].seen.append((t_s, part.shape))
            self._masks[whose[number]] = part.mask


def fitted(image: Image) -> Image:
    """The whole picture, stretched to the network's square. A frame that was decoded at that size is left as it is."""
    if image.shape[:2] == (_SIDE, _SIDE):
        return image
    from PIL import Image as Pictures

    return np.asarray(Pictures.fromarray(image).resize((_SIDE, _SIDE), Pictures.Resampling.BILINEAR))


def _stretches(shares: list[_Share], forget_s: float) -> Iterator[list[_Share]]:
    """Runs of samples; a gap of at most ``forget_s`` does not end one."""
    run = shares[:1]
    for before, after in pairwise(shares):
        if after.number > before.number + 1 and after.t_s > before.t_s + forget_s:
            yield run
            run = []
        run.append(after)
    yield run


def _behind(name: str, stretch: list[_Share], clock: Clock) -> Event:
    shares = [one.share for one in stretch]
    return Event(
        start_s=stretch[0].t_s,
        end_s=clock.after(stretch[-1].t_s),
        label=BACKGROUND,
        score=round(min(float(np.mean([one.score for one in stretch])), 1.0), 4),
        text=name,
        attributes={
            "samples": len(stretch),
            "share": round(float(np.mean(shares)), 4),
            "share_max": round(max(shares), 4),
        },
    )
