"""The quality of age_estimation: years off, for each face whose age is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from reelbench.corpus.clip import Truth, TruthFace, TruthFaces
from reelbench.errors import ConfigError
from reelbench.quality.base import Outcome, Scores, collect
from reelbench.quality.matching import overlap
from reelbench.results import AnalyzerResult, Event
from reelbench.settings import Share

FACE, YEARS = "face", "age_years"
AGAINST_TRUTH = ("age_score", "age_mae", "found")
AGREEMENT = ("agreement_age_score",)
_TEN = 10.0


class AgeQuality:
    """Mean absolute error in years over all instants and faces of known age.

    ``age_score`` is 1 / (1 + error / 10): 1 is perfect, 0.5 an error of ten years. A face is found where a box
    overlaps it by at least ``iou``. Raises ConfigError where it makes no sense."""

    primary = "age_score"
    primary_name = "age score"
    guards: ClassVar[dict[str, str]] = {"found": "more"}
    """The score is over found faces: who leaves the hard ones out would gain by it."""

    def __init__(self, iou: Share = 0.3) -> None:
        if not 0 < iou <= 1:
            raise ConfigError(f"quality.iou must lie above 0 and at most at 1, not {iou}")
        self.iou = iou

    def against_truth(self, results: Mapping[str, AnalyzerResult], truths: Mapping[str, Truth]) -> Scores:
        """Score the clips that ``truths`` holds; ``overall`` pools them. Keys of ``absent``: a clip that was not
        scored at all, a metric (overall), or ``<clip>/<metric>``."""
        absent: dict[str, str] = {}
        clips: dict[str, list[float | None]] = {}
        for name in sorted(truths):
            faces = truths[name].faces
            if faces is None or not any(face.age is not None for instant in faces for face in instant.faces):
                absent[name] = "its ground truth holds no face of known age"
            elif name not in results:
                absent[name] = "no result"
            else:
                clips[name] = self._errors(results[name], faces)
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGAINST_TRUTH, "no clip has a result and ground truth")})
        pooled = [error for errors in clips.values() for error in errors]
        return collect(_outcome(pooled), {name: _outcome(errors) for name, errors in clips.items()}, absent)

    def agreement(self, results: Mapping[str, AnalyzerResult], reference: Mapping[str, AnalyzerResult]) -> Scores:
        """The same with the reference's ages at the instants that it was shown. ``absent`` as in `against_truth`."""
        absent = {name: "no result" for name in sorted(reference) if name not in results}
        clips: dict[str, list[float | None]] = {}
        for name in sorted(set(reference) & set(results)):
            clips[name] = self._errors(results[name], _as_truth(reference[name]))
        if not clips:
            return Scores(absent={**absent, **dict.fromkeys(AGREEMENT, "no clip has a result in both variants")})
        pooled = [error for errors in clips.values() for error in errors]
        return collect(_agree(pooled), {name: _agree(errors) for name, errors in clips.items()}, absent)

    def _errors(self, result: AnalyzerResult, truth: Sequence[TruthFaces]) -> list[float | None]:
        """Of each face of known age at each instant: years off; None where it was not found."""
        events = [event for event in result.events if event.label == FACE and YEARS in event.attributes]
        return [
            self._error(events, face, instant.t_s)
            for instant in truth
            for face in instant.faces
            if face.age is not None
        ]

    def _error(self, events: Sequence[Event], face: TruthFace, t_s: float) -> float | None:
        there = [(overlap(at.box, face.box), event) for event in events if (at := event.box_at(t_s)) is not None]
        share, best = max(there, key=lambda pair: pair[0], default=(0.0, None))
        if best is None or share < self.iou or face.age is None:
            return None
        return abs(float(best.attributes[YEARS]) - face.age)


def _as_truth(result: AnalyzerResult) -> list[TruthFaces]:
    instants = []
    for t_s in result.sampled_s:
        faces = [
            TruthFace(box=at.box, eyes=((at.box[0], at.box[1]), (at.box[2], at.box[1])), age=event.attributes[YEARS])
            for event in result.events
            if event.label == FACE and (at := event.box_at(t_s)) is not None
        ]
        instants.append(TruthFaces(t_s=t_s, faces=tuple(faces)))
    return instants


def _outcome(errors: Sequence[float | None]) -> Outcome:
    known = [error for error in errors if error is not None]
    metrics = {"found": len(known) / len(errors)} if errors else {}
    if not known:
        return metrics, dict.fromkeys(("age_score", "age_mae"), "no face of known age was found")
    mean = float(np.mean(known))
    return metrics | {"age_score": 1 / (1 + mean / _TEN), "age_mae": mean}, {}


def _agree(errors: Sequence[float | None]) -> Outcome:
    known = [error for error in errors if error is not None]
    if not known:
        return {}, {"agreement_age_score": "no face that both variants find, so nothing was compared"}
    return {"agreement_age_score": 1 / (1 + float(np.mean(known)) / _TEN)}, {}
