"""The verdict on quality, and the sentence and exit code that a comparison ends with."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reelbench.bench.records import QualityRecord
from reelbench.comparison.non_inferiority import judge_quality
from reelbench.comparison.records import Arm, ComparisonRecord, Effect, Look, Quality, Speed
from reelbench.comparison.sentence import exit_code, sentence
from reelbench.errors import InputError

SCORES_A = [0.82, 0.75, 0.91, 0.66, 0.88]


def scored(scores: list[float | None], **fields: Any) -> QualityRecord:
    per_clip = {f"clip{i}": {"map50": score} for i, score in enumerate(scores) if score is not None}
    return QualityRecord(primary="map50", per_clip=per_clip, overall={"map50": 0.8}, **fields)


def agreed(scores: list[float]) -> QualityRecord:
    return QualityRecord(
        primary="map50",
        agreement={"agreement_precision": 0.5, "agreement_f1": sum(scores) / max(1, len(scores))},
        agreement_per_clip={
            f"clip{i}": {"agreement_f1": score, "agreement_precision": 0.5} for i, score in enumerate(scores)
        },
    )


def names(n: int) -> list[str]:
    return [f"clip{i}" for i in range(n)]


def judge(a: list[float | None], b: list[float | None], **options: Any) -> Quality:
    return judge_quality(scored(a), scored(b), clips=names(len(a)), **options)


def test_bounds_agree_with_scipy() -> None:
    scores_b = [0.80, 0.77, 0.90, 0.69, 0.87]
    quality = judge(SCORES_A, scores_b)
    differences = np.subtract(scores_b, SCORES_A)
    bounds = [
        stats.ttest_1samp(differences, 0, alternative=side).confidence_interval(0.95) for side in ("greater", "less")
    ]
    assert (quality.low, quality.high) == pytest.approx((bounds[0].low, bounds[1].high))
    assert quality.difference == pytest.approx(differences.mean())
    assert quality.margin == pytest.approx(0.01 * np.mean(SCORES_A))
    assert (quality.metric, quality.clips, quality.few, quality.overall_a) == ("map50", 5, True, 0.8)
    assert quality.per_clip["clip1"].b == 0.77


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ([0, 0, 0, 0, 0], "not worse"),
        ([0.01, 0.02, 0.0, 0.01, 0.02], "not worse"),
        ([-0.001, -0.002, -0.001, 0, -0.001], "not worse"),  # within the margin of 0.008
        ([-0.3, -0.25, -0.4, -0.2, -0.35], "worse"),
        ([-0.3, 0.2, 0.1, -0.2, 0.1], "underpowered"),
    ],
)
def test_the_bound_against_the_margin_decides(change: list[float], verdict: str) -> None:
    assert judge(SCORES_A, [a + d for a, d in zip(SCORES_A, change, strict=True)]).verdict == verdict


def test_the_margin_is_a_share_of_what_a_scores() -> None:
    scores_b = [a - 0.02 - i / 1000 for i, a in enumerate(SCORES_A)]
    assert judge(SCORES_A, scores_b).verdict == "worse"
    assert judge(SCORES_A, scores_b, margin_share=0.05).verdict == "not worse"
    assert judge(SCORES_A, SCORES_A, margin_share=0.0).verdict == "not worse"


def test_few_clips_are_said() -> None:
    assert judge([0.8] * 19, [0.8] * 19).few
    assert not judge([0.8] * 20, [0.8] * 20).few


def test_one_clip_is_underpowered_however_good() -> None:
    quality = judge([0.8], [0.99])
    assert quality.verdict == "underpowered" and "one clip only" in quality.reason
    assert quality.difference == pytest.approx(0.19) and quality.low is None
    # clips without truth do not count as clips
    assert judge([0.8, None, None], [0.9, None, None]).verdict == "underpowered"


def test_a_reference_that_finds_nothing_proves_nothing() -> None:
    quality = judge([0.0, 0.0, 0.0], [0.0, 0.0, 0.1])
    assert quality.verdict == "underpowered" and "scores 0" in quality.reason


def test_identical_results_are_not_worse_without_truth() -> None:
    quality = judge([None] * 3, [None] * 3, identical=names(3))
    assert (quality.verdict, quality.reason, quality.identical_clips) == (
        "not worse",
        "the results are identical on all 3 clips",
        3,
    )
    assert judge([0.8, None, None], [0.8, None, None], identical=names(3)).verdict == "not worse"
    assert judge([None], [None], identical=names(1)).verdict == "underpowered"
    partly = judge([None] * 3, [None] * 3, identical=names(2))
    assert partly.verdict == "underpowered" and "ground truth" in partly.reason and "least_agreement" in partly.reason


@pytest.mark.parametrize(
    ("agreement", "least", "verdict"),
    [
        ([0.99, 0.98, 0.99], 0.9, "not worse"),
        ([0.5, 0.4, 0.45], 0.9, "worse"),
        ([0.99, 0.7, 0.95], 0.9, "underpowered"),
        ([0.99], 0.9, "underpowered"),
        ([], 0.9, "underpowered"),
        ([0.99, 0.98, 0.99], None, "underpowered"),
    ],
)
def test_agreement_decides_only_where_told_what_is_enough(
    agreement: list[float], least: float | None, verdict: str
) -> None:
    quality = judge_quality(QualityRecord(primary="map50"), agreed(agreement), clips=names(3), least_agreement=least)
    assert quality.verdict == verdict
    assert quality.agreement_metric == "agreement_f1"
    assert quality.reason


def test_agreement_never_outvotes_the_truth() -> None:
    b = scored(
        SCORES_A, agreement={"agreement_f1": 0.1}, agreement_per_clip={name: {"agreement_f1": 0.1} for name in names(5)}
    )
    quality = judge_quality(scored(SCORES_A), b, clips=names(5), least_agreement=0.9)
    assert (quality.verdict, quality.agreement) == ("not worse", 0.1)


@pytest.mark.parametrize(
    ("of_b", "verdict", "said"),
    [
        (3.1, "worse", "finds 31 % of what a finds of 'person'"),
        (5.0, "not worse", ""),
        (20.0, "not worse", ""),
        (21.0, "worse", "210 %"),
    ],
)
def test_too_few_or_too_many_events_are_worse_whatever_the_metric_says(of_b: float, verdict: str, said: str) -> None:
    quality = judge(SCORES_A, SCORES_A, counts={"person": (10.0, of_b), "bus": (0.0, 0.0)})
    assert quality.verdict == verdict and said in quality.reason
    assert quality.difference == 0


def test_events_where_a_finds_none_are_out_of_bounds() -> None:
    quality = judge([None] * 2, [None] * 2, counts={"aeroplane": (0.0, 4.0)}, identical=[])
    assert quality.verdict == "worse" and "4 s of 'aeroplane' where a finds none" in quality.reason
    with pytest.raises(InputError, match="aeroplane"):
        judge([0.8, 0.9], [0.8, 0.9], counts={"aeroplane": (nan, 1.0)})


def test_a_false_not_worse_is_as_rare_as_promised() -> None:
    """B loses exactly the margin on average: at most one verdict in twenty may say 'not worse'."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(1000):
        a = rng.uniform(0.6, 0.9, 12)
        lost = rng.normal(0.01 * a.mean(), 0.02, 12)
        wrong += judge(a.tolist(), (a - lost).tolist()).verdict == "not worse"
    assert 25 <= wrong <= 70


