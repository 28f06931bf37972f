"""Audits of the comparing process: what it does counts while a pass is timed, by what it can have done to the effect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep, thread_time
from typing import Any

import numpy as np
import pytest

from reelbench.bench.audit import PICTURES, repeated_frames
from reelbench.bench.one_pass import PROGRESS_EVERY_S
from reelbench.bench.process import WorkerProcess
from reelbench.bench.process_tree import at_work, descendants
from reelbench.bench.worker import Job
from reelbench.comparison.audits import audit_idle, audit_parent, parent_share
from reelbench.comparison.records import Pair
from reelbench.media.safe_probe import probe_safely
from reelbench.media.types import ClipInfo, DecodeOptions, Frame, Limits
from support.analyzers import Brightness, wait_for
from support.clips import make_clip

BURN_S = 0.05


def pairs(a_parent: float | None, b_parent: float | None, ratio: float = 1.0) -> list[Pair]:
    """Twelve pairs of passes of two milliseconds, a little apart."""
    return [
        Pair(
            index=index, clip="c", order="AB", repetitions=(index, index + 1), a_s=0.002,
            b_s=0.002 * ratio * (1 + index % 5 / 1000), a_parent=a_parent, b_parent=b_parent,
        )
        for index in range(12)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "status"),
    [
        (0.0005, 0.001, "passed"),
        (0.0, 0.03, "failed"),  # B may really be 3 % faster than it was measured
        (0.03, 0.0, "failed"),
        (0.03, 0.03, "failed"),  # both were disturbed, but nobody knows that both suffered alike
        (1.9, 0.0, "failed"),  # two threads
        (None, None, "not applicable"),
    ],
)
def test_the_comparing_process_is_judged_by_what_it_can_have_done(
    a: float | None, b: float | None, status: str
) -> None:
    assert audit_parent(pairs(a, b), 0.03).status == status
    assert audit_parent([], 0.03).status == "not applicable"


def test_what_is_allowed_follows_from_the_smallest_change_that_counts() -> None:
    disturbed = pairs(0.0, 0.012)
    assert audit_parent(disturbed, 0.03).status == "passed"
    assert audit_parent(disturbed, 0.02).status == "failed"
    assert audit_parent(pairs(0.0, 0.001), 0.0).status == "passed"
    text = audit_parent(disturbed, 0.02).text
    assert "0.6 % of a core" in text and "at most 1.2 %" in text and "allowed: 1 %" in text
    assert parent_share(disturbed) == pytest.approx(0.006) and parent_share(pairs(None, None)) is None


@pytest.mark.parametrize(
    ("idle_s", "status"),
    [
        ([0.0] * 12, "passed"),
        ([0.06] + [0.0] * 11, "passed"),  # tidied up once, late: that is one pair of twelve
        ([6e-5] * 12, "failed"),  # 3 % of a core whenever A was measured
        ([0.0, 0.002] * 6, "failed"),  # all of a core in every second pair
        ([None] + [0.0] * 11, "not applicable"),
    ],
)
def test_an_idle_arm_is_judged_by_what_it_can_have_done_to_the_effect(idle_s: list[float | None], status: str) -> None:
    made = [pair.model_copy(update={"b_idle_cpu_s": used}) for pair, used in zip(pairs(0, 0), idle_s, strict=True)]
    found = audit_idle("b", made, 0.03)
    assert (found.status, found.arm) == (status, "b")
    assert audit_idle("a", [pair.model_copy(update={"a_idle_cpu_s": 0.0}) for pair in made], 0.03).status == "passed"


def test_whether_a_process_is_at_work_is_seen_from_outside() -> None:
    """Of itself and of what it started: the next pass waits until that is over."""
    child = (
        "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'print(flush=True)\\nwhile True: pass'])"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", child], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert at_work(process.pid)
        for one in descendants(process.pid):
            os.kill(one, signal.SIGKILL)
        process.wait()
        assert not at_work(process.pid)


@pytest.fixture
def clip(tmp_path: Path) -> ClipInfo:
    file = tmp_path / "clip.mp4"
    make_clip(file, frames=20)
    found = probe_safely([file])[file]
    assert isinstance(found, ClipInfo)
    return found


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker whose passes go on until the file ``go`` is there."""
    node = {"_target_": "support.analyzers.Brightness", "cheat": "waits", "once": str(tmp_path / "go")}
    with WorkerProcess(Job(node, DecodeOptions(), Limits(), 0, tmp_path / "worker.log")) as live:
        live.ask("load", timeout_s=250)
        yield live


def burn(*_: Any) -> None:
    until = thread_time() + BURN_S
    while thread_time() < until:
        pass


def during_the_pass(go: Path, act: Callable[[], None]) -> threading.Thread:
    """A thread that acts when the pass has begun, and lets it end only then: nothing here depends on how busy the machine is."""

    def run() -> None:
        wait_for(Path(f"{go}.begun"))
        act()
        go.touch()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_another_thread_does_while_a_pass_is_timed_is_seen(
    worker: WorkerProcess, clip: ClipInfo, tmp_path: Path
) -> None:
    thread = during_the_pass(tmp_path / "go", burn)
    worker.analyze("clip", clip, 250, None)
    thread.join()
    assert worker.waiting_cpu_s >= BURN_S
    worker.analyze("clip", clip, 250, None)
    assert worker.waiting_cpu_s < BURN_S, "of the last pass alone"


def test_what_is_done_about_a_report_of_progress_is_seen(worker: WorkerProcess, clip: ClipInfo, tmp_path: Path) -> None:
    thread = during_the_pass(tmp_path / "go", lambda: sleep(2 * PROGRESS_EVERY_S))
    worker.analyze("clip", clip, 250, burn)
    thread.join()
    assert worker.waiting_cpu_s >= BURN_S


def test_repeated_and_changing_frames_differ_in_nothing_but_their_noise(clip: ClipInfo) -> None:
    """Otherwise an honest analyzer is faster on either: content and motion alike, and each frame a picture of its own in
    memory, since what lies in the processor's caches already is faster, too."""
    seen: list[list[Frame]] = []

    class Looks(Brightness):
        def analyze(self, material: Any) -> Any:
            frames = list(material.frames)
            seen.append(frames)
            return super().analyze(replace(material, frames=iter(frames)))

    repeated_frames(Looks(), "clip", clip, DecodeOptions(), Limits())
    assert all(len({frame.image.ctypes.data for frame in frames}) == len(frames) for frames in seen)
    one, other, still = seen[1], seen[2], seen[-1]  # the first pass is to see what a pass takes
    changing, repeated = sorted((one, other), key=_different, reverse=True)
    assert _different(changing) == len(changing) and _different(repeated) == _different(still) == PICTURES
    for a, b in zip(changing, repeated, strict=True):
        assert np.abs(a.image.astype(int) - b.image).max() <= 2 and a.pts_s == b.pts_s


def _different(frames: list[Frame]) -> int:
    return len({frame.image.tobytes() for frame in frames})
