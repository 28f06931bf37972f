"""The quality of background_segmentation: how well the outlines of people cover the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from reelbench.corpus.clip import Truth, TruthMask
from reelbench.errors import ConfigError
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.results import AnalyzerResult

PERSON = "person"
AGAINST_TRUTH = ("iou", "false_people")
AGREEMENT = ("agreement_iou",)
_RASTER = 240
"""Pixels of the longer side of the picture that outlines are compared in."""

Polygons = list[NDArray[np.float64]]
"""Each n × 2."""


@dataclass(slots=True)
class _Tally:
    """The overlap of each instant with people in it, and for each one without whether somebody was found (1) or not
    (0)."""

    overlaps: list[float] = field(default_factory=list)
    false: list[float] = field(default_factory=list)

    def __iadd__(self, other: _Tally) -> _Tally:
        self.overlaps += other.overlaps
        self.false += other.false
        return self


class MaskQuality:
    """Intersection over union of all people's outlines, instant by instant; at most ``instants_per_s`` a second are
    judged. Raises ConfigError where it makes no sense."""

    primary = "iou"
    primary_name = "mask IoU"
    guards: ClassVar[dict[str, str]] = {"false_people": "less"}
    """The overlap is judged where people are; who is found where nobody is costs it nothing."""

    def __init__(self, instants_per_s: PositiveFloat = 5.0) -> None:
        if not instants_per_s > 0:
            raise ConfigError(f"quality.instants_per_s must be above 0, not {instants_per_s}")
        self.instants_per_s = instants_per_s

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds. Keys of ``absent``: a clip that was not scored at all, a metric
        (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        clips: dict[str, _Tally] = {}
        for name in sorted(truths):
            masks = truths[name].masks
            if masks is None:
                absent[name] = "its ground truth says nothing about people's outlines"
            elif name not in results:
                absent[name] = "no result"
            else:
                tally = clips[name] = _Tally()
                for mask in self._chosen(masks):
                    polygons = [np.array(one, np.float64) for one in mask.polygons]
                    _count(tally, polygons, outlines_at(results[name], mask.t_s))
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        return collect(_outcome(_pooled(clips)), {name: _outcome(tally) for name, tally in clips.items()}, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """The same with the reference's outlines at the instants that it was shown. ``absent`` as in
        `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        clips: dict[str, _Tally] = {}
        for name in sorted(set(reference) & set(results)):
            tally = clips[name] = _Tally()
            for t_s in reference[name].sampled_s:
                _count(tally, outlines_at(reference[name], t_s), outlines_at(results[name], t_s))
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        return collect(_agree(_pooled(clips)), {name: _agree(tally) for name, tally in clips.items()}, absent)

    def _chosen(self, masks: Sequence[TruthMask]) -> list[TruthMask]:
        """In each slot of 1/``instants_per_s`` seconds the mask nearest to its middle."""
        slots: dict[int, TruthMask] = {}
        for mask in masks:
            slot = int(mask.t_s * self.instants_per_s + 1e-9)
            middle = (slot + 0.5) / self.instants_per_s
            if slot not in slots or abs(mask.t_s - middle) < abs(slots[slot].t_s - middle):
                slots[slot] = mask
        return [slots[slot] for slot in sorted(slots)]


def outlines_at(result: AnalyzerResult, t_s: float) -> Polygons:
    """What a result says at an instant: the outlines of each person's nearest sample."""
    found: Polygons = []
    for event in result.events:
        if event.label == PERSON and event.start_s <= t_s <= event.end_s:
            _, outlines = min(event.attributes["masks"], key=lambda row: abs(row[0] - t_s))
            found += [np.array(one, np.float64).reshape(-1, 2) for one in outlines]
    return found


def overlap(a: Polygons, b: Polygons) -> float:
    """Intersection over union of two sets of polygons, drawn into one small picture; 0 where one of them is empty."""
    if not a or not b:
        return 0.0
    points = np.concatenate([*a, *b])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = _RASTER / max(float((high - low).max()), 1e-6)
    size = np.ceil((high - low) * scale).astype(int) + 1
    drawn = [_drawn(one, low, scale, size) for one in (a, b)]
    union = np.count_nonzero(drawn[0] | drawn[1])
    return float(np.count_nonzero(drawn[0] & drawn[1]) / union) if union else 0.0


def _drawn(polygons: Polygons, low: NDArray[np.float64], scale: float, size: NDArray[np.int_]) -> NDArray[np.uint8]:
    import cv2

    canvas = np.zeros((int(size[1]), int(size[0])), np.uint8)
    for polygon in polygons:  # one by one: where two of them overlap, both are people
        cv2.fillPoly(canvas, [np.round((polygon - low) * scale).astype(np.int32)], 1)
    return canvas


def _count(tally: _Tally, expected: Polygons, found: Polygons) -> None:
    if expected:
        tally.overlaps.append(overlap(expected, found))
    else:
        tally.false.append(1.0 if found else 0.0)


def _pooled(clips: Mapping[str, _Tally]) -> _Tally:
    pooled = _Tally()
    for tally in clips.values():
        pooled += tally
    return pooled


def _outcome(tally: _Tally) -> Outcome:
    metrics: dict[str, float] = {}
    absent: dict[str, str] = {}
    if tally.overlaps:
        metrics["iou"] = float(np.mean(tally.overlaps))
    else:
        absent["iou"] = "there is nobody in its ground truth"
    if tally.false:
        metrics["false_people"] = float(np.mean(tally.false))
    else:
        absent["false_people"] = "somebody is in every instant of its ground truth"
    return metrics, absent


def _agree(tally: _Tally) -> Outcome:
    if tally.overlaps:
        return {"agreement_iou": float(np.mean(tally.overlaps))}, {}
    return {}, {"agreement_iou": "the reference finds nobody, so nothing was compared"}
