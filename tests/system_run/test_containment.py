"""Real files that fail in real ways: each is named with its reason, and takes nothing else with it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.progress import Silent
from reelbench.report.clip_page import PAGES, write_clip_pages
from reelbench.report.system_page import write_system_page
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import run_system
from support.clips import make_clip
from support.mutations import make_kind

from .scenario import composed


def run(clips: Path, runs: Path, **changes: Any) -> SystemFolder:
    return run_system(composed(clips, runs, **changes), "test", Silent())


@pytest.fixture
def mixed(clips: Path, tmp_path: Path) -> Path:
    """The good clips, in a folder to which bad ones can be added."""
    return Path(shutil.copytree(clips, tmp_path / "mixed"))


def make_strange(path: Path) -> None:
    """A clip whose sound says that it is spatial audio (APAC), for which FFmpeg has no decoder."""
    make_kind(path, frames=24)
    path.write_bytes(path.read_bytes().replace(b"sowt", b"apac"))


def statuses(folder: SystemFolder, clip: str) -> dict[str, str]:
    return {name: analyzer.outcomes[clip].status for name, analyzer in folder.record.analyzers.items()}


def assert_neighbours_done(folder: SystemFolder) -> None:
    for clip in ("a.mp4", "b.mp4", "c.mp4"):
        assert set(statuses(folder, clip).values()) == {"done"}, clip


def test_sound_that_nobody_can_decode_takes_only_those_that_listen(mixed: Path, tmp_path: Path) -> None:
    make_strange(mixed / "strange.mov")
    folder = run(mixed, tmp_path / "runs")
    assert_neighbours_done(folder)
    assert statuses(folder, "strange.mov")["eye"] == "done"
    ear = folder.record.analyzers["ear"].outcomes["strange.mov"]
    assert ear.status == "skipped" and "sound" in ear.reason and "strange.mov" in ear.reason
    (clip,) = [clip for clip in folder.record.clips if clip.name == "strange.mov"]
    assert clip.status == "refused" and clip.error


def test_a_tiny_file_may_not_fill_the_disk(mixed: Path, tmp_path: Path) -> None:
    make_clip(mixed / "bomb.mp4", frames=400, fps=200, size=(16, 16))
    size = (mixed / "bomb.mp4").stat().st_size
    folder = run(mixed, tmp_path / "runs", spool_mb=0.2)  # `eye` wants 32×32: 400 frames of the bomb are 0.4 MB or more
    assert size < 100_000
    (clip,) = [clip for clip in folder.record.clips if clip.name == "bomb.mp4"]
    assert clip.status == "refused" and "system.spool_mb" in clip.error and "bomb.mp4" in clip.error
    assert "system.spool_mb" in folder.record.analyzers["eye"].outcomes["bomb.mp4"].reason
    assert not folder.scratch.exists()
    assert_neighbours_done(folder)


def test_bad_clips_in_a_row_do_not_make_a_working_analyzer_be_given_up(mixed: Path, tmp_path: Path) -> None:
    """The circuit is for analyzers that do not work here, not for clips."""
    bad = [f"b{number}.mp4" for number in range(4)]
    for number, name in enumerate(bad):
        make_clip(mixed / name, frames=30 + 2 * number, audio_s=0.8)
    folder = run(mixed, tmp_path / "runs", actors={"eye": {"faults": dict.fromkeys(bad, "raise")}}, give_up_after=2)
    assert_neighbours_done(folder)
    reasons = {folder.record.analyzers["eye"].outcomes[name].reason for name in bad}
    assert reasons == {"ValueError: told to fail"}


def test_files_that_break_off_are_not_held_against_analyzers(mixed: Path, tmp_path: Path) -> None:
    """Where each analyzer decodes for itself, it is the analyzer's task that cannot read the clip."""
    for number in range(3):
        make_strange(mixed / f"0{number}.mov")
    folder = run(mixed, tmp_path / "runs", plan="sequential", actors={"ear": {"size": 0}}, give_up_after=2)
    assert_neighbours_done(folder)
    assert all(folder.record.analyzers["ear"].outcomes[f"0{number}.mov"].status == "failed" for number in range(3))


def test_a_name_that_is_not_utf8_is_a_clip_like_any_other(mixed: Path, tmp_path: Path) -> None:
    (mixed / "c.mp4").rename(os.fsdecode(os.fsencode(mixed) + b"/\xe9.mp4"))
    folder = run(mixed, tmp_path / "runs")
    name = "\\udce9.mp4"
    assert set(statuses(folder, name).values()) == {"done"}
    pages = write_clip_pages(folder, folder.path / PAGES)
    page = next(file for file in pages.files if "udce9" in file.name).read_text()
    assert "%E9.mp4" in page and not pages.notes  # the address of the video has the byte itself
    assert name in write_system_page(folder.path).read_text()
