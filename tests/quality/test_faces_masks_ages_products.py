"""The metrics of faces, masks, ages and products, on hand-made results and truth."""

from __future__ import annotations

from typing import Any

import pytest

from reelbench.corpus.clip import Truth, TruthFace, TruthFaces, TruthMask, TruthSpan
from reelbench.errors import ConfigError
from reelbench.quality.ages import AgeQuality
from reelbench.quality.base import Scores
from reelbench.quality.faces import EyeQuality, true_blinks
from reelbench.quality.masks import MaskQuality
from reelbench.quality.products import ProductQuality
from reelbench.results import AnalyzerResult, Event

TIMES = [at / 10 for at in range(20)]
BOX = (100.0, 100.0, 200.0, 220.0)


def _result(*events: Event) -> AnalyzerResult:
    return AnalyzerResult(analyzer="a", clip="c", duration_s=2.0, sampled_s=tuple(TIMES), events=events)


def _truth_faces(shut: tuple[int, ...] = (), looking: bool | None = True, age: float | None = 40) -> Truth:
    return Truth(
        faces=tuple(
            TruthFaces(
                t_s=t_s,
                faces=(
                    TruthFace(box=BOX, eyes=((130, 150), (170, 150)), open=at not in shut, looking=looking, age=age),
                ),
            )
            for at, t_s in enumerate(TIMES)
        )
    )


def _face(dx: float = 0.0, number: int = 0, **more: Any) -> Event:
    rows = [[t_s, 130 + dx, 150, 170 + dx, 150] for t_s in TIMES]
    return Event(
        start_s=0, end_s=2.0, label="face", score=1, box=BOX, attributes={"face": number, "eyes": rows, **more}
    )


def _span(label: str, start: float, end: float, **attributes: Any) -> Event:
    return Event(start_s=start, end_s=end, label=label, score=1, attributes={"face": 0, **attributes})


def _eyes(truth: Truth, *events: Event) -> Scores:
    return EyeQuality().against_truth({"c": _result(*events)}, {"c": truth})


def test_eyes_are_right_within_a_tenth_of_their_distance() -> None:
    """The eyes are 40 pixels apart: 3 pixels off is right, 5 is not, 30 is another face."""
    assert _eyes(_truth_faces(), _face(3)).overall["eyes_f1"] == 1
    assert _eyes(_truth_faces(), _face(3)).overall["eye_error"] == pytest.approx(3 / 40)
    off = _eyes(_truth_faces(), _face(5))
    assert off.overall["eyes_f1"] == 0 and off.overall["eye_error"] == pytest.approx(5 / 40)
    other = _eyes(_truth_faces(), _face(30))
    assert other.overall["eyes_f1"] == 0 and "eye_error" in other.absent
    # One of two found faces is right: precision 0.5, recall 1.
    assert _eyes(_truth_faces(), _face(), _face(200, 1)).overall["eyes_f1"] == pytest.approx(2 / 3)


def test_blinks_are_matched_once_each() -> None:
    truth = _truth_faces(shut=(5, 6, 12))
    assert true_blinks(truth.faces or ()) == [(0.5, 0.6), (1.2, 1.2)]
    both = [_span("blink", 0.5, 0.7), _span("blink", 1.25, 1.35)]
    assert _eyes(truth, _face(), *both).overall["blink_f1"] == 1
    assert _eyes(truth, _face(), _span("blink", 0.5, 0.7)).overall["blink_f1"] == pytest.approx(2 / 3)
    assert _eyes(truth, _face(), *both, _span("blink", 1.7, 1.8)).overall["blink_f1"] == pytest.approx(0.8)
    assert "blink_f1" in _eyes(_truth_faces(), _face()).absent


def test_looks_count_for_the_face_that_looks() -> None:
    assert _eyes(_truth_faces(), _face(), _span("looking", 0, 2.0)).overall["looking_f1"] == 1
    assert _eyes(_truth_faces(), _face(), _span("looking", 0, 1.0)).overall["looking_recall"] == 0.5
    assert _eyes(_truth_faces(looking=False), _face(), _span("looking", 0, 1.0)).overall["looking_f1"] == 0
    assert "looking_f1" in _eyes(_truth_faces(looking=None), _face(), _span("looking", 0, 2.0)).absent


