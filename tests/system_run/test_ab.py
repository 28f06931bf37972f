"""System against system: B really twice as fast, an analyzer really worse, one that failed; Holm; resuming; the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.bench.progress import Silent
from reelbench.bench.setup import Clips, open_clips
from reelbench.cli import main
from reelbench.comparison.records import AlsoJudged, Quality
from reelbench.errors import ConfigError, UnavailableError
from reelbench.models.store import ModelStore
from reelbench.report.system_ab_page import write_system_ab_page
from reelbench.report.system_ab_terminal import lines, print_system_comparison, why_lines
from reelbench.system.ab.arms import check_alike, read_arm
from reelbench.system.ab.folder import SystemComparisonFolder, read_system_comparison
from reelbench.system.ab.quality import _one_sided, holm
from reelbench.system.ab.records import Judged
from reelbench.system.ab.run import carry_out_both
from reelbench.system.ab.words import exit_code, sentence
from support.clips import make_clip
from support.made_systems import Imagined, arm

from .scenario import same_code

Analyzers = dict[str, dict[str, Any]]
COSTS: Analyzers = {"eye": {"cost_s": 0.3}, "ear": {"cost_s": 0.1}}
HALF: Analyzers = {"eye": {"cost_s": 0.15}, "ear": {"cost_s": 0.05}}
CLIPS = [f"{letter}.mp4" for letter in "abcdef"]
WORSE = {clip: 0.6 + 0.01 * at for at, clip in enumerate(CLIPS)}


@pytest.fixture(autouse=True)
def _same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("system.setup", "system.ab.run", "bench.environment"):
        monkeypatch.setattr(f"reelbench.{module}.environment", same_code)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips with ground truth of which nothing is said."""
    folder = tmp_path_factory.mktemp("six")
    make_clip(folder / CLIPS[0], frames=6)
    for name in CLIPS:
        (folder / name).write_bytes((folder / CLIPS[0]).read_bytes())
        (folder / name).with_suffix(".truth.json").write_text('{"version": 1}')
    return folder


def compare(
    clips: Path, runs: Path, a: Analyzers, b: Analyzers, *, resume: bool = False, pairs: int | None = None
) -> SystemComparisonFolder:
    arms = arm("a", clips, runs, a), arm("b", clips, runs, b)
    return carry_out_both(arms, "reelbench ab system", Silent(), resume=resume, most_pairs=pairs)


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> Imagined:
    made = Imagined()
    monkeypatch.setattr("reelbench.system.runner.execute", made)
    monkeypatch.setattr("os.fsync", lambda handle: None)  # thousands of them, and nothing here survives the test
    monkeypatch.setattr("reelbench.system.setup.open_clips", lambda config, *_: opened(str(config.corpus["path"])))
    return made


@cache
def opened(folder: str) -> Clips:
    """The clips of a folder, looked at once."""
    config = arm("a", Path(folder), Path(folder), COSTS).composed.base
    return open_clips(config, (), ModelStore(), Silent())


def test_real_runs_of_a_system_that_is_faster(six: Path, tmp_path: Path) -> None:
    """Two pairs of real processes: faster, which two pairs do not decide; quality by the real results."""
    a, b = {"eye": {"cost_s": 1.0}}, {"eye": {"cost_s": 0.1}}
    folder = compare(six, tmp_path, a, b, pairs=2)
    found = folder.record
    assert found.speed is not None and found.speed.effect.ratio < 0.9
    assert found.verdict == "inconclusive" and found.exit_code == 3 and "too few pairs" in found.sentence
    assert sorted(pair.order for pair in found.pairs) == ["AB", "BA"], "which arm is first is not balanced"
    assert found.analyzers["eye"].verdict == "not worse" and found.analyzers["eye"].quality.identical_clips == 6
    assert len(list(folder.path.glob("[ab]/system/*/results/*/eye.json"))) == 4 * 6


