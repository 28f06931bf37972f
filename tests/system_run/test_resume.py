"""A run that is killed goes on: each result exactly once, and equal to that of a run that nobody disturbed."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from reelbench.bench.progress import Silent
from reelbench.errors import OutputError
from reelbench.system import copy_check, spool
from reelbench.system.folder import SystemFolder
from reelbench.system.runner import run_system

from .conftest import slow
from .scenario import ACTORS, composed, outcome, same_code

SLOWLY = {"actors": {name: {"sleep_s": 0.1} for name in ACTORS}}
EYE = {"actors": {"judge": None, "ear": None}}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelbench.system.setup.environment", same_code)


def start(clips: Path, runs: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "system_run.scenario", str(clips), str(runs), json.dumps(SLOWLY)]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def finish(clips: Path, runs: Path, settings: dict[str, Any] = SLOWLY) -> SystemFolder:
    return run_system(composed(clips, runs, **settings), "test", Silent())


def lines_in(runs: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in runs.glob("system/*/timeline.jsonl"))


def die(clips: Path, runs: Path, more: int, jitter_s: float) -> None:
    """Start a run, or go on with one, and kill it when its timeline has ``more`` new lines and a moment has passed."""
    process, before = start(clips, runs), lines_in(runs)
    until = time.monotonic() + 240
    while process.poll() is None and lines_in(runs) < before + more and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(jitter_s)
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive, "workers outlived the run that started them"


def check(folder: SystemFolder, runs: Path) -> None:
    assert len(list(runs.glob("system/*/system.json"))) == 1, "it began anew instead of going on"
    done = Counter((s.clip, s.name) for s in folder.spans if s.status == "done" and s.name in ACTORS and s.clip)
    assert set(done.values()) == {1}, "a finished analyzer was run again"
    assert len(done) == 9 and folder.record.status == "finished"
    assert not list(folder.path.rglob("*.part*")) and not folder.scratch.exists()


def test_a_run_that_is_killed_three_times_goes_on(clips: Path, tmp_path: Path, undisturbed: SystemFolder) -> None:
    chance = random.Random(5)
    for more in (3, 8, 7):  # while workers are loaded, and twice among the clips
        die(clips, tmp_path, more, chance.uniform(0, 0.1))
    folder = finish(clips, tmp_path)
    check(folder, tmp_path)
    assert outcome(folder) == outcome(undisturbed)
    assert len(folder.record.sessions) == 4


@slow
@pytest.mark.parametrize("seed", range(20))
def test_twenty_more_deaths(clips: Path, tmp_path: Path, undisturbed: SystemFolder, seed: int) -> None:
    chance = random.Random(seed)
    die(clips, tmp_path, chance.randrange(1, 19), chance.uniform(0, 0.3))
    folder = finish(clips, tmp_path)
    assert outcome(folder) == outcome(undisturbed)
    if len(folder.record.sessions) > 1:  # else it had finished before it could be killed
        check(folder, tmp_path)


def test_a_half_written_line_is_not_taken_for_a_result(clips: Path, tmp_path: Path) -> None:
    folder = finish(clips, tmp_path, EYE)
    expected, file = outcome(folder), folder.path / "timeline.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    folder.record.status = "running"
    folder.save()
    assert folder._lock is not None
    folder._lock.release()
    again = finish(clips, tmp_path, EYE)
    assert again.path == folder.path and outcome(again) == expected
    assert all(json.loads(line) for line in file.read_bytes().splitlines())


def test_a_run_that_is_cut_off_while_it_looks_at_a_copy_looks_again_and_runs_nothing_twice(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = EYE | {"check_copy": True}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(copy_check, "reencoded", _ctrl_c)
        finish(clips, tmp_path, settings)
    (cut,) = (SystemFolder.open(file.parent) for file in tmp_path.glob("system/*/system.json"))
    assert cut.record.status == "interrupted" and cut.record.totals.makespan_s > 0
    for lock in tmp_path.glob("system/*/.lock"):
        lock.unlink()  # this process still holds it: another would find it free
    folder = finish(clips, tmp_path, settings)
    record = folder.record
    assert folder.path == cut.path and record.status == "finished" and not record.invalid
    assert record.copy_check is not None and record.copy_check.clip and record.analyzers["eye"].copy_seen is not None
    tasks = [[span for span in one.spans if span.kind == "task"] for one in (cut, folder)]
    assert tasks[0] == tasks[1] and record.totals.makespan_s == cut.record.totals.makespan_s


def _ctrl_c(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@slow
def test_two_runs_at_once_do_not_disturb_each_other(clips: Path, tmp_path: Path, undisturbed: SystemFolder) -> None:
    other = start(clips, tmp_path)
    mine = finish(clips, tmp_path)
    assert other.wait(240) == 0
    folders = sorted(path.parent for path in tmp_path.glob("system/*/system.json"))
    assert len(folders) == 2 and mine.path in folders
    for folder in folders:
        assert outcome(SystemFolder.open(folder)) == outcome(undisturbed)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    clips: Path, tmp_path: Path, undisturbed: SystemFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full stands for the disk: writing there gives ENOSPC, in the decoding process as well."""
    settings = EYE | {"scratch": str(tmp_path / "spool")}
    real = SystemFolder.open_scratch

    def full(self: SystemFolder, clip: str) -> Path:
        folder = real(self, clip)
        (folder / "frames-0.raw").symlink_to("/dev/full")
        return folder

    monkeypatch.setattr(SystemFolder, "open_scratch", full)
    with pytest.raises(OutputError, match="disk is full"):
        finish(clips, tmp_path, settings)
    (interrupted,) = tmp_path.glob("system/*/system.json")
    assert SystemFolder.open(interrupted.parent).record.status == "interrupted"
    monkeypatch.setattr(SystemFolder, "open_scratch", real)
    for lock in tmp_path.glob("system/*/.lock"):
        lock.unlink()  # this process still holds it: another would find it free
    folder = finish(clips, tmp_path, settings)
    assert folder.path == interrupted.parent and folder.record.analyzers["eye"].counts == {"done": 3}


def test_too_small_a_disk_is_refused_before_anything_is_decoded(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr("reelbench.system.setup.shutil.disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="MB are free"):
        finish(clips, tmp_path)


def test_a_line_that_does_not_fit_on_the_disk_is_an_output_error(
    undisturbed: SystemFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(handle: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "no space")

    folder = SystemFolder.create(tmp_path, undisturbed.record, None)
    monkeypatch.setattr("reelbench.system.folder.os.write", write)
    with pytest.raises(OutputError, match="disk is full"):
        folder.add(undisturbed.spans[0])


def test_equal_pixels_are_kept_once(clips: Path, tmp_path: Path) -> None:
    from reelbench.media.types import DecodeOptions, FrameRequest, Limits, Sampling

    requests = [FrameRequest(Sampling(every=n), (16, 16), "gray") for n in (1, 2)]
    spool.write_frames(tmp_path, clips / "a.mp4", requests, DecodeOptions(), Limits(), 10**9)
    assert [file.stat().st_size for file in tmp_path.glob("*.raw")] == [24 * 256]
    for request, count in zip(requests, (24, 12), strict=True):
        with spool.SpooledFrames(tmp_path, request) as frames:
            assert len(list(frames)) == count
