"""Whatever one clip does, in whichever pass, the other clips are measured and the clip is named with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelbench.bench.process import Code, WorkerDied, WorkerProcess
from reelbench.bench.run_folder import RunFolder, read_record
from reelbench.bench.runner import measure
from reelbench.bench.worker import Job
from reelbench.comparison.ab import compare
from reelbench.comparison.folder import ComparisonFolder, read_comparison
from reelbench.config import compose
from reelbench.errors import EXIT_FAILED
from reelbench.media.types import DecodeOptions, Limits
from support.clips import make_clip
from support.run_configs import Told

CONF = Path(__file__).parents[1] / "conf"
FAULTY = {"raises.mp4": "told to fail", "crashes.mp4": "SIGSEGV"}
HANGS = {"hangs.mp4": "no answer within"}
GOOD = ("good.mp4", "well.mp4")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two good clips, and two that conf/tuning/brightness/faulty.yaml fails on."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in (*GOOD, *FAULTY):
        make_named(folder / name)
    return folder


def make_named(path: Path) -> None:
    """A clip with bytes of its own, so that its results are never taken for those of another."""
    make_clip(path, frames=20)
    with path.open("ab") as file:
        file.write(b"\0\0\0\x10free" + path.name[:8].encode().ljust(8))


def settings_of(clips: Path, analyzer: str, *more: str) -> list[str]:
    return [
        f"hydra.searchpath=['file://{CONF}']", f"analyzer={analyzer}", "corpus=folder", f"corpus.path={clips}", "measure=quick",
        "measure.clip_timeout_s=10", "tracking.uri=off", f"runs_dir={clips.parent / 'runs'}", *more,
    ]  # fmt: skip


def run(clips: Path, analyzer: str, *more: str) -> tuple[RunFolder, Told]:
    told, settings = Told(), settings_of(clips, analyzer, "variant=plain", *more)
    return measure(compose(settings), settings, "test", told), told


def test_clips_that_fail_upstream_are_named_and_the_others_are_measured(clips: Path) -> None:
    make_named(clips / "hangs.mp4")
    folder, told = run(clips, "echo", "analyzer.upstream.brightness=faulty")
    clip = {one.name: one for one in read_record(folder.path).clips}
    assert set(folder.read_results()) == set(GOOD)
    for name, reason in (FAULTY | HANGS).items():
        assert clip[name].status == "failed" and reason in clip[name].error
        assert clip[name].error.startswith("brightness, upstream: ")
        assert any(line.startswith(f"{name}: failed: ") for line in told.messages)
    assert read_record(folder.path).status == "failed" and not folder.record.invalid


def test_where_upstream_is_merely_welcome_the_clip_is_measured_without_it(clips: Path) -> None:
    more = ("analyzer.upstream.brightness=faulty", "analyzer.needed=[]", "analyzer.welcome=[brightness]")
    folder, _ = run(clips, "echo", *more)
    results = folder.read_results()
    assert {name: len(result.events) for name, result in results.items()} == dict.fromkeys(GOOD, 10) | dict.fromkeys(
        FAULTY, 0
    )
    for name, reason in FAULTY.items():
        assert any(
            note.startswith(f"{name}: measured without brightness") and reason in note for note in folder.record.notes
        )


def test_clips_that_the_reference_fails_on_have_no_agreement_and_the_others_do(clips: Path) -> None:
    folder, _ = run(clips, "brightness", "analyzer.reference=faulty")
    record = read_record(folder.path)
    assert {clip.status for clip in record.clips} == {"measured"}
    assert set(record.quality.agreement_per_clip) == set(GOOD)
    for name, reason in FAULTY.items():
        assert any(note.startswith(f"{name}: no agreement") and reason in note for note in record.notes)


def ab(clips: Path, a: str, b: str) -> ComparisonFolder:
    more = ("measure.pairs.looks=[8]", "measure.pairs.restart_every=20")
    return compare(settings_of(clips, "brightness", *more), a, b, "test", Told())[0]


def test_clips_that_both_arms_fail_on_are_left_out_of_a_comparison(clips: Path) -> None:
    folder = ab(clips, "faulty", "faulty analyzer.pause_s=0.3")
    record = read_comparison(folder.path)
    assert record.verdict == "slower" and not record.invalid
    assert {pair.clip for pair in record.pairs} == set(GOOD) and len(record.pairs) == 8
    for name, reason in FAULTY.items():
        assert any(note.startswith(f"{name}: left out: arm a failed: ") and reason in note for note in record.notes)
        for arm in ("a", "b"):
            assert {clip.name: clip.status for clip in read_record(folder.path / arm).clips}[name] == "failed"


def test_a_clip_that_one_arm_fails_on_makes_it_invalid_and_the_others_are_measured(clips: Path) -> None:
    record = read_comparison(ab(clips, "plain", "faulty").path)
    assert record.verdict == "invalid" and record.exit_code == EXIT_FAILED and record.status == "failed"
    assert len(record.pairs) == 8 and record.speed is not None
    assert {pair.clip for pair in record.pairs} == set(GOOD)
    assert all(f"{name}: left out: arm b failed" in record.invalid for name in FAULTY)


def test_a_worker_that_cannot_be_started_is_an_error_of_its_own_kind(tmp_path: Path) -> None:
    job = Job({}, DecodeOptions(), Limits(), 0, tmp_path / "worker.log")
    with pytest.raises(WorkerDied, match="no worker process can be started: No such file"):
        WorkerProcess(job, Code(python="/nowhere/python"))


def test_where_memory_ends_the_worker_is_what_the_kernel_takes(tmp_path: Path) -> None:
    with WorkerProcess(Job({}, DecodeOptions(), Limits(), 0, tmp_path / "worker.log")) as worker:
        assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text() == "1000\n"