def test_twice_as_fast_is_decided_and_not_worse(six: Path, tmp_path: Path, imagined: Imagined) -> None:
    found = compare(six, tmp_path, COSTS, HALF).record
    assert (found.verdict, found.quality, found.exit_code) == ("faster", "not worse", 0)
    assert len(found.pairs) == 7 and imagined.runs == 14, "it goes on after it is decided"
    assert found.speed is not None and found.speed.effect.high < 0.55 and found.speed.effect.low > 0.45
    assert (
        found.sentence.startswith("optimized is at least 1.") and "7 pairs of whole runs over 6 clips" in found.sentence
    )


def test_the_same_twice_is_equivalent_and_the_slower_is_slower(six: Path, tmp_path: Path, imagined: Imagined) -> None:
    assert compare(six, tmp_path / "same", COSTS, COSTS).record.verdict == "equivalent"
    slower = compare(six, tmp_path / "slower", HALF, COSTS).record
    assert slower.verdict == "slower" and slower.exit_code == 1


def test_one_analyzer_that_is_worse_is_found_though_all_is_faster(
    six: Path, tmp_path: Path, imagined: Imagined
) -> None:
    folder = compare(six, tmp_path, COSTS, {**HALF, "ear": {"cost_s": 0.05, "scores": WORSE}})
    found = folder.record
    assert (found.verdict, found.quality, found.exit_code) == ("faster", "worse", 1)
    assert found.analyzers["eye"].verdict == "not worse" and found.analyzers["ear"].verdict == "worse"
    assert "worse in 1: ear (−17.5 points)" in found.sentence
    page = write_system_ab_page(folder.path).read_text()
    assert "faster, but" in page and page.index("✕</span> worse") < page.index("✓</span> not worse"), (
        "the worst comes first"
    )


def test_a_fall_that_is_within_chance_among_many_is_not_called_worse(
    six: Path, tmp_path: Path, imagined: Imagined
) -> None:
    """Alone 'worse' at 5 %; beside ten others that might have been, not (Holm)."""
    spread = {clip: 0.8 + change for clip, change in zip(CLIPS, (-0.10, -0.02, -0.09, 0.02, -0.07, -0.05), strict=True)}
    noisy = {clip: 0.8 + change for clip, change in zip(CLIPS, (0.1, -0.1, 0.05, -0.05, 0.08, -0.08), strict=True)}
    others = {f"other{at}": {"cost_s": 0.05} for at in range(10)}
    a = {"ear": {"cost_s": 0.1}, **others}
    b = {"ear": {"cost_s": 0.05, "scores": spread}, **{name: {**one, "scores": noisy} for name, one in others.items()}}
    alone = compare(six, tmp_path / "alone", {"ear": a["ear"]}, {"ear": b["ear"]}, pairs=1).record.analyzers["ear"]
    among = compare(six, tmp_path / "among", a, b, pairs=1).record.analyzers["ear"]
    assert alone.verdict == "worse" and among.quality.verdict == "worse" and among.verdict == "underpowered"
    assert among.p_worse is not None and alone.p_worse is not None and among.p_worse > 0.05 > alone.p_worse


def test_whoever_finds_nothing_where_nothing_is_does_not_lose_to_who_invents(
    six: Path, tmp_path: Path, imagined: Imagined
) -> None:
    a, b = ({"eye": {"cost_s": 0.1, "scores": {CLIPS[0]: score}}} for score in (0.0, 1.0))
    for first, second, difference in ((a, b, 1 / 6), (b, a, -1 / 6)):
        found = compare(six, tmp_path / str(difference > 0), first, second, pairs=1).record
        assert found.verdict != "invalid" and "rightly found nothing on a.mp4" in found.notes[0]
        assert found.analyzers["eye"].quality.difference == pytest.approx(difference)


