"""The quality of cuts, scenes, camera moves and effects against hand-computed cases."""

from __future__ import annotations

import pytest

from reelbench.corpus.clip import Cut, Truth, TruthSpan
from reelbench.quality.boundaries import CutQuality, SceneQuality
from reelbench.quality.camera import CameraQuality
from reelbench.quality.effects import EffectQuality
from reelbench.results import AnalyzerResult, Event

Spans = tuple[tuple[float, float, str], ...]


def result(*spans: tuple[float, float, str], duration_s: float = 4.0) -> dict[str, AnalyzerResult]:
    events = tuple(Event(start_s=a, end_s=b, label=label, score=1.0) for a, b, label in spans)
    return {"clip": AnalyzerResult(analyzer="any", clip="clip", duration_s=duration_s, events=events)}


def truth(part: str, *spans: tuple[float, float, str]) -> dict[str, Truth]:
    made = tuple(TruthSpan(start_s=a, end_s=b, label=label) for a, b, label in spans)
    return {"clip": Truth(**{part: made})}


def test_a_cut_counts_once_within_two_frames_and_a_dissolve_anywhere_within_it() -> None:
    known = {
        "clip": Truth(cuts=(Cut(start_s=1.0, end_s=1.0, kind="cut"), Cut(start_s=2.0, end_s=3.0, kind="dissolve")))
    }
    found = result((1.06, 1.06, "cut"), (1.0, 1.0, "cut"), (2.1, 2.3, "gradual"), (0.0, 4.0, "clip"))
    scores = CutQuality().against_truth(found, known)
    assert scores.overall == pytest.approx({"cut_precision": 2 / 3, "cut_recall": 1.0, "cut_f1": 0.8})
    late = CutQuality().against_truth(result((1.1, 1.1, "cut")), known)
    assert late.overall["cut_f1"] == 0.0


def test_a_clip_without_cuts_in_which_none_is_found_has_no_score_and_says_why() -> None:
    scores = CutQuality().against_truth(result(), {"clip": Truth(cuts=())})
    assert not scores.overall and "nothing was" in scores.absent["cut_f1"]


def test_scenes_are_judged_by_where_they_begin_except_the_first() -> None:
    known = truth("scenes", (0.0, 1.5, "street"), (1.5, 2.5, "kitchen"), (2.5, 4.0, "street"))
    found = result((0.0, 1.6, "scene"), (1.6, 4.0, "scene"), (0.0, 0.8, "shot"), (0.8, 1.6, "shot"))
    overall = SceneQuality().against_truth(found, known).overall
    assert overall == pytest.approx({"scene_precision": 1.0, "scene_recall": 0.5, "scene_f1": 2 / 3})


def test_the_camera_is_judged_second_by_second_with_each_label_of_equal_weight() -> None:
    known = truth("camera", (0.0, 3.0, "still"), (3.0, 4.0, "pan_left"), (3.0, 4.0, "zoom_in"))
    found = result((0.0, 2.4, "still"), (2.4, 4.0, "pan_left"))
    scores = CameraQuality().against_truth(found, known).overall
    # Second 2 is 0.4 still and 0.6 pan_left; the zoom is missed.
    assert scores["f1_still"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert scores["f1_pan_left"] == pytest.approx(2 / 3)
    assert scores["camera_macro_f1"] == pytest.approx((0.8 + 2 / 3 + 0.0) / 3)


def test_an_effect_counts_where_half_of_it_overlaps_and_its_name_is_right() -> None:
    known = truth("effects", (0.0, 1.0, "fade"), (2.0, 3.0, "freeze"), (3.0, 3.1, "flash"))
    found = result((0.2, 1.1, "fade"), (0.0, 0.6, "fade"), (2.0, 3.0, "blur"))
    scores = EffectQuality().against_truth(found, known).overall
    assert scores["effect_precision"] == pytest.approx(1 / 3)
    assert scores["effect_recall"] == pytest.approx(1 / 3)
    assert scores["f1_freeze"] == 0.0


@pytest.mark.parametrize("quality", [CutQuality(), SceneQuality(), CameraQuality(), EffectQuality()])
def test_what_is_not_known_is_not_scored_and_full_agreement_is_one(quality: CutQuality) -> None:
    assert not quality.against_truth(result(), {"clip": Truth()}).overall
    found = result((0.0, 1.0, "scene"), (1.0, 1.0, "cut"), (1.0, 4.0, "scene"), (0.0, 2.0, "still"), (2.0, 3.0, "blur"))
    assert quality.agreement(found, found).overall["agreement_f1"] == 1.0
