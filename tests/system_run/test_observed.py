"""What the parent sees of the workers of a system run: each kind of cheat is invalid with both figures, honest analyzers are not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from reelbench.bench.progress import Silent
from reelbench.report.system_page import write_system_page
from reelbench.report.system_terminal import print_system, reasons
from reelbench.system.copy_check import clip_s, drawn
from reelbench.system.folder import SystemFolder
from reelbench.system.observed import judge, used_cpu_s
from reelbench.system.recompute import system_figures
from reelbench.system.records import CopyCheck, CopySeen, SystemRecord
from reelbench.system.runner import run_system
from support.clips import make_clip
from support.made_systems import arm, remember
from support.system_runs import make_system_run

MADE: dict[str, dict[str, Any]] = {
    "honest": {"sees": True},
    "child": {"cheat": "child"},
    "clock": {"cheat": "clock", "cost_s": 2.0},
    "idle": {"cheat": "idle"},
    "unread": {"cheat": "unread"},
    "half": {"cheat": "half", "sees": True},
    "device": {"cheat": "device"},
    "mute": {"cheat": "mute"},
    "peek": {"cheat": "peek"},
}
SAID = {
    "clock": r"clock: a pass reported \S+ s and took \S+ s until the answer was there",
    "idle": r"used \S+ CPU s while they had no task, beside \S+ CPU s in 2 tasks",
    "unread": r"frames: a\.mp4: says it sampled 6 frames and was handed 0",
    "half": r"a\.mp4: 6 frames were decoded for it, and it read 2",
    "device": r"asked for CUDA:0, ran on CPU",
    "mute": r"what executed could not be read back: RuntimeError: nobody knows",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SystemFolder:
    clips, runs = tmp_path_factory.mktemp("clips"), tmp_path_factory.mktemp("runs")
    for name in ("a", "b"):
        make_clip(clips / f"{name}.mp4", frames=12)
        (clips / f"{name}.truth.json").write_text('{"version": 1}')
    return run_system(arm("a", clips, runs, MADE).composed, "test", Silent())


def test_every_kind_of_cheat_is_invalid_and_nobody_else(run: SystemFolder) -> None:
    found = run.record.invalid
    assert found.keys() == SAID.keys(), found
    for name, words in SAID.items():
        assert re.search(words, found[name]), found[name]
    assert run.record.exit_code == 5


def test_what_child_processes_use_counts(run: SystemFolder) -> None:
    child, honest = run.record.analyzers["child"], run.record.analyzers["honest"]
    assert child.cpu_s is not None and child.cpu_s >= 2 * 0.35 and honest.cpu_s is not None and honest.cpu_s < 0.8


def test_evidence_and_reasons_are_shown(run: SystemFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.record.analyzers["honest"].evidence["engine"] == "made"
    assert "device: invalid: asked for CUDA:0, ran on CPU" in reasons(run.record)
    print_system(run.record)
    printed = " ".join(capsys.readouterr().out.split())
    assert "made CPU fp32" in printed and "invalid" in printed
    page = write_system_page(run.path).read_text()
    assert "no copy of a clip was looked at: system.check_copy=false" in printed and "no copy of a clip" in page
    assert 's-invalid">invalid<' in page and "Evidence of what executed" in page and "asked for CUDA:0" in page


def test_ground_truth_is_not_beside_what_an_analyzer_is_given(run: SystemFolder, tmp_path: Path) -> None:
    """Neither from the spool, where there is no path at all, nor where it decodes for itself."""
    from_spool = run.result(("a.mp4", "peek"))
    assert from_spool is not None
    assert re.fullmatch(r"saw 0 of 0 beside clip-\w+\.mp4", from_spool.events[0].label), from_spool
    clips = Path(run.record.clips[0].path).parent
    composed = arm("a", clips, tmp_path, {"peek": {"cheat": "peek", "sees": True}}).composed
    alone = replace(composed, plan=composed.plan.model_copy(update={"decode": "each"}))
    decoded = run_system(alone, "test", Silent())
    found = decoded.result(("a.mp4", "peek"))
    assert found is not None and re.fullmatch(r"saw 0 of 1 beside clip-\w+\.mp4", found.events[0].label), found
    assert decoded.record.invalid == {}, "six frames were read of six"


@pytest.mark.parametrize("decode", ["once", "each"])
def test_an_analyzer_learns_neither_name_nor_folder_of_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decode: Literal["once", "each"]
) -> None:
    clips = tmp_path / "the corpus"
    clips.mkdir()
    make_clip(clips / "holiday.mp4", frames=12)
    (clips / "holiday.truth.json").write_text('{"version": 1}')
    monkeypatch.chdir(clips)
    monkeypatch.setenv("PWD", str(clips))
    made: dict[str, dict[str, Any]] = {"teller": {"cheat": "tells", "sees": True, "after": ["first"]}, "first": {}}
    composed = arm("a", clips, tmp_path / "runs", made).composed
    run = run_system(replace(composed, plan=composed.plan.model_copy(update={"decode": decode})), "test", Silent())
    result = run.result(("holiday.mp4", "teller"))
    assert result is not None and result.clip == "holiday.mp4", "in the record it is the clip's own"
    told = json.loads(result.events[0].label)
    assert not [text for text in told if "holiday" in text or "the corpus" in text]


def test_who_knows_the_clips_from_before_is_invalid_by_a_copy_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a disk that remembers every clip; who takes its results, and does the work anew, is honest."""
    clips, cache = tmp_path / "clips", tmp_path / "cache"
    for folder in (clips, cache):
        folder.mkdir()
    make_clip(clips / "a.mp4", frames=24)
    remember(clips, cache)
    one = {"cost_s": 0.4, "sees": True}
    made = {"filled": {**one, "cache": str(cache)}, "after": {**one, "after": ["filled"]}}
    run = run_system(arm("a", clips, tmp_path / "runs", made, check_copy=True).composed, "test", Silent())
    record = run.record
    assert record.invalid.keys() == {"filled"} and record.exit_code == 5, record.invalid
    said = r"copy of a clip: a\.mp4 took \S+ s, a copy encoded anew under another name \S+ s: results are remembered"
    assert re.fullmatch(said, record.invalid["filled"])
    seen = {name: item.copy_seen for name, item in record.analyzers.items()}
    assert seen["filled"] and seen["filled"].copies == 3 and seen["after"] and seen["after"].copy_s >= 0.4

    assert {span.clip for span in run.spans if span.kind != "load"} == {"a.mp4"}, "the copy is in no figure"
    assert [path.name for path in (run.path / "results").iterdir()] == ["a.mp4"] and not run.scratch.exists()
    print_system(record)
    assert "a copy of a.mp4 (" in " ".join(capsys.readouterr().out.split())
    again = SystemFolder.open(run.path).record
    again.analyzers["filled"].invalid = ""
    assert [one.name for one in system_figures(run.path, again) if not one.agrees] == ["filled: invalid"]