@pytest.mark.parametrize("arm", ["a", "b"])
@pytest.mark.parametrize("value", [nan, inf])
def test_a_score_that_is_no_number_is_an_error(arm: str, value: float) -> None:
    broken = [*SCORES_A[:4], value]
    a, b = (broken, SCORES_A) if arm == "a" else (SCORES_A, broken)
    with pytest.raises(InputError, match=f"arm {arm}: map50 on clip4 is {value}"):
        judge(a, b)


def test_agreement_that_is_no_number_is_an_error() -> None:
    with pytest.raises(InputError, match="agreement_f1 on clip1 is nan"):
        judge_quality(QualityRecord(primary="map50"), agreed([0.9, nan]), clips=names(2))


def test_a_clip_that_only_one_arm_has_a_score_for_is_an_error_with_its_reason() -> None:
    b = scored([0.8, None], absent={"clip1/map50": "no result"})
    with pytest.raises(InputError, match="arm b has no map50 on clip1, the other arm has: no result"):
        judge_quality(scored([0.8, 0.9]), b, clips=names(2))
    with pytest.raises(InputError, match="arm a has no map50 on clip1"):
        judge_quality(scored([0.8, None]), scored([0.8, 0.9]), clips=names(2))
    assert judge_quality(scored([0.8, 0.9]), b, clips=["clip0"]).clips == 1  # a clip that is left out


def test_arms_with_different_metrics_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="'map50' but arm b by 'wer'"):
        judge_quality(QualityRecord(primary="map50"), QualityRecord(primary="wer"), clips=[])


# The sentence


def effect(ratio: float, low: float, high: float, pairs: int = 12) -> Effect:
    return Effect(ratio=ratio, low=low, high=high, pairs=pairs)