def test_truth_without_faces_and_a_missing_result_are_named() -> None:
    scores = EyeQuality().against_truth({"a": _result()}, {"a": Truth(), "b": _truth_faces()})
    assert set(scores.absent) >= {"a", "b", "eyes_f1"}


def test_eyes_agree_with_a_reference() -> None:
    quality = EyeQuality()
    assert quality.agreement({"c": _result(_face(2))}, {"c": _result(_face())}).overall["agreement_f1"] == 1
    assert "c/agreement_f1" in quality.agreement({"c": _result()}, {"c": _result()}).absent


def test_years_off_are_counted_for_the_face_that_overlaps() -> None:
    def of(*events: Event) -> Scores:
        return AgeQuality().against_truth({"c": _result(*events)}, {"c": _truth_faces()})

    assert of(_face(age_years=50.0)).overall == pytest.approx({"age_score": 0.5, "age_mae": 10, "found": 1})
    missed = of(_face(age_years=50.0).model_copy(update={"box": (0, 0, 20, 20)}))
    assert missed.overall == {"found": 0} and "age_score" in missed.absent
    assert of(_face(age_years=40.0).model_copy(update={"end_s": 1.0})).overall["found"] == pytest.approx(0.5)
    unknown = AgeQuality().against_truth({"c": _result()}, {"c": _truth_faces(age=None)})
    assert "c" in unknown.absent


SQUARE = ((10.0, 10.0), (110.0, 10.0), (110.0, 110.0), (10.0, 110.0))


def _person(shift: float) -> Event:
    outline = [value + (shift if at % 2 == 0 else 0) for at, value in enumerate(sum(SQUARE, ()))]
    masks = [[t_s, [outline]] for t_s in TIMES]
    return Event(start_s=0, end_s=1.0, label="person", score=1, attributes={"masks": masks})


def test_outlines_overlap_instant_by_instant() -> None:
    truth = Truth(masks=tuple(TruthMask(t_s=t_s, polygons=(SQUARE,) if t_s < 1 else ()) for t_s in TIMES))
    quality = MaskQuality()
    for shift, expected in ((0, 1.0), (50, 1 / 3), (200, 0.0)):
        scores = quality.against_truth({"c": _result(_person(shift))}, {"c": truth})
        assert scores.overall["iou"] == pytest.approx(expected, abs=0.02)
        assert scores.overall["false_people"] == 0
    late = _person(0).model_copy(update={"end_s": 2.0})
    assert quality.against_truth({"c": _result(late)}, {"c": truth}).overall["false_people"] == 1
    assert quality.against_truth({"c": _result()}, {"c": truth}).overall["iou"] == 0


def test_products_are_judged_second_by_second_and_clip_by_clip() -> None:
    truth = Truth(products=(TruthSpan(start_s=0, end_s=1.0, label="drinkware"),))

    def of(*events: Event) -> dict[str, float]:
        return dict(ProductQuality().against_truth({"c": _result(*events)}, {"c": truth}).overall)

    assert of(_span("drinkware", 0, 1.0)) == {"precision": 1, "recall": 1, "f1": 1, "clip_f1": 1}
    assert of(_span("drinkware", 0, 2.0))["f1"] == pytest.approx(2 / 3)
    assert of(_span("vehicle", 0, 2.0), _span("drinkware", 0, 1.0))["clip_f1"] == pytest.approx(2 / 3)
    assert of() == {"recall": 0, "f1": 0, "clip_f1": 0}
    empty = ProductQuality().against_truth({"c": _result()}, {"c": Truth(products=())})
    assert "c/f1" in empty.absent and "c/recall" in empty.absent


@pytest.mark.parametrize(
    "make",
    [lambda: EyeQuality(error=0), lambda: MaskQuality(0), lambda: AgeQuality(2), lambda: ProductQuality(per_s=0)],
)
def test_wrong_settings_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()
