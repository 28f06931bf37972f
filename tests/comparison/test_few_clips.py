"""What 'not worse' may claim: on few clips, beside guardrails, and on clips without ground truth."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from reelbench.bench.records import QualityRecord
from reelbench.comparison.non_inferiority import judge_quality
from reelbench.comparison.records import Quality
from reelbench.comparison.sentence import _quality as words
from reelbench.corpus.clip import Truth, TruthFace, TruthFaces, TruthFrame, TruthObject, TruthPalette, TruthSpan
from reelbench.quality.ages import AgeQuality
from reelbench.quality.audio import AudioQuality
from reelbench.quality.detection import DetectionQuality
from reelbench.quality.faces import EyeQuality
from reelbench.quality.masks import MaskQuality
from reelbench.quality.narration import NarrationQuality
from reelbench.quality.palettes import PaletteQuality
from reelbench.quality.spans import SpanQuality
from reelbench.quality.speech import SpeechQuality
from reelbench.results import AnalyzerResult, Event


def names(n: int) -> list[str]:
    return [f"clip{i}" for i in range(n)]


def scored(scores: list[float], **fields: Any) -> QualityRecord:
    per_clip = {f"clip{i}": {"map50": score} for i, score in enumerate(scores)}
    return QualityRecord(primary="map50", per_clip=per_clip, **fields)


@pytest.mark.parametrize(("clips", "said"), [(5, "46"), (10, "26"), (20, "14"), (59, "5")])
def test_clips_that_agree_exactly_prove_no_more_than_the_binomial(clips: int, said: str) -> None:
    """No spread gives a t bound of zero width, which would say that nothing can be lost."""
    quality = judge_quality(scored([0.8] * clips), scored([0.8] * clips), clips=names(clips))
    assert (quality.verdict, quality.low, quality.high) == ("not worse", None, None)
    assert quality.hidden_share == pytest.approx(1 - 0.05 ** (1 / clips))
    sentence = words(quality, "mAP@0.5")
    assert f"none of {clips} clips lose more than the margin, up to {said} % of such clips may" in sentence
    assert "bound" not in sentence


def test_the_share_that_is_said_covers_the_loss_that_is_hidden() -> None:
    """B loses 0.30 on a tenth of all clips. Where 'not worse' is said, the share beside it is too small in at most 5 % of cases."""
    rng = np.random.default_rng(4)
    for clips in (5, 10, 20):
        silent = 0
        for _ in range(300):
            a = rng.uniform(0.7, 0.9, clips)
            b = a - 0.3 * (rng.random(clips) < 0.1) + rng.normal(0, 0.002, clips)
            quality = judge_quality(scored(a.tolist()), scored(b.tolist()), clips=names(clips))
            assert quality.hidden_share is not None
            silent += quality.verdict == "not worse" and quality.hidden_share < 0.1
        assert silent <= 15


def test_the_clips_that_lose_are_counted_into_the_share() -> None:
    a, b = [0.8] * 40, [0.795, *[0.801] * 38, 0.79]
    quality = judge_quality(scored(a), scored(b), clips=names(40))
    assert (quality.verdict, quality.losing_clips) == ("not worse", 1)
    assert "1 of 40 clips loses more than the margin, up to 12 % of such clips may" in words(quality, "mAP@0.5")


def detections(flood: int) -> Quality:
    """Two cups a clip, both found at a score of 0.9; B adds ``flood`` boxes with a label that no truth holds, at 0.99."""
    things = tuple(TruthObject(label="cup", box=(100.0 * i, 0, 100.0 * i + 10, 10)) for i in range(2))
    truths = {clip: Truth(objects=(TruthFrame(t_s=1.0, objects=things),)) for clip in names(5)}
    metric = DetectionQuality()
    records = []
    for wrong in (0, flood):
        right = [Event(start_s=0, end_s=2, label="cup", score=0.9, box=one.box) for one in things]
        false = [
            Event(start_s=0, end_s=2, label="kite", score=0.99, box=(50.0 * i, 500, 50.0 * i + 9, 509))
            for i in range(wrong)
        ]
        events = (*right, *false)
        results = {
            clip: AnalyzerResult(analyzer="object_detection", clip=clip, duration_s=2, events=events) for clip in truths
        }
        scores = metric.against_truth(results, truths)
        per_clip = {clip: dict(found) for clip, found in scores.per_clip.items()}
        records.append(QualityRecord(primary=metric.primary, guards=dict(metric.guards), per_clip=per_clip))
    return judge_quality(*records, clips=names(5))


def test_false_boxes_that_leave_map_unchanged_break_the_guardrail() -> None:
    quality = detections(20)
    assert quality.mean_a == quality.mean_b == pytest.approx(1.0), "mAP does not see them"
    assert (quality.of_metric, quality.verdict) == ("not worse", "worse")
    assert "guardrail precision broken: 1 to 0.0909, may fall by 0.05" in words(quality, "mAP@0.5")
    assert detections(0).verdict == "not worse"


@pytest.mark.parametrize(
    ("of_b", "verdict"),
    [
        ([0.88, 0.90, 0.89, 0.87, 0.90], "not worse"),  # 1 % less: a guardrail is no second metric
        ([0.60, 0.62, 0.58, 0.61, 0.60], "worse"),
        ([0.10, 0.90, 0.90, 0.90, 0.90], "underpowered"),  # one clip only: it may be chance, it must be looked at
    ],
)
def test_a_guardrail_is_broken_open_or_holds(of_b: list[float], verdict: str) -> None:
    def both(precision: list[float]) -> QualityRecord:
        record = scored([0.8, 0.81, 0.79, 0.8, 0.82], guards={"precision": "more"})
        for clip, value in zip(names(5), precision, strict=True):
            record.per_clip[clip]["precision"] = value
        return record

    quality = judge_quality(both([0.9] * 5), both(of_b), clips=names(5))
    assert (quality.of_metric, quality.guards["precision"].verdict, quality.verdict) == ("not worse", verdict, verdict)


def judged_beside_truth(per_clip: dict[str, dict[str, tuple[float, float]]], **options: Any) -> Quality:
    """Five clips with ground truth on which both arms score the same, and those of ``per_clip``, which have none."""
    a, b = scored([0.8] * 5), scored([0.8] * 5)
    total = tuple(50.0 + sum(found["seconds of events"][i] for found in per_clip.values()) for i in (0, 1))
    return judge_quality(
        a,
        b.model_copy(update=options.pop("of_b", {})),
        clips=[*names(5), *per_clip],
        counts={"seconds of events": total},
        counts_per_clip={**{clip: {"seconds of events": (10.0, 10.0)} for clip in names(5)}, **per_clip},
        **options,
    )


def test_doing_nothing_on_a_clip_without_truth_does_not_vanish_in_the_sum() -> None:
    quality = judged_beside_truth({"bare": {"seconds of events": (8.0, 0.0)}})
    assert quality.verdict == "worse" and quality.of_metric is None
    assert "finds 0 % of what a finds of 'seconds of events' on bare, which has no ground truth" in quality.reason
    assert judged_beside_truth({"bare": {"seconds of events": (8.0, 7.0)}}).verdict == "not worse"


def test_clips_on_which_little_is_found_are_judged_together() -> None:
    little = {f"bare{i}": {"seconds of events": (0.4, 0.0)} for i in range(5)}
    assert judged_beside_truth({"bare0": little["bare0"]}).verdict == "not worse", "one event more or less"
    quality = judged_beside_truth(little)
    assert quality.verdict == "worse" and "on the 5 clips without ground truth where a finds little" in quality.reason


def test_what_is_invented_on_a_clip_with_truth_is_left_to_the_truth() -> None:
    """A negative clip has ground truth and no mAP: finding less there is right."""
    a = scored([0.8] * 5)
    a.per_clip["empty"] = {"false_positives_per_min": 30.0}
    counts = {"empty": {"seconds of events": (8.0, 0.0)}}
    assert judge_quality(a, a, clips=[*names(5), "empty"], counts_per_clip=counts).verdict == "not worse"


def test_agreement_on_clips_without_truth_counts_beside_the_truth_on_others() -> None:
    bare = {f"bare{i}": {"seconds of events": (5.0, 5.0)} for i in range(3)}
    agreed = {clip: {"agreement_f1": 0.2 + i / 100} for i, clip in enumerate(bare)}
    of_b = {"agreement": {"agreement_f1": 0.2}, "agreement_per_clip": agreed}
    quality = judged_beside_truth(bare, of_b=of_b, least_agreement=0.9)
    assert quality.verdict == "worse" and "on the 3 clips without ground truth" in quality.reason


def _guards_of(metric: Any, a: tuple[Event, ...], b: tuple[Event, ...], truth: Truth) -> Quality:
    """The verdict on two clips with the same truth, by ``metric``, where A finds ``a`` and B finds ``b``."""
    records = []
    for events in (a, b):
        results = {
            clip: AnalyzerResult(analyzer="x", clip=clip, duration_s=10, events=events, sampled_s=(1.0,))
            for clip in names(2)
        }
        scores = metric.against_truth(results, dict.fromkeys(results, truth))
        per_clip = {clip: dict(found) for clip, found in scores.per_clip.items()}
        records.append(QualityRecord(primary=metric.primary, guards=dict(metric.guards), per_clip=per_clip))
    return judge_quality(*records, clips=names(2))


def test_one_event_over_the_whole_clip_breaks_the_guardrail_of_overlap() -> None:
    truth = Truth(calls=(TruthSpan(start_s=4, end_s=5, label="subscribe"),))
    right, whole = (Event(start_s=at, end_s=end, label="subscribe", score=1) for at, end in ((4, 5), (0, 10)))
    quality = _guards_of(SpanQuality("calls", "shorter"), (right,), (whole,), truth)
    assert quality.mean_a == quality.mean_b == 1.0, "event F1 does not see it"
    assert (quality.verdict, quality.guards["event_overlap"].mean_b) == ("worse", pytest.approx(0.1))


def test_a_palette_of_every_colour_breaks_the_guardrail_of_precision() -> None:
    colours = (("#cc2020", 0.5), ("#20a0a0", 0.5))
    truth = Truth(palettes=(TruthPalette(start_s=0, end_s=10, colours=colours),))
    hexes = [f"#{r:02x}{g:02x}40" for r in range(0, 256, 64) for g in range(0, 256, 64)]

    def palette(found: list[str]) -> Event:
        listed = [{"hex": one, "share": 1 / len(found)} for one in found]
        return Event(start_s=0, end_s=10, label="palette", score=1, attributes={"colours": listed})

    exact = [colour for colour, _ in colours]
    quality = _guards_of(PaletteQuality(), (palette(exact),), (palette([*exact, *hexes]),), truth)
    assert quality.mean_a == quality.mean_b == 1.0, "palette recall does not see it"
    assert quality.verdict == "worse" and quality.guards["palette_precision"].mean_b < 0.2


def test_leaving_out_hard_faces_breaks_the_guardrail_of_faces_found() -> None:
    def face(at: float, age: float) -> TruthFace:
        return TruthFace(box=(at, 0, at + 10, 10), eyes=((at + 2, 3), (at + 8, 3)), age=age)

    truth = Truth(faces=(TruthFaces(t_s=1.0, faces=(face(0, 30), face(100, 70))),))
    easy, hard = (
        Event(start_s=0, end_s=2, label="face", score=1, box=(at, 0, at + 10, 10), attributes={"age_years": age})
        for at, age in ((0.0, 30.0), (100.0, 50.0))
    )
    quality = _guards_of(AgeQuality(), (easy, hard), (easy,), truth)
    assert quality.mean_b == 1.0 > quality.mean_a, "the score gains by it"  # type: ignore[operator]
    assert quality.of_metric == "not worse" and quality.verdict == "worse"


def test_every_guardrail_is_a_figure_that_its_metric_gives() -> None:
    """A misspelt guardrail would guard nothing: each must be named in the module that computes it."""
    for metric in (AgeQuality, AudioQuality, DetectionQuality, EyeQuality, MaskQuality, NarrationQuality, PaletteQuality,
                   SpanQuality, SpeechQuality):  # fmt: skip
        source = inspect.getsource(inspect.getmodule(metric))  # type: ignore[arg-type]
        for name in metric.guards:
            computed = source.count(f'"{name}"') + source.count(f"{{prefix}}{name}")
            shared = name in ("precision", "recall") and "rates(" in source
            assert computed > 1 or shared, f"{metric.__name__}: {name}"