def test_an_analyzer_that_failed_makes_it_invalid(six: Path, tmp_path: Path, imagined: Imagined) -> None:
    folder = compare(six, tmp_path, COSTS, {**HALF, "eye": {"cost_s": 0.1, "fault": True}})
    found = folder.record
    assert (found.verdict, found.exit_code, found.status) == ("invalid", 5, "failed")
    assert "arm b (optimized): eye failed on a.mp4: told to fail" in found.sentence
    assert "INVALID" in write_system_ab_page(folder.path).read_text()


def test_what_fails_in_both_arms_is_named_and_the_rest_is_compared(
    six: Path, tmp_path: Path, imagined: Imagined
) -> None:
    broken = {"cost_s": 0.1, "fault": True}
    found = compare(six, tmp_path, {**COSTS, "eye": broken}, {**HALF, "eye": broken}, pairs=1).record
    assert found.status == "finished" and found.verdict != "invalid" and len(found.pairs) == 1
    assert "in both arms: eye failed on a.mp4: told to fail" in found.notes
    assert (
        found.analyzers["ear"].quality.clips
        and exit_code(found.model_copy(update={"verdict": "faster", "quality": "not worse"})) == 5
    )


def test_a_comparison_that_was_cut_off_goes_on_with_whole_pairs(
    six: Path, tmp_path: Path, imagined: Imagined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbench.system.runner.execute", Imagined(interrupt_at=6))
    with pytest.raises(KeyboardInterrupt):
        compare(six, tmp_path, COSTS, HALF)
    (path,) = (tmp_path / "system_comparisons").iterdir()
    cut = read_system_comparison(path)
    assert cut.status == "interrupted" and len(cut.pairs) == 2 and len(cut.runs) == 5
    assert any("--resume" in line for line in lines(cut))
    (path / ".lock").unlink()  # this process still holds it: another would find it free
    rest = Imagined()
    monkeypatch.setattr("reelbench.system.runner.execute", rest)
    found = compare(six, tmp_path, COSTS, HALF, resume=True).record
    assert found.id == cut.id and found.verdict == "faster" and rest.runs == 10
    assert [run.pair for run in found.runs] == [n for n in range(7) for _ in "ab"]
    assert found.pairs[:2] == cut.pairs
    with pytest.raises(ConfigError, match="no interrupted comparison"):
        compare(six, tmp_path, COSTS, HALF, resume=True)


def test_more_pairs_can_be_added_to_few(six: Path, tmp_path: Path, imagined: Imagined) -> None:
    few = compare(six, tmp_path, COSTS, HALF, pairs=2)
    assert few.record.ended_early and few.record.verdict == "inconclusive"
    (few.path / ".lock").unlink()  # as above
    more = compare(six, tmp_path, COSTS, HALF, resume=True).record
    assert more.id == few.record.id and more.verdict == "faster" and imagined.runs == 14 and not more.ended_early


def test_what_neither_can_run_is_left_out_and_what_one_cannot_is_refused(
    six: Path, tmp_path: Path, imagined: Imagined
) -> None:
    gone = {"cost_s": 0.1, "reason": "no torch"}
    found = compare(six, tmp_path, {**COSTS, "gone": gone}, {**HALF, "gone": gone}, pairs=1).record
    assert found.left_out == {"gone": "no torch"} and sorted(found.analyzers) == ["ear", "eye"]
    with pytest.raises(UnavailableError, match=r"arm a .* cannot run gone here: no torch"):
        compare(six, tmp_path, {**COSTS, "gone": gone}, {**HALF, "gone": {"cost_s": 0.1}})


def test_arms_that_do_other_work_are_refused(six: Path, tmp_path: Path) -> None:
    a = arm("a", six, tmp_path, COSTS).composed
    with pytest.raises(ConfigError, match="only one arm runs ear"):
        check_alike(a, arm("b", six, tmp_path, {"eye": {}}).composed)
    with pytest.raises(ConfigError, match="the arms differ in seed"):
        check_alike(a, arm("b", six, tmp_path, COSTS, seed=1).composed)


def test_arms_by_name_with_settings_of_their_own(tmp_path: Path) -> None:
    common = ["system.analyzers=[color_analysis]", "corpus=shipped"]
    a, b = read_arm("a", "original system.retries=0", common), read_arm("b", "optimized", common)
    assert (a.composed.system.name, a.composed.plan.name) == ("baseline", "original")
    assert (b.composed.system.name, b.composed.plan.name) == ("default", "auto")
    assert a.composed.system.retries == 0 and a.label == "original system.retries=0"
    assert (
        a.composed.base.measure.pairs.looks == (7, 9, 12)
        and a.composed.analyzers["color_analysis"].variant == "baseline"
    )
    mine = tmp_path / "arm" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_text("settings: [plan=sequential]")
    assert read_arm("b", "mine", common, tmp_path).composed.plan.name == "sequential"
    assert read_arm("b", "plan=original", common).label == "plan=original"
    with pytest.raises(ConfigError, match="no arm 'nobody'"):
        read_arm("a", "nobody", common)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=25))
