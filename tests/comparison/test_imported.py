"""A file that pytest-benchmark really wrote becomes a run that pages, comparisons and MLflow take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reelbench.bench.run_folder import RunFolder
from reelbench.comparison.offline.compare import compare_runs, save_comparison
from reelbench.comparison.offline.imported import import_benchmark
from reelbench.errors import InputError
from reelbench.report.ab_page import write_ab_page
from reelbench.report.page import write_run_page
from reelbench.tracking.payload import read_payload

SUITE = """
import pytest
@pytest.mark.parametrize("n", range(1, 8))
def test_sum(benchmark, n):
    benchmark.pedantic(lambda: sum(range(100 * n)), rounds=5, iterations=4)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pytest-benchmark wrote full.json, and the same without its data under .benchmarks."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    options = ["--benchmark-json", str(folder / "full.json"), "--benchmark-save", "bare"]
    # pytest-benchmark measures nothing in a worker of pytest-xdist, and would take this for one.
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")}
    command += [*options, "test_suite.py"]
    subprocess.run(command, cwd=folder, env=alone, check=True, capture_output=True, timeout=240)
    return folder


@pytest.fixture(scope="module")
def content(written: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((written / "full.json").read_text())
    return loaded


def changed(content: dict[str, Any], file: Path, times: float = 1.0, **commit: Any) -> Path:
    copy = json.loads(json.dumps(content))
    copy["commit_info"] = {"id": "c0ffee" * 6, "project": "suite", "dirty": False, **commit}
    for benchmark in copy["benchmarks"]:
        benchmark["stats"]["data"] = [times * seconds for seconds in benchmark["stats"]["data"]]
    file.write_text(json.dumps(copy))
    return file


def test_every_value_becomes_a_sample(written: Path, content: dict[str, Any], tmp_path: Path) -> None:
    made = import_benchmark(written / "full.json", tmp_path, name="before")
    run = RunFolder.open(made.folder)
    assert run.record.requested == "before" and len(run.record.clips) == 7 and len(run.samples) == 35
    first = content["benchmarks"][0]
    values = [row["total_s"] for row in run.samples if row["clip"] == first["fullname"]]
    assert values == first["stats"]["data"]
    assert all(row["cpu_s"] is None and row["duration_s"] is None for row in run.samples)
    again = import_benchmark(written / "full.json", tmp_path, name="before")
    assert (again.folder, again.new) == (made.folder, False)


def test_the_commit_names_it(content: dict[str, Any], tmp_path: Path) -> None:
    record = import_benchmark(changed(content, tmp_path / "x.json", dirty=True), tmp_path).record
    assert (record.requested, record.corpus, record.analyzer) == ("c0ffeec0ff-dirty", "suite", "pytest-benchmark")


def test_imported_runs_have_pages_go_to_mlflow_and_are_compared(content: dict[str, Any], tmp_path: Path) -> None:
    a = import_benchmark(changed(content, tmp_path / "a.json"), tmp_path / "runs").folder
    b = import_benchmark(changed(content, tmp_path / "b.json", times=3.0, id="bead" * 10), tmp_path / "runs").folder
    assert "test_sum[1]" in write_run_page(a).read_text()
    assert read_payload(a).metrics["total_s_median"] > 0
    record = compare_runs(a, b)
    assert record.verdict == "inconclusive" and record.quality is None
    assert record.speed is not None and record.speed.effect.ratio == pytest.approx(3)
    assert record.fingerprint.startswith("imported-")
    assert "test_sum[1]" in write_ab_page(save_comparison(record, tmp_path / "runs")).read_text()


def test_benchmarks_of_one_run_only_are_left_out_and_said(content: dict[str, Any], tmp_path: Path) -> None:
    fewer = {**content, "benchmarks": content["benchmarks"][1:]}
    a = import_benchmark(changed(content, tmp_path / "a.json"), tmp_path / "runs").folder
    b = import_benchmark(changed(fewer, tmp_path / "b.json", id="bead" * 10), tmp_path / "runs").folder
    record = compare_runs(a, b)
    assert len(record.pairs) == 6 and any("left out: test_suite.py::test_sum[1]" in note for note in record.notes)


def test_another_machine_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    a = import_benchmark(changed(content, tmp_path / "a.json"), tmp_path / "runs").folder
    machine = {**content["machine_info"], "release": "another kernel"}
    other = changed({**content, "machine_info": machine}, tmp_path / "b.json", id="bead" * 10)
    record = compare_runs(a, import_benchmark(other, tmp_path / "runs").folder)
    assert record.verdict == "invalid" and record.exit_code == 2 and "different machine" in record.invalid


def test_statistics_without_values_are_refused_with_the_way_out(written: Path, tmp_path: Path) -> None:
    (bare,) = (written / ".benchmarks").rglob("*.json")
    with pytest.raises(InputError, match="statistics only") as caught:
        import_benchmark(bare, tmp_path / "runs")
    assert "--benchmark-save-data" in caught.value.hint and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not JSON", "is not JSON"),
        ("[]", "not a file of pytest-benchmark"),
        ('{"benchmarks": [], "machine_info": {}}', "has no benchmarks"),
        ('{"benchmarks": [{}], "machine_info": {}, "datetime": "2026-03-01T12:00:00"}', "has no name"),
        ('{"benchmarks": [{"name": "x"}], "machine_info": {}, "datetime": "soon"}', "datetime"),
        (
            '{"benchmarks": [{"name": "x", "stats": {"data": [1]}}, {"name": "x", "stats": {"data": [9]}}],'
            ' "machine_info": {}, "datetime": "2026-03-01T12:00:00"}',
            "two benchmarks that are called x",
        ),
        (
            '{"benchmarks": [{"name": "x", "stats": {"data": [1, NaN]}}], "machine_info": {}, "datetime": "2026-03-01T12:00:00"}',
            "value 2 is nan s",
        ),
    ],
)
def test_other_files_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=words):
        import_benchmark(tmp_path / "x.json", tmp_path / "runs")
    with pytest.raises(InputError, match="cannot be read"):
        import_benchmark(tmp_path / "none.json", tmp_path / "runs")
