"""A record says 'running' only while a live process has its folder; what a killed process left half written goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from reelbench.bench.record_folder import read_record_file, settle_killed
from reelbench.bench.records import RunRecord
from reelbench.comparison.calibration import calibrate
from reelbench.comparison.calibration.calibrate import CalibrationState
from reelbench.comparison.gate.folder import FILE, kept, read_gate
from reelbench.comparison.gate.records import GateRecord, Side
from reelbench.owners import claim, sweep, temporary_folder
from reelbench.paths import write_text
from reelbench.report.pareto import write_pareto_page
from reelbench.tracking.kinds import kinds
from reelbench.tracking.sync import local_folders
from support.runs import make_run
from support.tracked import tracked_comparison
from support.tracked_systems import tracked_load, tracked_system, tracked_systems_ab


def _calibration(runs: Path) -> Path:
    state = CalibrationState(
        id="c", created="", command="", key="k", clips=["a"], slow_downs=[0.0], looks=(8,), smallest_change=0.05
    )
    write_text(runs / "calibrations" / "c" / calibrate.FILE, state.model_dump_json(indent=1))
    return runs / "calibrations" / "c"


def _gate(runs: Path) -> Path:
    record = GateRecord(
        id="g", created="", policy="p", design="code", command="", fingerprint="f", a=Side(label="a"), b=Side(label="b")
    )
    with kept(record, runs) as folder:
        pass
    return folder


def _run(runs: Path) -> Path:
    make_run(runs / "r")
    return runs / "r"


KINDS: list[tuple[str, Callable[[Path], Path], Callable[[Path], Any]]] = [
    *(
        (kind.file, made, kind.read)
        for kind in kinds()
        for made in [
            {
                "run.json": _run,
                "comparison.json": lambda runs: tracked_comparison(runs / "comparisons", "c"),
                "system.json": lambda runs: tracked_system(runs, "s"),
                "system_comparison.json": lambda runs: tracked_systems_ab(runs, "sc"),
                "load.json": lambda runs: tracked_load(runs, "l"),
            }[kind.file]
        ]
    ),
    (
        calibrate.FILE,
        _calibration,
        lambda folder: read_record_file(folder / calibrate.FILE, CalibrationState, "a calibration"),
    ),
    (FILE, _gate, read_gate),
]


def says(folder: Path, name: str, status: str) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), "status": status}, indent=1))


@pytest.mark.parametrize(("name", "made", "read"), KINDS, ids=[name for name, _, _ in KINDS])
def test_a_record_whose_process_is_gone_is_interrupted(
    name: str, made: Callable[[Path], Path], read: Callable[[Path], BaseModel], tmp_path: Path
) -> None:
    folder = made(tmp_path / "runs")
    says(folder, name, "running")
    assert read(folder).status == "interrupted"  # type: ignore[attr-defined]
    held = claim(folder)
    assert held is not None
    assert read(folder).status == "running"  # type: ignore[attr-defined]
    held.release()
    says(folder, name, "finished" if name != FILE else "passed")
    assert read(folder).status in ("finished", "passed")  # type: ignore[attr-defined]


def test_lists_pages_and_pareto_say_interrupted(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    make_run(runs / "whole", variant="optimized")
    make_run(runs / "killed")
    says(runs / "killed", "run.json", "running")
    listed, _ = local_folders(runs)
    assert {one.folder.name: one.kind.row(one.record)["status"] for one in listed} == {
        "whole": "finished",
        "killed": "interrupted",
    }
    page = write_pareto_page([runs / "whole", runs / "killed"], tmp_path / "pareto.html").read_text()
    assert "cut off; what was measured is kept" in page and "not finished yet" not in page


def test_the_next_folder_settles_those_of_killed_processes(tmp_path: Path) -> None:
    for name in ("live", "killed"):
        make_run(tmp_path / name)
        says(tmp_path / name, "run.json", "running")
        (tmp_path / name / "results" / ".a.12345678.part.json").touch()
    make_run(tmp_path / "finished")
    (tmp_path / "finished" / ".report.12345678.part.html").touch()
    held = claim(tmp_path / "live")
    (tmp_path / "live" / "results" / ".b.12345678.part.json").touch()
    settle_killed(tmp_path, "run.json", RunRecord)
    assert held is not None
    recorded = {name: json.loads((tmp_path / name / "run.json").read_text())["status"] for name in ("live", "killed")}
    assert recorded == {"live": "running", "killed": "interrupted"}
    assert [path.parts[-3] for path in tmp_path.rglob(".*.part*")] == ["live"]


KILLED = """
import os, signal, sys
from pathlib import Path
from reelbench.owners import temporary_folder
from reelbench.paths import atomic_path
with temporary_folder("reelbench-test-", Path(sys.argv[1])), atomic_path(Path(sys.argv[1]) / "page.html") as part:
    part.write_text("half")
    if sys.argv[2] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.read()
"""


def _writer(folder: Path, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_what_a_killed_process_left_of_a_file_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    dead = _writer(tmp_path, "dies")
    assert dead.wait(60) == -signal.SIGKILL
    live = _writer(tmp_path, "waits")
    assert live.stdout is not None and live.stdout.readline() == "writing\n"
    # The live one has swept what the dead one left; another killed one leaves more.
    assert _writer(tmp_path, "dies").wait(60) == -signal.SIGKILL
    (tmp_path / ".page.notes.html").write_text("a user's own file")
    assert len(list(tmp_path.glob(".page.????????.part.html"))) == 2
    write_text(tmp_path / "page.html", "mine")
    with temporary_folder("reelbench-test-", tmp_path):
        pass
    assert (
        len(list(tmp_path.glob(".page.????????.part.html"))) == 1 and len(list(tmp_path.glob("reelbench-test-*"))) == 1
    )
    live.communicate("")
    assert live.returncode == 0 and (tmp_path / "page.html").read_text() == "half"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".page.notes.html", "page.html"]


def test_a_folder_that_others_own_or_a_link_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    os.mkfifo(tmp_path / "fifo")  # opening it must not wait for a writer
    sweep([tmp_path / "link", tmp_path / "absent", tmp_path / "fifo"])
    assert (tmp_path / "kept").is_dir() and (tmp_path / "link").is_symlink()