def test_holm_is_monotone_and_never_beyond_bonferroni(p_values: dict[str, float]) -> None:
    adjusted = holm(p_values)
    for name, p in p_values.items():
        assert p <= adjusted[name] <= min(1.0, p * len(p_values)) + 1e-12
    ordered = sorted(p_values, key=lambda name: p_values[name])
    assert [adjusted[name] for name in ordered] == sorted(adjusted.values())


def test_p_values_by_hand() -> None:
    """t = (0.02 + 0.01) · √3 / 0.01 with 2 degrees of freedom; without spread it is certain, and the margin itself is not worse."""
    not_worse, worse = _one_sided([0.01, 0.02, 0.03], 0.01)
    assert not_worse == pytest.approx(0.0175, abs=1e-4) and not_worse + worse == pytest.approx(1)
    assert _one_sided([-0.01, -0.01], 0.01) == (0.0, 1.0) and _one_sided([-0.02, -0.02], 0.01) == (1.0, 0.0)
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_hostile_names_do_no_harm(six: Path, tmp_path: Path, imagined: Imagined) -> None:
    folder = compare(six, tmp_path, COSTS, HALF, pairs=1)
    folder.record.b.label = "<script>alert(1)</script>\x1b[31m"
    folder.record.sentence = sentence(folder.record)
    folder.save()
    page = write_system_ab_page(folder.path).read_text()
    assert "<script>alert" not in page and "\x1b" not in page


def test_the_command_needs_both_arms(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["ab", "system", "a=original"], ["ab", "a=baseline", "b=optimized", "--pairs", "2"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
    assert "b=VARIANT is missing" in (said := capsys.readouterr().err) and "--pairs is of 'ab system'" in said


def test_the_terminal_says_what_the_page_says(
    six: Path, tmp_path: Path, imagined: Imagined, capsys: pytest.CaptureFixture[str]
) -> None:
    print_system_comparison(compare(six, tmp_path, COSTS, HALF).record, "page.html")
    said = " ".join(capsys.readouterr().out.split())
    assert "FASTER, quality NOT WORSE (exit 0: passes)" in said and "goodness" in said and "page.html" in said


def test_a_verdict_that_rests_on_another_metric_says_on_which(six: Path, tmp_path: Path, imagined: Imagined) -> None:
    record = compare(six, tmp_path, {"ear": {"cost_s": 0.05}}, {"ear": {"cost_s": 0.05}}, pairs=1).record
    others = {
        name: AlsoJudged(
            verdict=verdict, better="less", clips=3, mean_a=0.1, mean_b=0.1, difference=0.0, margin=0.0, low=-1, high=1
        )
        for name, verdict in (("cer", "underpowered"), ("delay", "not worse"))
    }
    quality = Quality(verdict="underpowered", of_metric="not worse", also=others)
    judged = Judged(name="ear", variant_a="a", variant_b="b", quality=quality, verdict="underpowered")
    found = why_lines(record.model_copy(update={"analyzers": {"ear": judged}}))
    assert found == ["underpowered: not the metric itself, but cer, which must not get worse either (ear)"]
