"""The audits of a comparison of systems: what remembers, differs, or contradicts itself makes it invalid; what is honest passes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.progress import Silent
from reelbench.report.system_ab_page import write_system_ab_page
from reelbench.report.system_ab_terminal import analyzers_table, comparison_json, lines
from reelbench.system.ab.folder import SystemComparisonFolder
from reelbench.system.ab.recompute import recomputed
from reelbench.system.ab.run import carry_out_both
from reelbench.system.folder import SystemFolder
from reelbench.tracking.kinds.system_comparison import KIND
from support.clips import make_clip
from support.made_systems import arm, remember

Made = dict[str, dict[str, Any]]
AUDITS = ["copy of a clip", "first run", "results of all runs", "what executed, and what was seen of it"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in (("a", 24), ("b", 26)):
        make_clip(folder / f"{name}.mp4", frames=frames)
    return folder


def compare(clips: Path, runs: Path, a: Made, b: Made, pairs: int) -> SystemComparisonFolder:
    arms = arm("a", clips, runs, a, check_copy=True), arm("b", clips, runs, b, check_copy=True)
    return carry_out_both(arms, "reelbench ab system", Silent(), most_pairs=pairs)


@pytest.mark.timeout(900)
def test_what_remembers_or_differs_is_invalid_and_what_is_honest_is_not(clips: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    honest: Made = {
        name: {"cost_s": 1.0, "sees": True} if name == "emptied" else {"cost_s": 0.05}
        for name in ("emptied", "unsteady", "declared")
    }
    cheats: Made = {
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
    assert said.keys() == {"emptied", "unsteady"}, said
    assert "in the first run" in said["emptied"] and "results are remembered" in said["emptied"]
    assert "2 runs of the same did not find the same on a.mp4, b.mp4" in said["unsteady"]
    assert "arm b: first run: emptied:" in found.invalid and "invalid: arm b: " in found.sentence

    shown = "\n".join(lines(found))
    assert "executed in B: made CPU fp32" in shown and "audit failed: first run (B): emptied: " in shown
    assert "audits: 6 of 8 passed" in shown and analyzers_table(found).row_count == 3
    page = write_system_ab_page(folder.path).read_text()
    assert "results are remembered" in page and 's-invalid">invalid<' in page and "made CPU fp32" in page
    assert len(comparison_json(found)["audits"]) == 8
    tags = KIND.payload(folder.path, found).tags
    assert tags["audits.failed"] == "results of all runs (b), first run (b)"
    assert tags["analyzer.emptied.invalid"].startswith("arm b: ")
    looked = [SystemFolder.open(folder.path / run.folder).record.copy_check for run in found.runs]
    assert [bool(one and one.clip) for one in looked] == [True, True, False, False], "only the first runs pay for it"


def test_a_contradiction_ends_the_comparison_after_the_pair_in_which_it_was_seen(clips: Path, tmp_path: Path) -> None:
    """Also one that only a copy of a clip shows, which is an audit of its own."""
    filled = tmp_path / "filled"
    filled.mkdir()
    remember(clips, filled)
    honest = {"cost_s": 0.5, "sees": True}
    a: Made = {"eye": {}, "filled": honest}
    b: Made = {"eye": {"cheat": "device"}, "filled": {**honest, "cache": str(filled)}}
    folder = compare(clips, tmp_path, a, b, pairs=7)
    found = folder.record
    assert len(found.pairs) == 1 and not found.ended_early
    assert (found.verdict, found.exit_code) == ("invalid", 5)
    assert "asked for CUDA:0, ran on CPU" in found.sentence
    assert found.analyzers["eye"].evidence_b["contradiction"] and found.analyzers["eye"].evidence_a["engine"] == "made"
    failed = {audit.name: audit.text for audit in found.audits if audit.status == "failed"}
    assert failed.keys() == {"what executed, and what was seen of it", "copy of a clip"}, failed
    assert failed["what executed, and what was seen of it"].startswith("eye: asked for CUDA:0")
    assert re.match(r"filled: [ab]\.mp4 took \S+ s, a copy encoded anew", failed["copy of a clip"])
    assert "filled" not in failed["what executed, and what was seen of it"]
    assert not [one for one in recomputed(folder.path, found) if not one.agrees]
