"""benchmarks/gpu: nothing measured is lost, whatever an arm does. The measuring process is a stand-in here that speaks the real
one's protocol, so that it can crash and hang on demand without torch; test_gpu_script.py runs the real one."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

GPU = Path(__file__).parents[2] / "benchmarks" / "gpu"
STAND_IN = """
    import json, os, signal, sys, time
    arms = sys.argv[2].split(",")
    jobs = [{"part": "made", "arm": arm, "size": "", "kind": "speed"} for arm in arms]
    about = {"gpu": "Made GPU", "gpu_gib": 1.0, "cuda": "0", "cpu": "c", "cores": 1, "system": "s", "python": "3", "packages": {}}
    print(json.dumps({"environment": about, "jobs": jobs}), flush=True)
    for line in sys.stdin:
        arm = json.loads(line)["arm"]
        with open(sys.argv[3], "a") as seen:
            seen.write(f"{arm} {os.getpid()}\\n")
        if arm == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if arm == "half":
            print('{"status": "measu', end="", flush=True)
            os._exit(3)
        if arm.startswith("hang"):
            time.sleep(600)
        row = {"status": "measured", "ms": {"median": 1, "least": 1, "most": 1}, "evidence": {}, "wall_s": 0.0}
        if arm == "raise":
            row = {"status": "failed", "reason": "RuntimeError: no", "wall_s": 0.0}
        print(json.dumps(row | {"pid": os.getpid()}), flush=True)
"""
LAUNCHER = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import subprocess, supervisor, run
    worker, arms, seen = sys.argv[2:5]
    real = subprocess.Popen
    subprocess.Popen = lambda command, **more: real([command[0], worker, command[2], arms, seen], **more)
    sys.argv = ["run.py", *sys.argv[5:]]
    sys.exit(run.main())
"""


class Runs:
    """Runs benchmarks/gpu/run.py with the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.out, self.seen = folder / "out", folder / "seen"
        self._worker, self._launcher = folder / "worker.py", folder / "launcher.py"
        self._worker.write_text(textwrap.dedent(STAND_IN))
        self._launcher.write_text(textwrap.dedent(LAUNCHER))

    def command(self, arms: str, *options: str) -> list[str]:
        files = [str(self._launcher), str(GPU), str(self._worker), arms, str(self.seen)]
        return [sys.executable, *files, "--out", str(self.out), *options]

    def run(self, arms: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(arms, *options), capture_output=True, text=True, check=False)

    def rows(self) -> dict[str, Any]:
        data = json.loads((self.out / "gpu-made-gpu.json").read_text())
        return {key.removeprefix("made | "): row for key, row in data["rows"].items()}

    def asked(self) -> list[tuple[str, int]]:
        lines = self.seen.read_text().splitlines() if self.seen.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def wait_for(condition: Any) -> None:
    while not condition():
        time.sleep(0.02)


def test_an_arm_that_crashes_raises_or_hangs_is_a_row_and_the_others_are_measured(runs: Runs) -> None:
    done = runs.run("one,crash,raise,half,hang,last", "--arm-limit", "5")
    assert done.returncode == 5, done.stderr
    rows = runs.rows()
    assert [rows[arm]["status"] for arm in ("one", "last")] == ["measured", "measured"]
    assert rows["crash"]["reason"] == "the measuring process crashed (SIGSEGV)"
    assert rows["half"]["reason"] == "the measuring process crashed (exit status 3)"
    assert rows["raise"] == {
        "status": "failed",
        "reason": "RuntimeError: no",
        "wall_s": 0.0,
        "pid": rows["raise"]["pid"],
    }
    assert rows["hang"]["status"] == "too slow" and "5 s" in rows["hang"]["reason"]
    page = (runs.out / "gpu-made-gpu.md").read_text()
    assert "| one |" in page and "- hang: too slow" in page and "Incomplete" not in page


def test_the_budget_ends_it_in_time_with_what_is_there_and_resume_goes_on(runs: Runs) -> None:
    stopped = runs.run("one,hang,last", "--budget", "20")
    assert stopped.returncode == 0 and "2 of 3 arms were not reached" in stopped.stderr
    assert "The budget ended during made | hang." in (runs.out / "gpu-made-gpu.md").read_text()
    first = runs.rows()
    assert set(first) == {"one"}
    resumed = runs.run("one,last", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert runs.rows()["one"] == first["one"] and runs.rows()["last"]["status"] == "measured"
    assert [arm for arm, _ in runs.asked()] == ["one", "hang", "last"]


def test_what_failed_is_tried_again_last(runs: Runs) -> None:
    runs.run("raise,one")
    runs.run("raise,one,new", "--resume")
    assert [arm for arm, _ in runs.asked()] == ["raise", "one", "new", "raise"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_killed_in_the_middle_it_keeps_what_it_had_and_leaves_no_process(runs: Runs, number: signal.Signals) -> None:
    process = subprocess.Popen(runs.command("one,hang"), stderr=subprocess.DEVNULL)
    wait_for(lambda: len(runs.asked()) == 2)
    process.send_signal(number)
    assert process.wait() == (-9 if number == signal.SIGKILL else 143)
    assert set(runs.rows()) == {"one"} and "1 of 2 arms" in (runs.out / "gpu-made-gpu.md").read_text()
    assert not [path for path in runs.out.iterdir() if path.name.startswith(".")]
    if number == signal.SIGTERM:
        with pytest.raises(ProcessLookupError):
            os.kill(runs.asked()[1][1], 0)
    else:  # The stand-in does not watch its parent; the real worker does (test_gpu_script.py).
        os.kill(runs.asked()[1][1], signal.SIGKILL)


def test_a_report_of_other_settings_is_not_continued_and_a_new_one_keeps_the_old(runs: Runs) -> None:
    runs.run("one", "--tokens", "8")
    other = runs.run("one", "--tokens", "16", "--resume")
    assert other.returncode == 2 and "was measured with another tokens" in other.stderr
    runs.run("two", "--tokens", "16")
    assert set(runs.rows()) == {"two"}
    before = json.loads((runs.out / "gpu-made-gpu.previous.json").read_text())
    assert set(before["rows"]) == {"made | one"}


def test_a_damaged_report_is_named_and_stays(runs: Runs) -> None:
    runs.out.mkdir()
    file = runs.out / "gpu-made-gpu.json"
    file.write_text("{")
    done = runs.run("one", "--resume")
    assert done.returncode == 2 and "is no report that can be continued" in done.stderr
    assert file.read_text() == "{"


def test_the_most_telling_arms_come_first_and_small_networks_before_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GPU))
    jobs = importlib.import_module("jobs")
    names = ["all", "baseline", "batched", "compiled", "fp16", "grid224", "optimized", "prefix_cache", "sdpa"]
    found = jobs.narration_jobs(["2b", "7b"], names, ["sdpa", "batched"])
    small = [job.arm for job in found if job.size == "2b" and job.kind == "speed"]
    assert small == ["baseline", "optimized", "sdpa", "batched", "fp16", "compiled", "prefix_cache", "all", "grid224"]
    assert [job.size for job in found] == ["2b"] * 11 + ["7b"] * 11
    assert [job.arm for job in found if job.kind == "tokens"] == ["sdpa", "batched"] * 2
