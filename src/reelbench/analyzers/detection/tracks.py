"""From detections at sampled instants to events: held until the next sample, or merged over time into tracks.

Merging is greedy association by overlap, as in the IOU tracker (Bochinski et al., AVSS 2017, doi 10.1109/AVSS.2017.8078516), with
a bridge over short misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from reelbench.analyzers.detection.coco import NAMES
from reelbench.analyzers.detection.heads import Detections
from reelbench.results import Box, BoxAt, Event


@dataclass(frozen=True, slots=True)
class Merging:
    """What counts as the same thing in two samples: the same label, and boxes that overlap by at least ``iou``.

    A thing may be missed in at most ``gap`` samples running and still be the same; the box is interpolated over them. A track
    seen in fewer than ``min_samples`` samples is dropped.
    """

    iou: float = 0.3
    gap: int = 1
    min_samples: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.iou <= 1 or self.gap < 0 or self.min_samples < 1:
            raise ValueError("tracks wants 0 < iou <= 1, gap >= 0 and min_samples >= 1")


@dataclass(slots=True)
class _Track:
    """One thing over time: ``samples`` at which it was seen, with its boxes (fractions of the frame) and scores."""

    label: int
    samples: list[int] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, sample: int, box: NDArray[np.float32], score: float) -> None:
        self.samples.append(sample)
        self.boxes.append(box)
        self.scores.append(score)


def hold(
    pts_s: Sequence[float], found: Sequence[Detections], duration_s: float, width: int, height: int
) -> list[Event]:
    """Sample and hold: one event for each detection of each sample, from its instant to the next sample (or the clip's end)."""
    ends = chain(pts_s[1:], [max(duration_s, pts_s[-1])]) if pts_s else ()
    return [
        Event(start_s=start, end_s=end, label=NAMES[label], score=float(score), box=_pixels(box, width, height))
        for start, end, seen in zip(pts_s, ends, found, strict=True)
        for box, score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True)
    ]


def merge(
    pts_s: Sequence[float], found: Sequence[Detections], duration_s: float, width: int, height: int, how: Merging
) -> list[Event]:
    """One event for each track, in order of appearance, with its best box and score and the boxes in between as key frames.

    A thing appears and goes somewhere between two samples; without knowing where, an event starts and ends midway, which halves
    the expected error of holding the last answer.
    """
    if not pts_s:
        return []
    middles = [(a + b) / 2 for a, b in pairwise(pts_s)]
    starts = [pts_s[0], *middles]
    ends = [*middles, max(duration_s, pts_s[-1])]
    return [
        _event(track, pts_s, starts[track.samples[0]], ends[track.samples[-1]], width, height)
        for track in associate(found, how)
        if len(track.samples) >= how.min_samples
    ]


def associate(found: Sequence[Detections], how: Merging) -> list[_Track]:
    """Assign every detection to a track, the best overlaps first; what overlaps with no live track starts one."""
    tracks: list[_Track] = []
    live: list[_Track] = []
    for sample, seen in enumerate(found):
        live = [track for track in live if sample - track.samples[-1] <= how.gap + 1]
        free = set(range(len(seen)))
        for track_at, detection in _pairs(live, seen, how.iou):
            track = live[track_at]
            if detection in free and track.samples[-1] < sample:
                free.remove(detection)
                track.add(sample, seen.boxes[detection], float(seen.scores[detection]))
        for detection in sorted(free):
            track = _Track(int(seen.labels[detection]))
            track.add(sample, seen.boxes[detection], float(seen.scores[detection]))
            tracks.append(track)
            live.append(track)
    return tracks


def overlaps(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of each of ``a`` (n, 4) with each of ``b`` (m, 4): (n, m)."""
    shared = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inter = np.clip(shared, 0, None).prod(axis=-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=-1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - inter
    overlap: NDArray[np.float32] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return overlap


def _pairs(live: Sequence[_Track], seen: Detections, least: float) -> list[tuple[int, int]]:
    """(track, detection) with the same label that overlap enough, largest overlap first; ties in order."""
    if not live or not len(seen):
        return []
    overlap = overlaps(np.stack([track.boxes[-1] for track in live]), seen.boxes)
    same = np.array([track.label for track in live])[:, None] == seen.labels[None]
    rows, columns = np.nonzero(same & (overlap >= least))
    order = np.argsort(-overlap[rows, columns], kind="stable")
    return [(int(rows[at]), int(columns[at])) for at in order]


def _event(track: _Track, pts_s: Sequence[float], start_s: float, end_s: float, width: int, height: int) -> Event:
    boxes = [_pixels(box, width, height) for box in track.boxes]
    best = int(np.argmax(track.scores))
    keys = [
        BoxAt(t_s=pts_s[sample], box=box, score=score)
        for sample, box, score in zip(track.samples, boxes, track.scores, strict=True)
    ]
    return Event(
        start_s=start_s,
        end_s=end_s,
        label=NAMES[track.label],
        score=track.scores[best],
        box=boxes[best],
        track=tuple(keys),
        attributes={"samples": len(keys)},
    )


def _pixels(box: NDArray[np.float32], width: int, height: int) -> Box:
    """A box as fractions of the frame to pixels of it."""
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1 * width, y1 * height, x2 * width, y2 * height)
