"""A run that is ended by a signal: its record says so, its processes go with it, and its exit code names the signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.kills import MARK, processes_of
from support.signals import taking_signals

from .conftest import PLUGIN, ROOT, environment

LONG = ("measure.repetitions_min=4000", "measure.repetitions_max=4000", "tracking.uri=off")


class Run:
    """``run.py`` on ``clips``, for ever, with its standard error in a file."""

    def __init__(self, clips: Path, work: Path, *more: str, ignored: Sequence[signal.Signals] = (), **how: Any) -> None:
        work.mkdir()
        self.work, self.mark = work, str(work)
        command = [sys.executable, str(ROOT / "run.py"), *PLUGIN, "corpus=folder", f"corpus.path={clips}", *LONG, *more]
        how = {"stdout": subprocess.DEVNULL, "stderr": (work / "said.txt").open("wb"), **how}
        self.process = subprocess.Popen(
            taking_signals(command, ignored=ignored), cwd=work, env=environment(**{MARK: self.mark}), **how
        )

    @property
    def said(self) -> str:
        return (self.work / "said.txt").read_text()

    def record(self) -> dict[str, Any]:
        (file,) = self.work.glob("runs/*/run.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def samples(self) -> int:
        files = list(self.work.glob("runs/*/run.json"))
        return sum(clip["repetitions"] for clip in json.loads(files[0].read_text())["clips"]) if files else 0

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 200
        while not true():
            assert time.monotonic() < deadline and self.process.poll() is None, self.said
            time.sleep(0.05)

    def measuring(self) -> None:
        """Wait for another pass."""
        before = self.samples()
        self.until(lambda: self.samples() > before)

    def gone(self) -> None:
        deadline = time.monotonic() + 30
        while left := processes_of(self.mark):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_as_ctrl_c_does(clips: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    run = Run(clips, tmp_path / "work")
    run.measuring()
    run.process.send_signal(number)
    assert run.process.wait(100) == code
    assert run.record()["status"] == "interrupted"
    assert "interrupted: what was measured is kept" in run.said and "Traceback" not in run.said
    run.gone()


def test_what_is_ignored_stays_ignored_and_it_is_said_how_to_stop_it(clips: Path, tmp_path: Path) -> None:
    run = Run(clips, tmp_path / "work", ignored=(signal.SIGINT, signal.SIGHUP))
    run.measuring()
    assert f"kill {run.process.pid}" in run.said
    for number in (signal.SIGINT, signal.SIGHUP):
        run.process.send_signal(number)
        run.measuring()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(100) == 143 and run.record()["status"] == "interrupted"


def test_a_terminal_that_is_closed_ends_the_run_in_order(clips: Path, tmp_path: Path) -> None:
    """Standard error is the terminal: writing there fails once it is gone."""
    ours, theirs = os.openpty()
    take = "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    work = tmp_path / "work"
    work.mkdir()
    command = [sys.executable, str(ROOT / "run.py"), *PLUGIN, "corpus=folder", f"corpus.path={clips}", *LONG]
    process = subprocess.Popen(
        [sys.executable, "-c", take, *taking_signals(command)],
        cwd=work, env=environment(TERM="dumb"), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    deadline = time.monotonic() + 200
    while not list(work.glob("runs/*/samples.parquet")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.close(ours)
    assert process.wait(100) == 129
    (file,) = work.glob("runs/*/run.json")
    assert json.loads(file.read_text())["status"] == "interrupted"


def test_a_worker_that_hangs_does_not_outlive_a_killed_run(clips: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    run = Run(clips, tmp_path / "work", "analyzer.faults={good.mp4: hang}", f"analyzer.once={begun}")
    run.until(begun.exists)
    run.process.kill()
    run.process.wait()
    run.gone()
