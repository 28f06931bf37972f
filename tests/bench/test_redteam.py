"""Cheats and honest mistakes, through a real run and a real comparison: each is invalid, and honest variants are not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.run_folder import RunFolder
from reelbench.bench.runner import measure
from reelbench.comparison.ab import compare
from reelbench.comparison.records import ComparisonRecord
from reelbench.config import validate
from support.clips import make_clip, smooth
from support.run_configs import Told, run_node

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, frames in (("a.mp4", 20), ("b.mp4", 22)):
        make_clip(folder / name, frames=frames, picture=smooth(160, 96), audio_s=frames / 30)
        (folder / name).with_suffix(".truth.json").write_text(json.dumps({"objects": []}))
    (tmp_path / "memory").mkdir()
    return folder


def run(clips: Path, cheat: str, passes: int = 3, **more: Any) -> RunFolder:
    node: Mapping[str, Any] = {
        "_target_": f"support.cheats.{cheat}", "name": "brightness", "memory": str(clips.parent / "memory"), **more
    }  # fmt: skip
    made = run_node(node, clips, clips.parent / "runs", passes=passes, quality="support.metrics.RightLabels")
    return measure(validate(made, "plain"), [], "test", Told())


def ab(clips: Path, b: str) -> ComparisonRecord:
    settings = [
        f"hydra.searchpath=['file://{CONF}']", "analyzer=honest", "corpus=folder", f"corpus.path={clips}", "measure=quick",
        "measure.pairs.looks=[6]", f"runs_dir={clips.parent / 'runs'}", "tracking.uri=off",
        f"analyzer.memory={clips.parent / 'memory'}",
    ]  # fmt: skip
    return compare(settings, "plain", f"plain analyzer._target_=support.cheats.{b}", "test", Told())[0].record


@pytest.mark.parametrize(
    ("cheat", "check", "words"),
    [
        ("SlowClock", "clock", "reported"),
        ("ClockAFifthSlow", "clock", "until the answer was there"),
        ("KnowsItsClips", "copy of a clip", "of which a copy encoded anew under another name has 0"),
        ("WorksWhenDropped", "clock", "until the answer was there"),
        ("WorksInTheBackground", "work after the answer", "nothing was asked"),
        ("RemembersByName", "copy of a clip", "remembered"),
        ("RemembersByContent", "copy of a clip", "remembered"),
        ("WorksOnce", "results of all passes", "2 different results"),
        ("Guesses", "results of all passes", "not deterministic"),
        ("ReadsNothing", "frames", "says it sampled 10 frames and was handed 0"),
        ("DisturbsWhenIdle", "work after the answer", "nothing was asked"),
    ],
)
def test_a_run_of_a_cheat_is_invalid_and_says_which_figures_disagree(
    clips: Path, cheat: str, check: str, words: str
) -> None:
    record = run(clips, cheat).record
    (failed,) = [one for one in record.observed if one.status == "failed" and one.name == check]
    assert words in failed.text and failed.text in record.invalid


@pytest.mark.parametrize("variant", ["Honest", "JumpsInTheLastDigit", "HiresOut"])
def test_an_honest_variant_is_valid(clips: Path, variant: str) -> None:
    folder = run(clips, variant)
    assert folder.record.invalid == ""
    statuses = {one.name: one.status for one in folder.record.observed}
    assert set(statuses.values()) == {"passed"} and len(statuses) == 8
    if variant == "HiresOut":
        assert all(row["cpu_s"] > 0.25 for row in folder.samples), "a child's processor time is the variant's"


@pytest.mark.parametrize("cheat", ["RemembersOnDisk", "RemembersByItsLooks"])
def test_what_an_earlier_run_remembered_does_not_count(clips: Path, cheat: str) -> None:
    run(clips, cheat, passes=1)
    if cheat == "RemembersByItsLooks":  # both clips look alike; what the first run's copies looked like is forgotten
        for known in sorted((clips.parent / "memory").iterdir(), key=lambda file: file.stat().st_ctime_ns)[1:]:
            known.unlink()
    record = run(clips, cheat, passes=1).record
    assert "copy of a clip" in record.invalid and "remembered" in record.invalid


def test_ground_truth_is_not_reachable_from_the_clip(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clips)
    folder = run(clips, "Peeks", passes=1)
    results = folder.read_results()
    assert set(results) == {"a.mp4", "b.mp4"}, "results carry the clips' own names"
    for name, result in results.items():
        (event,) = result.events
        assert event.attributes == {"found": 0, "beside": 1}
        # As a word of its own: a token of hexadecimal digits may well end with an a.
        assert not re.search(rf"\b{re.escape(name)}", str(event.text)) and str(clips) not in str(event.text)
    assert not list(folder.path.glob(".reelbench-clips-*"))


def test_each_pass_is_scored_where_an_analyzer_declares_that_it_is_not_deterministic(clips: Path) -> None:
    record = run(clips, "Guesses", passes=4, deterministic=False).record
    assert record.invalid == ""
    assert 0.0 < record.quality.overall["right"] < 1.0


@pytest.mark.parametrize(
    ("b", "words"),
    [
        ("RemembersByName", "arm b: copy of a clip"),
        ("DisturbsWhenIdle", "arm b: work after the answer"),
        ("WorksWhenDropped", "arm b: clock"),
        ("SlowsTheOtherDown", "arm a: scheduling: while nothing was asked of it its niceness became 19"),
        ("WorksUpstream +analyzer.upstream.brightness=pausing", "whole cost: arm a takes"),
    ],
)
def test_a_comparison_with_a_cheat_is_invalid(clips: Path, b: str, words: str) -> None:
    record = ab(clips, b)
    assert record.verdict == "invalid" and words in record.invalid


def test_a_comparison_of_honest_arms_is_valid(clips: Path) -> None:
    record = ab(clips, "JumpsInTheLastDigit")
    assert record.verdict != "invalid", record.invalid
    watched = {(audit.arm, audit.name) for audit in record.audits if audit.status == "passed"}
    assert {("a", "clock"), ("b", "idle arm"), ("b", "copy of a clip"), ("a", "frames")} <= watched
