"""``reelbench ab`` as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.clips import make_clip
from support.signals import taking_signals

from .conftest import ROOT, Run, environment
from .test_bad_input import one_line, small_disk  # noqa: F401 - a fixture

CONF = ("--config-dir", str(ROOT / "tests" / "conf"))
LOOK = ("measure=quick", "measure.pairs.looks=[8]", "tracking.uri=off")
ARMS = ("a=plain analyzer.pause_s=0.3", "b=plain")


@pytest.fixture
def settings(clips: Path) -> tuple[str, ...]:
    make_clip(clips / "other.mp4", frames=20)
    return (*CONF, "analyzer=brightness", "corpus=folder", f"corpus.path={clips}", *LOOK)


def test_the_verdict_is_one_sentence_and_everything_is_in_the_json(
    run: Run, settings: tuple[str, ...], tmp_path: Path
) -> None:
    done = run("ab", *settings, *ARMS, "--json", program="reelbench")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["verdict"] == "faster" and record["quality"]["verdict"] == "not worse"
    assert len(record["pairs"]) == 8
    page = tmp_path / "work" / record["report"]
    assert record["sentence"] in page.read_text()
    again = run("report", str(page.parent), program="reelbench")
    assert again.returncode == 0 and "FASTER" in again.stdout.upper()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a=plain"], 2, "b=VARIANT is missing"),
        (["b=plain"], 2, "a=VARIANT is missing"),
        (["a=plain", "b=nonsense"], 2, "no variant 'nonsense'"),
        (["a=plain", "b=plain nonsense=1"], 2, "nonsense"),
        (["a=plain", "b=exotic"], 4, "an accelerator that nobody has"),
        (["a=plain", "b=plain", "--resume"], 2, "no interrupted comparison"),
        (["a=plain", "b=plain", "measure.pairs.looks=[9,5]"], 2, "rising"),
        (["a=plain", "b=plain", "comparison.smallest_change=-1"], 2, "comparison.smallest_change"),
        (["a=plain", "b=plain", "--config-dir", "/does/not/exist"], 2, "/does/not/exist"),
    ],
)
def test_a_wrong_command_is_one_line(
    run: Run, settings: tuple[str, ...], arguments: list[str], code: int, words: str
) -> None:
    done = run("ab", *settings, *arguments, program="reelbench")
    assert words in one_line(done.stderr) and done.returncode == code


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    run: Run,
    settings: tuple[str, ...],
    small_disk: Path,  # noqa: F811
) -> None:
    (small_disk / "filler").write_bytes(b"x" * 40 * 1024)
    done = run("ab", *settings, *ARMS, f"runs_dir={small_disk}/runs", program="reelbench")
    assert done.returncode == 2 and "disk is full" in one_line(done.stderr)
    assert not list(small_disk.rglob("*.part*"))
    for file in small_disk.rglob("*.json"):
        json.loads(file.read_text())


def test_ctrl_c_keeps_the_pairs_and_resume_goes_on(settings: tuple[str, ...], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    command = [sys.executable, "-m", "reelbench", "ab", *settings, *ARMS]
    process = subprocess.Popen(taking_signals(command), cwd=work, env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not _pairs(work):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in told and "Traceback" not in told
    before = _pairs(work)
    assert 0 < before < 8
    done = subprocess.run(
        [*command, "--resume", "--json"],
        cwd=work,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["pairs"]) == 8
    assert len(list(work.glob("runs/comparisons/*"))) == 1


def _pairs(work: Path) -> int:
    files = list(work.glob("runs/comparisons/*/comparison.json"))
    return len(json.loads(files[0].read_text())["pairs"]) if files else 0
