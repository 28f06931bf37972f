"""The audits of a comparison of systems: what remembers, differs, or contradicts itself makes it invalid; what is honest passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.progress import Silent
from reelbench.media.frames import FrameStream
from reelbench.media.types import FrameRequest, Sampling
from reelbench.report.system_ab_page import write_system_ab_page
from reelbench.report.system_ab_terminal import analyzers_table, comparison_json, lines
from reelbench.system.ab import audits
from reelbench.system.ab.folder import SystemComparisonFolder
from reelbench.system.ab.run import carry_out_both
from reelbench.tracking.kinds.system_comparison import KIND
from support.clips import make_clip
from support.made_systems import arm, content_of

Made = dict[str, dict[str, Any]]
AUDITS = ["copy of a clip", "first run", "results of all runs", "what executed, and what was seen of it"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in (("a", 24), ("b", 26)):
        make_clip(folder / f"{name}.mp4", frames=frames)
    return folder


def compare(clips: Path, runs: Path, a: Made, b: Made, pairs: int) -> SystemComparisonFolder:
    arms = arm("a", clips, runs, a), arm("b", clips, runs, b)
    return carry_out_both(arms, "reelbench ab system", Silent(), most_pairs=pairs)


@pytest.mark.timeout(900)
def test_what_remembers_or_differs_is_invalid_and_what_is_honest_is_not(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "OPINIONS", 1)
    filled = tmp_path / "filled"
    filled.mkdir()
    request = FrameRequest(Sampling(every=2), size=(16, 16), colour="gray")  # that of one that ``sees``
    for clip in clips.iterdir():
        with FrameStream(clip, request) as frames:
            (filled / content_of(list(frames))).touch()
    empty = tmp_path / "empty"
    empty.mkdir()
    honest: Made = {
        name: {"cost_s": 1.0, "sees": True} if name in ("filled", "emptied") else {"cost_s": 0.05}
        for name in ("filled", "emptied", "unsteady", "declared")
    }
    cheats: Made = {
        "filled": {"cost_s": 1.0, "cache": str(filled), "sees": True},
        "emptied": {"cost_s": 1.0, "cache": str(empty), "sees": True},
        "unsteady": {"cost_s": 0.05, "cheat": "unsteady"},
        "declared": {"cost_s": 0.05, "cheat": "unsteady", "steady": False},
    }
    folder = compare(clips, tmp_path, honest, cheats, pairs=2)
    found = folder.record
    assert (found.verdict, found.exit_code, found.status) == ("invalid", 5, "finished")
    assert sorted(audit.name for audit in found.audits if audit.arm == "a") == AUDITS
    assert {audit.status for audit in found.audits if audit.arm == "a"} == {"passed"}, found.audits
    said = {name: one.invalid for name, one in found.analyzers.items() if one.invalid}
    assert said.keys() == {"filled", "emptied", "unsteady"}, said
    assert "a copy encoded anew under another name" in said["filled"]
    assert "in the first run" in said["emptied"] and "results are remembered" in said["emptied"]
    assert "2 runs of the same did not find the same on a.mp4, b.mp4" in said["unsteady"]
    assert "arm b: copy of a clip: filled:" in found.invalid and "invalid: arm b: " in found.sentence

    shown = "\n".join(lines(found))
    assert "executed in B: made CPU fp32" in shown and "audit failed: first run (B): emptied: " in shown
    assert "audits: 5 of 8 passed" in shown and analyzers_table(found).row_count == 4
    page = write_system_ab_page(folder.path).read_text()
    assert "results are remembered" in page and 's-invalid">invalid<' in page and "made CPU fp32" in page
    assert len(comparison_json(found)["audits"]) == 8
    tags = KIND.payload(folder.path, found).tags
    assert tags["audits.failed"] == "results of all runs (b), first run (b), copy of a clip (b)"
    assert tags["analyzer.filled.invalid"].startswith("arm b: ")


def test_a_contradiction_ends_the_comparison_after_the_pair_in_which_it_was_seen(clips: Path, tmp_path: Path) -> None:
    found = compare(clips, tmp_path, {"eye": {}}, {"eye": {"cheat": "device"}}, pairs=7).record
    assert len(found.pairs) == 1 and not found.ended_early
    assert (found.verdict, found.exit_code) == ("invalid", 5)
    assert "asked for CUDA:0, ran on CPU" in found.sentence
    assert found.analyzers["eye"].evidence_b["contradiction"] and found.analyzers["eye"].evidence_a["engine"] == "made"
