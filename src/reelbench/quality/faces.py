"""The quality of eye_tracking: eyes found where they are, blinks, and who looks at the camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import ClassVar

import numpy as np
from pydantic import NonNegativeFloat

from reelbench.corpus.clip import Truth, TruthFace, TruthFaces
from reelbench.errors import ConfigError
from reelbench.quality.base import Outcome, Scores, collect, rates
from reelbench.results import AnalyzerResult, Event

FACE, BLINK, LOOKING = "face", "blink", "looking"
AGAINST_TRUTH = ("eyes_f1", "eye_error", "blink_f1", "looking_f1")
AGREEMENT = ("agreement_f1",)
_SAME_FACE = 0.5
"""A found face is a true one where its eyes lie within so many inter-ocular distances, on average."""

Eyes = tuple[float, float, float, float]
"""x and y of the eye further left in the picture, then of the other one."""


@dataclass(slots=True)
class _Tally:
    """Counts over instants: faces (right, wrong, missed), their eye errors, blinks and looks (right, wrong, missed)."""

    faces: list[int] = field(default_factory=lambda: [0, 0, 0])
    errors: list[float] = field(default_factory=list)
    blinks: list[int] = field(default_factory=lambda: [0, 0, 0])
    looks: list[int] = field(default_factory=lambda: [0, 0, 0])

    def __iadd__(self, other: _Tally) -> _Tally:
        for name in ("faces", "blinks", "looks"):
            setattr(self, name, [a + b for a, b in zip(getattr(self, name), getattr(other, name), strict=True)])
        self.errors += other.errors
        return self


class EyeQuality:
    """Eyes, blinks and looks against truth.

    ``error``: both eyes of a face lie within this share of the true distance between its eyes, or it is wrong: the
    measure of O. Jesorsky et al. (AVBPA 2001), where 0.25 is half an eye's width and 0.1 about the iris. ``blink_s``:
    a found blink may miss a true one by so many seconds. Raises ConfigError where one of them makes no sense."""

    primary = "eyes_f1"
    primary_name = "eyes found (F1)"
    guards: ClassVar[dict[str, str]] = {"blink_f1": "more", "looking_f1": "more"}
    """Eyes may be found rightly, and every blink and look be wrong."""

    def __init__(self, error: NonNegativeFloat = 0.1, blink_s: NonNegativeFloat = 0.1) -> None:
        if not 0 < error <= 1 or blink_s < 0:
            raise ConfigError("quality.error must lie above 0 and at most at 1, quality.blink_s not below 0")
        self.error, self.blink_s = error, blink_s

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds; ``overall`` pools their instants. Keys of ``absent``: a clip that
        was not scored at all, a metric (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        clips: dict[str, _Tally] = {}
        for name in sorted(truths):
            faces = truths[name].faces
            if faces is None:
                absent[name] = "its ground truth says nothing about faces"
            elif name not in results:
                absent[name] = "no result"
            else:
                clips[name] = self._judge(results[name], faces)
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        pooled = _Tally()
        for tally in clips.values():
            pooled += tally
        return collect(_outcome(pooled), {name: _outcome(tally) for name, tally in clips.items()}, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """F1 of the eyes, the reference's taken for true at the instants that it was shown. ``absent`` as in
        `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        clips = {}
        for name in sorted(set(reference) & set(results)):
            tally = _Tally()
            for t_s in reference[name].sampled_s:
                truth = [
                    TruthFace(box=box_of(eyes), eyes=(eyes[:2], eyes[2:])) for _, eyes in eyes_at(reference[name], t_s)
                ]
                self._count_faces(tally, results[name], TruthFaces(t_s=t_s, faces=tuple(truth)))
            clips[name] = tally
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        pooled = _Tally()
        for tally in clips.values():
            pooled += tally
        return collect(_agree(pooled), {name: _agree(tally) for name, tally in clips.items()}, absent)

    def _judge(self, result: AnalyzerResult, truth: Sequence[TruthFaces]) -> _Tally:
        tally = _Tally()
        looks = [event for event in result.events if event.label == LOOKING]
        for instant in truth:
            for true, found in self._count_faces(tally, result, instant):
                if true.looking is not None and found is not None:
                    said = any(
                        one.start_s <= instant.t_s < one.end_s and one.attributes.get("face") == found for one in looks
                    )
                    _tally_one(tally.looks, true.looking, said)
                elif true.looking:
                    _tally_one(tally.looks, True, False)
        self._count_blinks(tally, [event for event in result.events if event.label == BLINK], truth)
        return tally

    def _count_faces(
        self, tally: _Tally, result: AnalyzerResult, instant: TruthFaces
    ) -> Iterator[tuple[TruthFace, int | None]]:
        """Each true face with the number of the found one, the nearest first; None where it was missed."""
        found = dict(eyes_at(result, instant.t_s))
        pairs = sorted(
            (_distance(eyes, true), number, at)
            for number, eyes in found.items()
            for at, true in enumerate(instant.faces)
        )
        matched: dict[int, int] = {}
        for distance, number, at in pairs:
            if distance[0] <= _SAME_FACE and at not in matched and number not in matched.values():
                matched[at] = number
                tally.errors.append(distance[0])
                right = distance[1] <= self.error
                tally.faces[0] += right
                tally.faces[1] += not right
                tally.faces[2] += not right
        tally.faces[1] += len(found) - len(matched)
        tally.faces[2] += len(instant.faces) - len(matched)
        return iter([(true, matched.get(at)) for at, true in enumerate(instant.faces)])

    def _count_blinks(self, tally: _Tally, found: Sequence[Event], truth: Sequence[TruthFaces]) -> None:
        free = list(found)
        for start, end in true_blinks(truth):
            hit = next(
                (one for one in free if one.start_s - self.blink_s <= end and one.end_s + self.blink_s >= start), None
            )
            if hit is None:
                tally.blinks[2] += 1
            else:
                free.remove(hit)
                tally.blinks[0] += 1
        tally.blinks[1] += len(free)


def eyes_at(result: AnalyzerResult, t_s: float) -> list[tuple[int, Eyes]]:
    """(number of the face, its eyes) of all faces at an instant, interpolated between samples."""
    seen = []
    for event in result.events:
        if event.label != FACE or not event.start_s <= t_s <= event.end_s:
            continue
        rows = np.array(event.attributes["eyes"], np.float64)
        x1, y1, x2, y2 = (float(np.interp(t_s, rows[:, 0], rows[:, column])) for column in range(1, 5))
        seen.append((int(event.attributes["face"]), (x1, y1, x2, y2)))
    return seen


def true_blinks(truth: Sequence[TruthFaces], longest_s: float = 1.0) -> list[tuple[float, float]]:
    """Stretches in which the eyes of some face are shut, from the first such instant to the last one; not those that
    begin or end the truth, nor longer ones, which are no blinks."""
    spans, at = [], 0
    for shut, group in groupby(truth, key=lambda instant: any(not face.open for face in instant.faces)):
        run = list(group)
        at += len(run)
        if shut and at - len(run) > 0 and at < len(truth) and run[-1].t_s - run[0].t_s <= longest_s:
            spans.append((run[0].t_s, run[-1].t_s))
    return spans


def box_of(eyes: Eyes) -> Eyes:
    """A box around two points."""
    return (min(eyes[0::2]), min(eyes[1::2]), max(eyes[0::2]), max(eyes[1::2]))


def _distance(eyes: Eyes, true: TruthFace) -> tuple[float, float]:
    """Mean and larger distance of both eyes, as shares of the true distance between the eyes."""
    expected = np.array(true.eyes)
    apart = max(float(np.hypot(*(expected[1] - expected[0]))), 1e-6)
    off = np.hypot(*(np.array(eyes).reshape(2, 2) - expected).T) / apart
    return float(off.mean()), float(off.max())


def _tally_one(counts: list[int], true: bool, said: bool) -> None:
    counts[0] += true and said
    counts[1] += said and not true
    counts[2] += true and not said


def _outcome(tally: _Tally) -> Outcome:
    metrics: dict[str, float] = {}
    absent: dict[str, str] = {}
    reasons = {
        "eyes": (tally.faces, "there is no face in its ground truth, and none was found"),
        "blink": (tally.blinks, "nobody blinks in its ground truth, and none was found"),
        "looking": (tally.looks, "its ground truth does not say who looks at the camera, or nobody does"),
    }
    for name, (counts, why) in reasons.items():
        found = rates(*counts)
        if "f1" in found:
            metrics |= {f"{name}_{rate}": value for rate, value in found.items()}
        else:
            absent[f"{name}_f1"] = why
    if tally.errors:
        metrics["eye_error"] = float(np.mean(tally.errors))
    else:
        absent["eye_error"] = "no true face was found"
    return metrics, absent


def _agree(tally: _Tally) -> Outcome:
    found = rates(*tally.faces)
    if "f1" in found:
        return {"agreement_f1": found["f1"]}, {}
    return {}, {"agreement_f1": "neither variant finds a face, so nothing was compared"}
