"""How commands end: exit codes that mean what they say, closed pipes, hostile names, and what nobody expected."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.runs import make_run

from .conftest import PLUGIN, ROOT, Run, environment

EVERY_COMMAND = ROOT / "tests" / "support" / "every_command.py"
MEANINGFUL = {0, 2, 3, 4}
"""What a command may end with that was given a name that does not exist; 1 would mean 'slower', 5 'an analyzer failed'."""


@pytest.fixture
def at_home(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has used nothing yet."""
    folders = {name: str(tmp_path / name) for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    return environment(**folders, REELBENCH_MODEL_STORE=str(tmp_path / "store"), HF_HUB_OFFLINE="1")


@pytest.mark.timeout(1800)  # about 150 processes
def test_every_command_ends_with_a_code_that_means_what_it_says(tmp_path: Path, at_home: dict[str, str]) -> None:
    """In a folder whose name is not UTF-8, with such names for all arguments, with and without a reader, and with a crash."""
    work = tmp_path / os.fsdecode(b"caf\xe9")
    work.mkdir()
    result = tmp_path / "result.json"
    subprocess.run([sys.executable, EVERY_COMMAND, result], cwd=work, env=at_home, check=True)
    rows = json.loads(result.read_text())
    assert len({tuple(row["command"]) for row in rows}) > 60
    for row in rows:
        if "crash" in row:
            assert row["crash"] == 70 and len(row["said"].splitlines()) == 2, row
            report = Path(re.search(r"crash report: (\S+)", row["said"])[1]).read_text()
            assert "ZeroDivisionError" in report and "_raise" in report and "platform: Linux" in report, row
            assert "ss@w" not in report + row["said"] and "abc123" not in report + row["said"], row
        else:
            assert row["read"] in MEANINGFUL and row.get("closed", row["read"]) == row["read"], row
            assert "Traceback" not in row["said"], row
    crashed = [row["said"] for row in rows if "crash" in row]
    assert len(set(crashed)) == len(crashed)  # no report is written over another


def _without_reader(arguments: list[str], work: Path, **variables: str) -> tuple[int, str]:
    """The process' own exit status, as PIPESTATUS gives it, when whoever reads its output is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=work,
            env=environment(**variables),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


def test_a_closed_pipe_leaves_the_verdict_as_it_is(tmp_path: Path) -> None:
    for name, pass_s in (("before", 0.8), ("after", 0.2)):
        make_run(tmp_path / "runs" / name, clips=tuple(f"clip{n}" for n in range(8)), pass_s=pass_s)
    command = ["-m", "reelbench", "compare", "before", "after"]
    code, said = _without_reader(command, tmp_path, REELBENCH_CALIBRATION=str(tmp_path / "none"))
    assert code == 3, said
    assert "Broken pipe" not in said and "Traceback" not in said


def test_a_run_whose_reader_is_gone_reaches_mlflow(tmp_path: Path, clips: Path) -> None:
    arguments = [*PLUGIN, "corpus=folder", f"corpus.path={clips}", "measure=quick"]
    code, said = _without_reader([str(ROOT / "run.py"), *arguments], tmp_path)
    assert code == 0 and "tracked in MLflow" in said, said
    listed = subprocess.run(
        [sys.executable, "-m", "reelbench", "track", "list", "--json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [run["mlflow"] is not None for run in json.loads(listed.stdout)["runs"]] == [True]


def test_output_that_cannot_be_written_is_said(run: Run) -> None:
    for arguments in ([str(ROOT / "run.py"), "--cfg", "job"], ["-m", "reelbench", "--help"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, *arguments],
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 2 and done.stderr.startswith("error: cannot print: No space left"), done.stderr


def test_a_sweep_goes_on_after_an_error_that_nobody_expected(brightness: Run, tmp_path: Path) -> None:
    done = brightness("--multirun", "analyzer.reason=crash,''", XDG_STATE_HOME=str(tmp_path / "state"))
    assert done.returncode == 70 and "crash report: " in done.stderr, done.stderr
    assert "finished" in done.stdout and len(list((tmp_path / "state/reelbench/crashes").iterdir())) == 1
