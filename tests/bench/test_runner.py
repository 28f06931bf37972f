"""A run survives what happens to it: each test measures real clips in real worker processes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reelbench.bench import live
from reelbench.bench.live import LoadFailed
from reelbench.bench.records import FRAME_COLUMNS, PHASES, SAMPLE_COLUMNS
from reelbench.bench.run_folder import RunFolder, read_record
from reelbench.bench.runner import measure
from reelbench.errors import InputError, OutputError, UnavailableError
from support.clips import make_clip
from support.run_configs import Told, brightness_config


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_clip(folder / name, frames=20)
    return folder


def run(clips: Path, progress: Told | None = None, **options: Any) -> RunFolder:
    return measure(brightness_config(clips, clips.parent / "runs", **options), [], "test", progress or Told())


def passes_of(folder: RunFolder) -> Counter[str]:
    rows = pq.read_table(folder.path / "samples.parquet").to_pylist()
    return Counter(row["clip"] for row in rows if row["kind"] == "timed")


def test_a_run_keeps_every_sample_and_its_phases_add_up(clips: Path) -> None:
    folder = run(clips)
    samples = pq.read_table(folder.path / "samples.parquet")
    frames = pq.read_table(folder.path / "frames.parquet")
    assert tuple(samples.column_names) == SAMPLE_COLUMNS
    assert tuple(frames.column_names) == FRAME_COLUMNS
    assert passes_of(folder) == {"a.mp4": 2, "b.mp4": 2, "c.mp4": 2}
    for row in samples.to_pylist():
        assert sum(row[f"{phase}_s"] for phase in PHASES) == pytest.approx(row["total_s"], rel=1e-6)
        assert row["frames_sampled"] == 10
        assert row["rss_peak_bytes"] > 1e6
    steps = [row["step_s"] for row in frames.to_pylist() if row["clip"] == "a.mp4" and row["repetition"] == 0]
    assert len(steps) == 10 and steps[0] == steps[1]  # averaged over a step of two frames
    record = read_record(folder.path)
    assert record.status == "finished" and not record.invalid
    assert record.evidence["engine"] == "numpy"
    assert record.cold_start.process_s > 0
    assert record.summary["x_realtime"] > 0
    assert "this variant is the reference" in record.quality.absent.values()


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("raise", "ValueError: told to fail"),
        ("segfault", "SIGSEGV"),
        ("killed", "out of memory"),
        ("exit", "exit code 3"),
        ("hang", "no answer within 10 s"),
    ],
)
def test_a_clip_that_fails_does_not_take_the_others_with_it(clips: Path, fault: str, word: str) -> None:
    told = Told()
    folder = run(clips, told, faults={"b.mp4": fault}, measure={"clip_timeout_s": 10.0} if fault == "hang" else None)
    record = read_record(folder.path)
    status = {clip.name: clip.status for clip in record.clips}
    assert status == {"a.mp4": "measured", "b.mp4": "failed", "c.mp4": "measured"}
    assert record.status == "failed"
    assert word in next(clip.error for clip in record.clips if clip.name == "b.mp4")
    assert passes_of(folder) == {"a.mp4": 2, "c.mp4": 2}
    assert any(word in message for message in told.messages)
    assert record.evidence["engine"] == "numpy"


def test_what_cannot_be_opened_is_refused_and_the_others_are_measured(clips: Path) -> None:
    (clips / "empty.mp4").touch()
    (clips / "text.mp4").write_text("not a video")
    record = read_record(run(clips).path)
    status = Counter(clip.status for clip in record.clips)
    assert status == {"measured": 3, "refused": 2}
    assert all(clip.error for clip in record.clips if clip.status == "refused")


def test_a_folder_without_a_usable_clip_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "empty.mp4").touch()
    with pytest.raises(InputError, match=r"empty\.mp4"):
        run(tmp_path / "clips")
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_run_goes_on_where_it_was(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, measured = live.keep, []

    def interrupted(folder: RunFolder, clip: Any, *answer: Any) -> Any:
        kept(folder, clip, *answer)
        measured.append(clip.name)
        if len(measured) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(live, "keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(clips)
    (path,) = (clips.parent / "runs").glob("*/run.json")
    assert read_record(path.parent).status == "interrupted"
    before = pq.read_table(path.parent / "samples.parquet").to_pylist()
    monkeypatch.setattr(live, "keep", kept)

    folder = run(clips)
    assert folder.path == path.parent
    assert passes_of(folder) == {"a.mp4": 2, "b.mp4": 2, "c.mp4": 2}
    after = pq.read_table(path.parent / "samples.parquet").to_pylist()
    assert after[: len(before)] == before
    assert read_record(path.parent).status == "finished"


def test_a_pass_that_was_saved_just_before_the_record_is_counted(clips: Path) -> None:
    """The tables are written before the record: kill -9 in between."""
    folder = run(clips)
    folder.record.status, folder.record.clips[0].repetitions, folder.record.clips[0].status = "running", 1, "pending"
    folder.save()
    assert folder._lock is not None
    folder._lock.release()
    again = run(clips)
    assert again.path == folder.path
    assert [(clip.repetitions, clip.status) for clip in again.record.clips] == [(2, "measured")] * 3


def test_a_run_that_another_process_still_measures_is_left_alone(clips: Path) -> None:
    first = run(clips)
    first.record.status = "running"  # as it is on disk while that process works; `first` still holds its lock
    first.save()
    assert run(clips).path != first.path


def test_a_finished_run_and_another_configuration_are_never_gone_on_with(clips: Path) -> None:
    first = run(clips)
    assert run(clips).path != first.path


def test_results_that_change_between_passes_are_said(clips: Path) -> None:
    record = read_record(run(clips, faults={"a.mp4": "unstable"}).path)
    assert any("a.mp4" in note and "not deterministic" in note for note in record.notes)


def test_evidence_that_contradicts_the_request_makes_the_run_invalid(clips: Path) -> None:
    record = read_record(run(clips, contradiction="asked for int8, ran fp32").path)
    assert record.invalid == "asked for int8, ran fp32"


def test_an_unavailable_variant_is_refused_before_anything_is_measured(clips: Path) -> None:
    with pytest.raises(UnavailableError, match="no such accelerator") as caught:
        run(clips, reason="no such accelerator")
    assert caught.value.hint == "pip install what-is-missing"
    assert not (clips.parent / "runs").exists()


def test_an_analyzer_that_cannot_load_fails_the_run(clips: Path) -> None:
    with pytest.raises(LoadFailed, match="SIGKILL"):
        run(clips, load_fault="killed")
    (path,) = (clips.parent / "runs").glob("*/run.json")
    assert read_record(path.parent).status == "failed"


def test_an_output_folder_that_cannot_be_made_is_one_line(clips: Path) -> None:
    (clips.parent / "runs").write_text("in the way")
    with pytest.raises(OutputError, match="run folder"):
        run(clips)


def test_a_worker_that_crashed_once_is_started_again(clips: Path) -> None:
    marker = clips.parent / "crashed"
    record = read_record(
        run(clips, faults=dict.fromkeys(("a.mp4", "b.mp4", "c.mp4"), "segfault"), once=str(marker)).path
    )
    assert Counter(clip.status for clip in record.clips) == {"failed": 1, "measured": 2}
    assert any("started again" in note for note in record.notes)
