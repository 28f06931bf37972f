"""Detection quality against hand-computed cases and properties that must hold for any boxes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.corpus.clip import Truth, TruthFrame, TruthObject
from reelbench.errors import ConfigError
from reelbench.quality.detection import AGAINST_TRUTH, AGREEMENT, DetectionQuality
from reelbench.results import AnalyzerResult, BoxAt, Event

A, B, C = (0, 0, 10, 10), (100, 0, 110, 10), (200, 0, 210, 10)
FAR = (5000, 5000, 5010, 5010)
quality = DetectionQuality()


def result(*events: Event, clip: str = "clip", duration_s: float = 2.0) -> AnalyzerResult:
    return AnalyzerResult(analyzer="object_detection", clip=clip, duration_s=duration_s, events=events)


def saw(label: str, box: tuple[float, ...], score: float = 0.9, start_s: float = 0.0, end_s: float = 2.0) -> Event:
    return Event(start_s=start_s, end_s=end_s, label=label, score=score, box=box)


def truth(*objects: tuple, times: tuple[float, ...] = (1.0,)) -> Truth:
    """The same objects (label, box, ignore?) at each of ``times``."""
    things = tuple(TruthObject(label=o[0], box=o[1], ignore=len(o) > 2 and o[2]) for o in objects)
    return Truth(objects=tuple(TruthFrame(t_s=t, objects=things) for t in times))


def score(found: AnalyzerResult, right: Truth, **options: float):
    return DetectionQuality(**options).against_truth({"clip": found}, {"clip": right})


def test_average_precision_as_computed_by_hand():
    # Two cups; found: right at 0.9, wrong at 0.8, right at 0.7. Precision 1 up to recall 0.5, 2/3 up to recall 1; COCO reads it
    # at 101 recall levels, of which 51 lie at or below 0.5.
    scores = score(result(saw("cup", A, 0.9), saw("cup", FAR, 0.8), saw("cup", B, 0.7)), truth(("cup", A), ("cup", B)))
    assert scores.overall["map50"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.overall["map"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.overall["precision"] == pytest.approx(2 / 3)
    assert scores.overall["recall"] == 1.0
    assert scores.overall["f1"] == pytest.approx(0.8)
    assert scores.overall["false_positives_per_min"] == 60.0
    assert scores.per_clip["clip"] == scores.overall
    assert scores.absent == {}


@pytest.mark.parametrize(("height", "mean"), [(7.2, 0.5), (5.2, 0.1)])
def test_looser_boxes_count_only_at_the_lower_iou_thresholds(height: float, mean: float):
    # Overlap 0.72: right at 0.50, 0.55, 0.60, 0.65 and 0.70, wrong at the five thresholds above. Overlap 0.52: right at 0.50.
    scores = score(result(saw("cup", (0, 0, 10, height))), truth(("cup", A)))
    assert scores.overall["map50"] == pytest.approx(1.0)
    assert scores.overall["map"] == pytest.approx(mean)


def test_equal_scores_do_not_let_the_order_of_events_decide():
    right, wrong = saw("cup", A, 0.6), saw("cup", FAR, 0.6)
    assert score(result(right, wrong), truth(("cup", A))) == score(result(wrong, right), truth(("cup", A)))


def test_labels_are_averaged_and_a_label_absent_from_truth_costs_precision_only():
    found = result(saw("cup", A), saw("dog", FAR), saw("zebra", B))
    scores = score(found, truth(("cup", A), ("dog", B)))
    assert scores.overall["map50"] == pytest.approx(0.5)
    assert scores.overall["precision"] == pytest.approx(1 / 3)
    without_zebra = score(result(saw("cup", A), saw("dog", FAR)), truth(("cup", A), ("dog", B)))
    assert without_zebra.overall["map50"] == scores.overall["map50"]
    assert without_zebra.overall["precision"] == pytest.approx(1 / 2)


def test_a_second_box_on_the_same_object_is_wrong():
    scores = score(result(saw("cup", A, 0.9), saw("cup", A, 0.8)), truth(("cup", A)))
    assert (scores.overall["precision"], scores.overall["recall"]) == (0.5, 1.0)


def test_scores_below_the_threshold_count_for_map_only():
    scores = score(result(saw("cup", A, 0.4)), truth(("cup", A)))
    assert scores.overall["map50"] == pytest.approx(1.0)
    assert (scores.overall["recall"], scores.overall["f1"]) == (0.0, 0.0)
    assert "precision" not in scores.overall
    assert "0.5" in scores.absent["precision"] and "clip/precision" in scores.absent


def test_ignored_objects_are_neither_right_nor_wrong():
    right = truth(("cup", A), ("cup", B, True))
    for found in (result(saw("cup", A)), result(saw("cup", A), saw("cup", B, 0.95), saw("cup", B, 0.99))):
        overall = score(found, right).overall
        assert [overall[name] for name in AGAINST_TRUTH] == pytest.approx([1, 1, 1, 1, 1, 0])
    assert score(result(saw("cup", A), saw("dog", B)), right).overall["precision"] == 0.5


def test_boxes_move_along_the_track_and_are_held_after_it():
    track = (BoxAt(t_s=0.0, box=(0, 0, 10, 10), score=0.9), BoxAt(t_s=1.0, box=(100, 0, 110, 10), score=0.7))
    found = result(Event(start_s=0.0, end_s=1.8, label="cup", score=0.9, box=(0, 0, 10, 10), track=track))
    moved = Truth(
        objects=(
            TruthFrame(t_s=0.5, objects=(TruthObject(label="cup", box=(50, 0, 60, 10)),)),
            TruthFrame(t_s=1.5, objects=(TruthObject(label="cup", box=(100, 0, 110, 10)),)),
            TruthFrame(t_s=1.8, objects=()),
        )
    )
    overall = score(found, moved).overall
    assert [overall[name] for name in AGAINST_TRUTH] == pytest.approx([1, 1, 1, 1, 1, 0])


def test_at_most_five_instants_a_second_are_judged_and_the_same_ones_for_everybody():
    # 30 annotations a second; only those nearest to 0.1, 0.3, 0.5 … are judged, so being right there is enough.
    right = truth(("cup", A), times=tuple(frame / 30 for frame in range(60)))
    flashes = [
        saw("cup", A, start_s=t - 0.02, end_s=t + 0.02) for t in (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 1.9)
    ]
    assert score(result(*flashes), right).overall["recall"] == 1.0
    assert score(result(*flashes[:5]), right).overall["recall"] == 0.5
    assert score(result(*flashes), right, instants_per_s=30).overall["recall"] < 0.5


def test_what_cannot_be_computed_is_absent_with_its_reason():
    found = {"unknown": result(), "empty": result(saw("cup", A), clip="empty")}
    truths = {
        "unknown": Truth(objects=None),
        "empty": truth(times=(0.5, 1.5)),
        "missing": truth(("cup", A)),
    }
    scores = quality.against_truth(found, truths)
    assert scores.overall == scores.per_clip["empty"] == {"false_positives_per_min": 60.0}
    assert set(scores.per_clip) == {"empty"}
    assert scores.absent["missing"] == "no result"
    assert "nothing about objects" in scores.absent["unknown"]
    assert {"map50", "empty/map50", "recall", "f1"} <= set(scores.absent)
    nothing = quality.against_truth(found, {})
    assert nothing.overall == {} and set(nothing.absent) == set(AGAINST_TRUTH)


def test_truth_without_any_frame_says_that_nothing_is_there():
    scores = quality.against_truth({"clip": result(saw("cup", A, end_s=1.0))}, {"clip": Truth(objects=())})
    assert scores.overall == {"false_positives_per_min": 30.0}


def test_overall_pools_the_boxes_of_all_clips():
    found = {"one": result(saw("cup", A)), "two": result(clip="two")}
    truths = {"one": truth(("cup", A)), "two": truth(("cup", A), ("cup", B), ("cup", C))}
    scores = quality.against_truth(found, truths)
    assert scores.overall["recall"] == 0.25
    assert (scores.per_clip["one"]["recall"], scores.per_clip["two"]["recall"]) == (1.0, 0.0)
    assert scores.per_clip["two"]["map50"] == 0.0


def test_agreement_with_a_reference():
    reference = {"clip": result(saw("cup", A), saw("dog", B), saw("cat", C, 0.3))}
    same = quality.agreement(reference, reference)
    assert [same.overall[name] for name in AGREEMENT] == [1.0, 1.0, 1.0]
    half = quality.agreement({"clip": result(saw("cup", A), saw("bear", B))}, reference)
    assert [half.overall[name] for name in AGREEMENT] == [0.5, 0.5, 0.5]
    # Seen for half of the clip: every box is right, half of the reference's are missed.
    late = quality.agreement({"clip": result(saw("cup", A, end_s=1.0), saw("dog", B, end_s=1.0))}, reference)
    assert [late.per_clip["clip"][name] for name in AGREEMENT] == pytest.approx([2 / 3, 1.0, 0.5])


def test_a_reference_is_only_asked_where_it_looked():
    held = result(saw("cup", A, end_s=1.0))
    moving = {"clip": result(saw("cup", A, end_s=0.1))}
    on_the_grid = quality.agreement(moving, {"clip": held})
    where_it_looked = quality.agreement(moving, {"clip": held.model_copy(update={"sampled_s": (0.0,)})})
    assert on_the_grid.overall["agreement_recall"] < 1
    assert where_it_looked.overall["agreement_recall"] == 1


def test_agreement_on_nothing_is_absent_and_disagreement_about_nothing_is_zero():
    empty, full = {"clip": result(saw("cup", A, 0.2))}, {"clip": result(saw("cup", A))}
    both = quality.agreement(empty, empty)
    assert both.overall == {} and "nothing was compared" in both.absent["agreement_f1"]
    assert quality.agreement(full, empty).overall == {"agreement_f1": 0.0, "agreement_precision": 0.0}
    assert quality.agreement(empty, full).overall == {"agreement_f1": 0.0, "agreement_recall": 0.0}
    assert quality.agreement({}, full).absent["clip"] == "no result"


@pytest.mark.parametrize("options", [{"instants_per_s": 0}, {"score": 0}, {"score": 1.5}, {"iou": float("nan")}])
def test_options_that_make_no_sense_are_refused(options: dict[str, float]):
    with pytest.raises(ConfigError, match=next(iter(options))):
        DetectionQuality(**options)


labels = st.sampled_from(["person", "cup", "dog"])
boxes = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
objects = st.lists(st.tuples(labels, boxes, st.booleans()), min_size=1, max_size=6)
found_boxes = st.lists(st.tuples(labels, boxes, st.sampled_from([0.3, 0.5, 0.6, 0.6, 0.9])), max_size=6)


@given(objects)
def test_perfect_predictions_score_one(things: list[tuple]):
    overall = score(result(*(saw(label, box) for label, box, _ in things)), truth(*things)).overall
    if all(ignored for _, _, ignored in things):
        assert overall == {"false_positives_per_min": 0.0}
    else:
        assert [overall[n] for n in ("map50", "map", "recall")] == pytest.approx([1.0, 1.0, 1.0])


@given(objects, found_boxes, st.randoms(use_true_random=False))
def test_the_order_of_events_and_clips_changes_nothing(things: list[tuple], seen: list[tuple], rng: random.Random):
    events = [saw(label, box, value) for label, box, value in seen]
    mixed, turned = rng.sample(events, len(events)), rng.sample(things, len(things))
    a = quality.against_truth(
        {"x": result(*events), "y": result(*events[:2])}, {"x": truth(*things), "y": truth(*things)}
    )
    b = quality.against_truth(
        {"y": result(*events[:2]), "x": result(*mixed)}, {"y": truth(*turned), "x": truth(*turned)}
    )
    assert a == b


@given(objects, found_boxes, labels, st.sampled_from([0.5, 0.7, 1.0]))
def test_a_further_wrong_box_never_raises_a_figure(things: list[tuple], seen: list[tuple], label: str, value: float):
    events = [saw(name, box, s) for name, box, s in seen]
    before = score(result(*events), truth(*things)).overall
    after = score(result(*events, saw(label, FAR, value)), truth(*things)).overall
    for name in set(before) - {"false_positives_per_min"}:
        assert after[name] <= before[name] + 1e-12
    assert after["false_positives_per_min"] == before["false_positives_per_min"] + 60