def record(verdict: str, of: Effect, quality: Quality | None = None, clips: int = 8, **speed: Any) -> ComparisonRecord:
    arm = {"effective": "", "run_id": "", "folder": ""}
    looks = [Look(pairs=of.pairs, threshold=0.0158, effect=of, verdict=verdict)] if of.pairs >= 10 else []  # type: ignore[arg-type]
    return ComparisonRecord(
        id="x", created="", analyzer="object_detection", corpus="demo", measure="quick", command="", fingerprint="",
        a=Arm(label="baseline", variant="baseline", **arm), b=Arm(label="optimized", variant="optimized", **arm),
        verdict=verdict, quality=quality,  # type: ignore[arg-type]
        speed=Speed(verdict=verdict, effect=of, confidence=0.95, statistic="median", delta=0.03, delta_source="", looks=looks,  # type: ignore[arg-type]
                    per_clip=dict.fromkeys(names(clips), of), **speed),
    )  # fmt: skip


GOOD = Quality(
    verdict="not worse", metric="map50", clips=5, few=True, difference=0.003, low=-0.0088, high=0.02, margin=0.008
)
BAD = Quality(
    verdict="worse", metric="map50", clips=25, few=False, difference=-0.31, low=-0.40, high=-0.22, margin=0.008
)
OPEN = Quality(
    verdict="underpowered",
    metric="map50",
    clips=5,
    difference=0.0,
    low=-0.03,
    high=0.03,
    margin=0.008,
    reason="judge more clips",
)
FAST = effect(0.238, 1 / 4.58, 1 / 3.94)


@pytest.mark.parametrize(
    ("made", "said", "code"),
    [
        (
            record("faster", FAST, GOOD),
            "optimized is at least 3.9× faster than baseline (4.2×, 95 % interval 3.9–4.6, 12 pairs on 8 clips); "
            "mAP@0.5 not worse: +0.3 points, bound −0.9 (few: 5 clips).",
            0,
        ),
        (
            record("slower", effect(1.06, 1.043, 1.088), GOOD),
            "optimized is at least 4 % slower than baseline (6 % more time, 95 % interval 4–9 %, 12 pairs on 8 clips); "
            "mAP@0.5 not worse: +0.3 points, bound −0.9 (few: 5 clips).",
            1,
        ),
        (
            record("faster", effect(0.9, 0.895, 0.905), BAD, clips=1),
            "optimized is at least 9.5 % faster than baseline, on this clip only (10.0 % less time, 95 % interval 9.5–10.5 %, "
            "12 pairs on one clip); mAP@0.5 worse: −31.0 points, at best −22.0, margin −0.8.",
            1,
        ),
        (
            record("equivalent", effect(0.996, 0.989, 1.006), OPEN),
            "optimized and baseline are equivalent to within ±3 % (−0.4 %, 95 % interval −1.1 to +0.6 %, 12 pairs on 8 clips); "
            "mAP@0.5 underpowered: 0.0 points, bound −3.0, margin −0.8, judge more clips (few: 5 clips).",
            3,
        ),
        (
            record("inconclusive", effect(1.04, 0.96, 1.14, 30), GOOD, minimum_detectable=0.081, pairs_needed=55),
            "inconclusive: the time of optimized against baseline differs by +4 %, 95 % interval −4 to +14 % (30 pairs on 8 clips); "
            "a difference of 8.1 % would have been found; about 25 more pairs needed; "
            "mAP@0.5 not worse: +0.3 points, bound −0.9 (few: 5 clips).",
            3,
        ),
        (
            record("inconclusive", effect(1.031, 1.02, 1.04, 30), BAD),
            "inconclusive: the time of optimized against baseline differs by +3.1 %, 95 % interval +2.0 to +4.0 % "
            "(30 pairs on 8 clips); no sensible number of pairs decides whether it counts (±3 %); "
            "mAP@0.5 worse: −31.0 points, at best −22.0, margin −0.8.",
            1,
        ),
        (
            record("inconclusive", effect(0.25, 0.0, inf, 1), None, clips=1, pairs_needed=10),
            "inconclusive: too few pairs to tell optimized from baseline, on this clip only (1 pair on one clip); "
            "about 9 more pairs needed; quality was not judged.",
            3,
        ),
        (
            record("slower", effect(26.4, 25.2, 27.9), Quality(verdict="underpowered", reason="one clip only", clips=1)),
            "optimized is at least 25× slower than baseline (26×, 95 % interval 25–28, 12 pairs on 8 clips); "
            "quality underpowered: one clip only (few: 1 clip).",
            1,
        ),
    ],
    ids=["faster", "slower", "faster-worse", "equivalent", "inconclusive", "at-delta", "too-few", "much-slower"],
)  # fmt: skip
def test_the_sentence_and_the_exit_code(made: ComparisonRecord, said: str, code: int) -> None:
    assert sentence(made, "mAP@0.5") == said
    assert exit_code(made) == code


def test_the_end_before_the_first_look_is_said() -> None:
    made = record("inconclusive", effect(0.25, 0.24, 0.26, 7), GOOD, pairs_needed=10)
    assert sentence(made).startswith("inconclusive: measuring ended before the first look, the time of optimized")
    assert "map50 not worse" in sentence(made)


