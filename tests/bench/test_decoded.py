"""What decoding finds out about a clip reaches the record, and every figure that depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelbench.bench.run_folder import RunFolder
from reelbench.bench.runner import measure
from support.beeps import damage_pictures, make_beeping
from support.clips import truncate
from support.run_configs import Told, brightness_config


def run(clips: Path) -> RunFolder:
    return measure(brightness_config(clips, clips.parent / "runs"), [], "test", Told())


def test_what_was_left_out_is_flagged_and_said(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    damage_pictures(make_beeping(clips / "damaged.mp4"), lambda time_s: 1.3 < time_s < 1.37)
    make_beeping(clips / "good.mkv")
    damaged, good = run(clips).record.clips
    assert damaged.flags == ["damaged_picture"] and good.flags == []
    assert damaged.details["damaged_picture"] == {"packets": 2, "at_s": [1.32, 1.36]}
    assert good.details["sound_track"] == "1 of 1 (opus)"
    assert damaged.duration_s == pytest.approx(3.0), "damage in the middle does not make it shorter"


def test_the_duration_is_what_was_shown_and_every_figure_follows(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    truncate(make_beeping(tmp_path / "whole.mkv", audio="aac", gop=75), clips / "short.mkv", 0.6)
    folder = run(clips)
    (clip,) = folder.record.clips
    shown_s = clip.duration_s
    assert shown_s is not None and 0.5 < shown_s < 2.5, "its header says 3 s"
    assert {row["duration_s"] for row in folder.samples} == {shown_s}
    assert folder.read_results()["short.mkv"].duration_s == shown_s
    assert "truncated" in clip.flags
    assert not any("not deterministic" in note for note in folder.record.notes)
