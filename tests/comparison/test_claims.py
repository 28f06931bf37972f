"""The ledger is read strictly, and every verdict follows from a comparison that counts."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelbench.comparison.claims.check import Checked, Compare, check, exit_code, judge
from reelbench.comparison.claims.gpu_report import GpuReport
from reelbench.comparison.claims.ledger import Ledger, SpeedClaim, find_ledger, load_ledger
from reelbench.comparison.claims.measured import Comparisons, Here, SpeedUp, code_of, together
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.records import ComparisonRecord
from reelbench.errors import AnalyzerError, ConfigError, OutputError
from reelbench.report.claims_table import RATIO_ONLY, cells, lines_below, markdown, verdict_words
from support.comparisons import make_comparison, write_comparison
from support.runs import make_environment

HERE = Here(str(make_environment()["fingerprint"]), code_of(make_environment()), "Fixture CPU")
CLAIM: dict[str, Any] = {
    "id": "detector", "analyzer": "object_detection", "before": 50.3, "after": 25.0, "speed_up": 2.0, "unit": "s",
}  # fmt: skip


def ledger(tmp_path: Path, *claims: dict[str, Any], **more: Any) -> Ledger:
    file = tmp_path / "ledger.yaml"
    file.write_text(yaml.safe_dump({"title": "T", "source": "S", "claims": list(claims or (CLAIM,)), **more}))
    return load_ledger(file)


def rows_of(stated: Ledger, runs: Path, compare: Compare | None = None) -> list[Checked]:
    return check(stated, lambda: Comparisons(("demo",), HERE).read(runs), compare)


def measured(runs: Path, name: str = "one", **how: Any) -> ComparisonRecord:
    """A comparison of the fixtures, altered by ``how`` where that is a field of the record."""
    fields = {key: how.pop(key) for key in list(how) if key in ComparisonRecord.model_fields and key in ALTERED}
    folder = make_comparison(runs / "comparisons", name=name, **how)
    record = read_comparison(folder).model_copy(update=fields)
    write_comparison(folder, record)
    return record


ALTERED = ("fingerprint", "created", "design", "a")


def speed_up(low: float, high: float) -> SpeedUp:
    return SpeedUp((low + min(high, 99)) / 2, low, high, 0.95, 12)


# The ledger.


def test_the_shipped_ledger_is_the_original_s(tmp_path: Path) -> None:
    stated = load_ledger(find_ledger("original"))
    said = {claim.id: claim.model_dump(mode="json") for claim in stated.claims}
    assert {name: (one["before"], one["after"], one["speed_up"]) for name, one in said.items() if name != "disk"} == {
        "qwen2_vl_temporal": ("110.0", "60.0", "1.8"),
        "object_detection": ("50.3", "25.0", "2.0"),
        "text_overlay": ("37.1", "25.0", "1.5"),
        "speech_rate": ("14.1", "10.0", "1.4"),
        "the four together": ("211.5", "120.0", "1.8"),
    }
    assert (said["disk"]["freed"], said["disk"]["unit"]) == ("69", "GB")
    assert "31.2 s" in said["speech_rate"]["note"]
    assert not any(claim.contradiction for claim in stated.claims if isinstance(claim, SpeedClaim))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speedup": 2.0}, "claim 'detector': speedup: Extra inputs are not permitted"),
        ({"after": None}, "claim 'detector': after: "),
        ({"after": 0}, "claim 'detector': after: Input should be greater than 0"),
        ({"before": float("inf")}, "claim 'detector': before: "),
        ({"unit": "h"}, "claim 'detector': unit is 's'"),
        ({"unit": "GB"}, "claim 'detector': freed: Field required"),
        ({"analyzers": ["text_overlay", "speech_rate"]}, "name either one 'analyzer' or several 'analyzers'"),
        ({"analyzer": None}, "name either one 'analyzer' or several 'analyzers'"),
        ({"speed_up": 0.5}, "lies above 1"),
    ],
)
def test_a_wrong_claim_is_one_line_that_names_it(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ledger(tmp_path, CLAIM | change)
    assert said in caught.value.message and str(tmp_path / "ledger.yaml") in caught.value.message


def test_a_missing_field_an_id_twice_and_what_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="before: Field required"):
        ledger(tmp_path, {key: value for key, value in CLAIM.items() if key != "before"})
    with pytest.raises(ConfigError, match="'detector' stands twice"):
        ledger(tmp_path, CLAIM, CLAIM)
    for text in ("- 1", "", "claims: [", "title: a\ntitle: b\n", "title: a\nsource: b\nclaims: 3"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError):
            load_ledger(tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match=r"no ledger 'orignal'.*original"):
        find_ledger("orignal")
    with pytest.raises(ConfigError, match="no such ledger"):
        find_ledger(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("before", "after", "said", "contradicts"),
    [(37.1, 25.0, 1.5, ""), (37.1, 25.0, 1.6, "37.1/25.0 is 1.48, not 1.6"), (3, 2, 1.9, ""), (30, 20, 1.9, "is 1.50")],
)
def test_a_claim_contradicts_itself_only_beyond_rounding(
    tmp_path: Path, before: float, after: float, said: float, contradicts: str
) -> None:
    stated = ledger(tmp_path, CLAIM | {"before": before, "after": after, "speed_up": said})
    (row,) = rows_of(stated, tmp_path / "runs")
    noted = [note for note in row.notes if "contradicts itself" in note]
    assert bool(noted) == bool(contradicts) and all(contradicts in note for note in noted)


# Verdicts.


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (3.9, 4.6, "exceeded"),
        (1.9, 2.4, "confirmed"),
        (1.5, 1.96, "confirmed"),  # 1.96 rounds to 2.0
        (2.04, 2.2, "confirmed"),
        (2.06, 2.2, "exceeded"),
        (1.5, 1.94, "not reached"),
        (0.9, 1.3, "not reached"),
        (0.7, 0.95, "opposite"),
        (0.9, 2.3, "cannot be measured here"),
        (0.0, inf, "cannot be measured here"),
    ],
)
def test_the_interval_decides(low: float, high: float, verdict: str) -> None:
    got, reason = judge(SpeedClaim.model_validate(CLAIM | {"speed_up": "2.0"}), speed_up(low, high))
    assert got == verdict
    assert ("inconclusive" in reason) == (verdict == "cannot be measured here")


@pytest.mark.parametrize(
    ("ratio", "spread", "quality", "verdict", "code"),
    [
        (0.25, 0.02, "not worse", "exceeded", 0),
        (0.50, 0.02, "not worse", "confirmed", 0),
        (0.50, 0.02, "underpowered", "confirmed", 0),
        (0.80, 0.02, "not worse", "not reached", 1),
        (1.30, 0.02, "not worse", "opposite", 1),
        (0.25, 0.02, "worse", "exceeded, but quality is worse", 1),
        (0.80, 0.02, "worse", "not reached, and quality is worse", 1),
        (0.75, 1.50, "not worse", "cannot be measured here", 3),
        (0.75, 1.50, "worse", "cannot be measured here, but quality is worse", 1),
    ],
)
def test_a_comparison_becomes_a_verdict_and_an_exit_code(
    tmp_path: Path, ratio: float, spread: float, quality: Any, verdict: str, code: int
) -> None:
    record = measured(tmp_path, ratio=ratio, spread=spread, quality=quality)
    rows = rows_of(ledger(tmp_path), tmp_path)
    assert (verdict_words(rows[0]), exit_code(rows)) == (verdict, code)
    assert record.speed and rows[0].measured == pytest.approx(1 / record.speed.effect.ratio)
    assert rows[0].low == pytest.approx(1 / record.speed.effect.high)
    assert (rows[0].pairs, rows[0].quality) == (record.speed.effect.pairs, quality)
    assert rows[0].comparisons == [("one", record.created)]


@pytest.mark.parametrize(
    "how",
    [
        {"fingerprint": "another"},
        {"invalid": "the worker died"},
        {"status": "interrupted"},
        {"corpus": "folder"},
        {"b": "openvino_int8"},
        {"design": "separate runs"},
    ],
)
def test_what_does_not_count_is_passed_over(tmp_path: Path, how: dict[str, Any]) -> None:
    measured(tmp_path, "newer", created="2026-03-02T12:00:00+00:00", ratio=0.25, **how)
    rows = rows_of(ledger(tmp_path), tmp_path)
    assert rows[0].verdict == "cannot be measured here" and rows[0].measured is None and exit_code(rows) == 3
    said = rows[0].reason
    assert "the worker died" in said if "invalid" in how else "no comparison yet" in said and "reelbench ab" in said
    assert ("only on another machine" in said) == ("fingerprint" in how)

    measured(tmp_path, "older", ratio=0.5)
    (row,) = rows_of(ledger(tmp_path), tmp_path)
    assert (row.verdict, row.comparisons[0][0]) == ("confirmed", "older")
    assert any("the worker died" in note for note in row.notes) == ("invalid" in how)


def test_an_arm_with_other_settings_is_not_the_variant(tmp_path: Path) -> None:
    record = measured(tmp_path, ratio=0.5)
    for setting, counts in (("measure=quick", True), ("analyzer.batch=8", False), ("+media.decode.threads=2", False)):
        arm = record.b.model_copy(update={"overrides": ["analyzer=object_detection", setting]})
        write_comparison(tmp_path / "comparisons" / "one", record.model_copy(update={"b": arm}))
        (row,) = rows_of(ledger(tmp_path), tmp_path)
        assert (row.verdict == "confirmed") == counts, setting


def test_the_newest_counts_other_code_is_said_and_damage_is_named(tmp_path: Path) -> None:
    measured(tmp_path, "first", ratio=0.8)
    measured(tmp_path, "second", ratio=0.5, created="2026-03-02T12:00:00+00:00")
    file = tmp_path / "comparisons" / "second" / "environment.json"
    file.write_text(json.dumps(make_environment() | {"code": {"commit": "f" * 40, "change": "e" * 16}}))
    (tmp_path / "comparisons" / "broken").mkdir()
    (tmp_path / "comparisons" / "broken" / "comparison.json").write_text("{")
    known = Comparisons(("demo",), HERE)
    (row,) = check(ledger(tmp_path), lambda: known.read(tmp_path))
    assert row.verdict == "confirmed"
    assert any("measured with other code: 0.0-fixture fffffff with changes eeeeee" in note for note in row.notes)
    assert any("comparison second: no manifest" in note for note in row.notes)
    assert len(known.damaged) == 1 and "broken" in known.damaged[0]


def test_what_does_not_exist_or_cannot_run_says_so(tmp_path: Path) -> None:
    claims = [
        CLAIM | {"id": "unborn", "analyzer": "telepathy"},
        CLAIM | {"id": "unknown", "b": "warp"},
        {"id": "disk", "freed": 69, "unit": "GB"},
    ]
    unborn, unknown, disk = rows_of(ledger(tmp_path, *claims), tmp_path)
    assert unborn.reason == "the analyzer telepathy does not exist yet"
    assert "has no variant 'warp'" in unknown.reason
    assert "reelbench models prune" in disk.reason and disk.claimed == "69 GB freed"


# Several analyzers together.

FOUR = {**CLAIM, "id": "both", "analyzer": None, "analyzers": ["object_detection", "no_such_analyzer"]}


def test_several_together_are_the_sums_of_their_corpus_times(tmp_path: Path) -> None:
    (row,) = rows_of(ledger(tmp_path, FOUR), tmp_path)
    assert row.reason == "1 of 2 analyzers does not exist yet"

    first = measured(tmp_path, "first", ratio=0.5, pass_s=3.0, spread=0.001)
    second = measured(
        tmp_path, "second", analyzer="no_such_analyzer", ratio=0.25, pass_s=1.0, spread=0.001, quality="worse"
    )
    (row,) = rows_of(ledger(tmp_path, FOUR), tmp_path)
    assert row.measured == pytest.approx((3 + 1) / (1.5 + 0.25), rel=0.01)
    assert row.low and row.high and row.low < row.measured < row.high
    assert (verdict_words(row), row.pairs) == ("exceeded, but quality is worse", 20)
    assert [name for name, _ in row.comparisons] == ["first", "second"]

    known = Comparisons(("demo",), HERE).read(tmp_path)
    alone = known.newest("object_detection", "baseline", "optimized")
    assert not isinstance(alone, tuple) and together([alone, alone]).point == pytest.approx(alone.speed_up.point)
    assert first.id != second.id


def test_several_on_different_clips_are_not_added_up(tmp_path: Path) -> None:
    measured(tmp_path, "first", clips=("a", "b"))
    measured(tmp_path, "second", analyzer="no_such_analyzer", clips=("c", "d"))
    (row,) = rows_of(ledger(tmp_path, FOUR), tmp_path)
    assert row.verdict == "cannot be measured here" and "different clips" in row.reason


# Measuring first.


def test_measuring_compares_each_pair_once_and_leaves_out_what_cannot_run(tmp_path: Path) -> None:
    asked: list[tuple[str, str, str]] = []

    def compare(analyzer: str, a: str, b: str) -> ComparisonRecord:
        asked.append((analyzer, a, b))
        return measured(tmp_path, f"made-{len(asked)}", ratio=0.5)

    (detector, both) = rows_of(ledger(tmp_path, CLAIM, FOUR), tmp_path, compare)
    assert asked == [("object_detection", "baseline", "optimized")]
    assert (detector.verdict, both.verdict) == ("confirmed", "cannot be measured here")


def test_a_failed_measurement_is_the_reason_even_where_an_old_one_exists(tmp_path: Path) -> None:
    measured(tmp_path, "old", ratio=0.5)

    def dies(*_: str) -> ComparisonRecord:
        raise AnalyzerError("the worker was killed")

    (row,) = rows_of(ledger(tmp_path), tmp_path, dies)
    assert row.verdict == "cannot be measured here" and "the worker was killed" in row.reason
    (row,) = rows_of(ledger(tmp_path), tmp_path, lambda *_: measured(tmp_path, "new", invalid="it fell back"))
    assert row.verdict == "cannot be measured here" and "it fell back" in row.reason

    def full(*_: str) -> ComparisonRecord:
        raise OutputError("the disk is full")

    with pytest.raises(OutputError):
        rows_of(ledger(tmp_path), tmp_path, full)


# The table.


def test_the_table_says_what_it_rests_on_and_what_cannot_be_checked(tmp_path: Path) -> None:
    measured(tmp_path, ratio=0.25, quality="worse")
    stated = ledger(tmp_path, CLAIM | {"note": "its own | log"}, {"id": "disk", "freed": 69, "unit": "GB"})
    rows = rows_of(stated, tmp_path)
    name, claimed, figure, pairs, quality, verdict = cells(rows[0])
    assert (name, claimed, pairs, quality) == ("detector", "50.3 → 25.0 s, 2.0×", str(rows[0].pairs), "worse")
    assert figure.startswith(f"{rows[0].measured:.2f}× (") and verdict == "exceeded, but quality is worse"
    below = lines_below(rows)
    assert any("baseline → optimized, comparison one of 2026-03-01 12:00 UTC, 95 % interval" in line for line in below)
    page = markdown(stated, rows, HERE.machine)
    assert RATIO_ONLY in page and "Fixture CPU" in page and "its own \\| log" in page
    widths = {line.replace("\\|", "").count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {7}


# Reports of GPUs.

NARRATOR = CLAIM | {"id": "narrator", "analyzer": "qwen2_vl_temporal", "speed_up": 1.8}


def gpu_report(tmp_path: Path, seconds: list[float], **more: Any) -> GpuReport:
    """A report whose baseline takes about 2 s a pass and whose optimized arm takes ``seconds``."""

    def row(whole: list[float], around: list[float]) -> dict[str, Any]:
        samples = {"encode": [0.0] * len(whole), "all_tokens": whole, "baseline_around": around}
        return {"status": "measured", "samples_s": samples, "contradiction": ""}

    base = [2.0, 2.02, 1.98]
    rows = {"baseline": row(base, base), "optimized": row(seconds, [2.01, 1.99]) | more}
    file = tmp_path / "gpu-made.json"
    about = {"gpu": "Made GPU", "packages": {"torch": "2", "transformers": "5"}}
    keyed = {f"qwen2_vl_temporal 2b | {name}": found for name, found in rows.items()}
    file.write_text(json.dumps({"schema_version": 2, "environment": about, "rows": keyed}))
    return GpuReport(file)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [([0.5, 0.51, 0.49], "exceeded"), ([1.9, 1.91, 1.89], "not reached"), ([4.0, 4.1, 3.9], "opposite")],
    ids=["faster", "hardly", "slower"],
)
def test_a_gpu_report_is_a_measurement_of_speed_only(tmp_path: Path, seconds: list[float], verdict: str) -> None:
    report = gpu_report(tmp_path, seconds)
    known = Comparisons(("demo",), HERE)
    (row,) = check(ledger(tmp_path, NARRATOR), lambda: known.read(tmp_path), None, [report])
    assert (row.verdict, row.quality) == (verdict, "not judged")
    assert row.measured == pytest.approx(2 / seconds[0], rel=0.01)
    assert row.low is not None and row.high is not None and row.low < row.measured < row.high
    assert any("on Made GPU, random weights: speed only" in note for note in row.notes)


def test_one_pass_on_a_gpu_gives_no_verdict_and_a_wrong_arm_no_figure(tmp_path: Path) -> None:
    known = Comparisons(("demo",), HERE)
    stated = ledger(tmp_path, NARRATOR)
    (once,) = check(stated, lambda: known, None, [gpu_report(tmp_path, [0.5])])
    assert once.verdict == "cannot be measured here" and "too few for an interval" in once.reason
    wrong = gpu_report(tmp_path, [0.5, 0.5], contradiction="asked for precision bf16, it was fp32")
    (row,) = check(stated, lambda: known, None, [wrong])
    assert row.measured is None and "asked for precision bf16, it was fp32" in row.reason


def test_a_rehearsal_and_other_files_are_no_gpu_report(tmp_path: Path) -> None:
    file = tmp_path / "not-a-gpu.json"
    file.write_text(json.dumps({"schema_version": 2, "environment": {"cpu": "c"}, "rows": {}}))
    with pytest.raises(ConfigError, match="a rehearsal on a CPU"):
        GpuReport(file)
    file.write_text("[]")
    with pytest.raises(ConfigError, match="not a GPU report"):
        GpuReport(file)