def test_invalid_beats_everything() -> None:
    made = record("faster", FAST, GOOD).model_copy(
        update={"verdict": "invalid", "invalid": "arm b fell back to the CPU"}
    )
    assert (sentence(made), exit_code(made)) == ("invalid: arm b fell back to the CPU", 5)
    nothing = made.model_copy(update={"verdict": None, "invalid": "", "speed": None})
    assert (sentence(nothing), exit_code(nothing)) == ("nothing is decided: no pair was finished", 3)


def test_counts_out_of_bounds_are_the_reason_that_is_said() -> None:
    quality = GOOD.model_copy(
        update={"verdict": "worse", "reason": "finds 31 % of what a finds of 'person': out of bounds"}
    )
    made = record("faster", FAST, quality)
    assert sentence(made, "mAP").endswith(
        "mAP worse: +0.3 points, finds 31 % of what a finds of 'person': out of bounds (few: 5 clips)."
    )
    assert exit_code(made) == 1


@pytest.mark.parametrize("ratio", np.geomspace(0.02, 0.9, 13))
def test_rounding_never_flatters(ratio: float) -> None:
    low, high = 0.93 * ratio, 1.04 * ratio
    said = sentence(record("faster", effect(ratio, low, high)))
    figure = float(said.split("at least ")[1].split("×")[0].split(" %")[0])
    assert figure <= (1 / high if "×" in said else 100 * (1 - high)) + 1e-6


@pytest.mark.parametrize(
    ("errors_b", "verdict"),
    [
        ([0.20, 0.19, 0.21, 0.20, 0.18], "not worse"),  # less than A's
        ([0.40, 0.39, 0.41, 0.42, 0.40], "worse"),
        ([0.10, 0.60, 0.05, 0.50, 0.15], "underpowered"),
    ],
)
def test_another_metric_must_not_get_worse_and_less_of_it_may_be_better(errors_b: list[float], verdict: str) -> None:
    def both(errors: list[float]) -> QualityRecord:
        record = scored(SCORES_A)
        for clip, error in zip(names(5), errors, strict=True):
            record.per_clip[clip]["cer"] = error
        return record.model_copy(update={"also": {"cer": "less"}})

    quality = judge_quality(both([0.30, 0.31, 0.29, 0.32, 0.28]), both(errors_b), clips=names(5))
    assert (quality.of_metric, quality.also["cer"].verdict, quality.verdict) == ("not worse", verdict, verdict)
    assert quality.also["cer"].mean_a == pytest.approx(0.30)
    assert quality.also["cer"].low < quality.also["cer"].difference < quality.also["cer"].high


def test_who_rightly_finds_nothing_is_no_worse_than_who_invents_something() -> None:
    """On the third clip is nothing to find: B, which finds nothing, has no score there, and A has 0 for what it invented."""
    nothing = {"clip2/map50": "there is nothing to find, and nothing was found"}
    quality = judge_quality(scored([0.5, 0.6, 0.0]), scored([0.5, 0.6, None], absent=nothing), clips=names(3))
    assert (quality.per_clip["clip2"].a, quality.per_clip["clip2"].b) == (0.0, 1.0)
    assert quality.difference == pytest.approx(1 / 3) and quality.verdict != "worse"
    assert quality.remarks == ["arm b rightly found nothing on clip2, where the other did: a score of 1"]
    other = judge_quality(scored([0.5, 0.6, None], absent=nothing), scored([0.5, 0.6, 0.0]), clips=names(3))
    assert other.difference == pytest.approx(-1 / 3) and "arm a" in other.remarks[0]
    with pytest.raises(InputError, match="arm b has no map50 on clip2"):
        judge_quality(
            scored([0.5, 0.6, 0.0]), scored([0.5, 0.6, None], absent={"clip2/map50": "no result"}), clips=names(3)
        )


def test_counts_out_of_bounds_are_left_to_a_metric_that_counts_all_on_clips_that_all_have_truth() -> None:
    """A invents words and scores little; B finds half as much, and is right. Without truth of one clip, or with a metric that misses
    misses, half as much is worse."""
    few, better = {"words": (100.0, 46.0)}, [0.9, 0.95, 0.9]
    a, b = (scored(scores, complete=True) for scores in ([0.5, 0.6, 0.5], better))
    quality = judge_quality(a, b, clips=names(3), counts=few)
    assert quality.verdict == "not worse" and "46 % of what a finds of 'words'" in quality.remarks[0]
    assert judge_quality(a, b, clips=names(4), counts=few).verdict == "worse"
    assert judge_quality(a, scored(better), clips=names(3), counts=few).verdict == "worse"
    assert judge_quality(b, a, clips=names(3), counts={"words": (46.0, 100.0)}).verdict == "worse"