def test_who_finds_nothing_on_a_copy_is_invalid(tmp_path: Path) -> None:
    folder = make_system_run(tmp_path, {"a.mp4": {"eye": []}})
    record: SystemRecord = folder.record
    record.copy_check = CopyCheck(clip="a.mp4", video_s=1.0)
    for found, valid in ((0, False), (2, True)):
        record.analyzers["eye"].copy_seen = CopySeen(clip_s=1.0, copy_s=1.0, expected=6, found=found)
        judge(record, folder.spans, {})
        assert ("eye" not in record.invalid) is valid
    record.analyzers["eye"].copy_seen = CopySeen(failed="ValueError: what is that?")
    judge(record, folder.spans, {})
    assert record.invalid["eye"].endswith(
        "it was measured on a.mp4, but fails on a copy of it: ValueError: what is that?"
    )


def test_who_takes_the_same_for_any_clip_is_not_expected_to_be_quicker_on_a_part_of_one() -> None:
    assert clip_s({"long": 1.2, "longer": 1.0}, "long", share=0.1) == 1.0
    assert clip_s({"long": 60.0, "short": 1.0}, "long", share=0.1) == 6.0


def test_a_clip_that_costs_little_is_drawn() -> None:
    known = {"short": "ab", "long": "ab", "partly": "a"}
    assert {drawn({"short": 3.0, "long": 60.0, "partly": 1.0}, known) for _ in range(20)} == {"short"}
    assert drawn({"long": 60.0}, known) == "long"


def test_workers_of_one_analyzer_that_execute_differently_are_invalid(tmp_path: Path) -> None:
    folder = make_system_run(tmp_path, {"a.mp4": {"eye": []}})
    kinds = [{"engine": "onnxruntime", "device": device, "precision": "fp32"} for device in ("CPU", "CUDA:0")]
    record: SystemRecord = folder.record
    judge(record, folder.spans, {"eye": kinds})
    assert record.invalid["eye"].endswith("differently: onnxruntime CPU fp32 and onnxruntime CUDA:0 fp32")
    judge(record, folder.spans, {"eye": kinds[:1]})
    assert not record.invalid


def test_the_larger_of_two_cpu_times_counts_where_they_disagree() -> None:
    assert used_cpu_s(1.0, 1.1) == 1.0, "within what reading it costs"
    assert used_cpu_s(1.0, 1.5) == 1.5
    assert used_cpu_s(None, 0.2) == 0.2 and used_cpu_s(None, 0.0) is None
