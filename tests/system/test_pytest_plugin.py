"""The pytest plugin, in suites of a team's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .conftest import ROOT, environment

FUNCTIONS = """
import pytest
from reelbench.comparison import functions

now = [0.0]
functions.perf_counter = lambda: now[0]  # what decides is the clock's, not the machine's: a busy one would answer otherwise

def once(): now[0] += 0.002
def same(): now[0] += 0.002
def twice(): now[0] += 0.004
QUICK = dict(looks=(8, 14, 20), slice_s=0.004)

@pytest.mark.reelbench
def test_slower(reelbench): reelbench.assert_not_slower(once, twice, by=0.3, **QUICK)
def test_equal(reelbench): reelbench.assert_not_slower(once, same, by=0.3, **QUICK)
def test_faster(reelbench): reelbench.assert_not_slower(twice, once, strict=True, **QUICK)
def test_undecided(reelbench): reelbench.assert_not_slower(once, same, looks=(3,), slice_s=0.002)
def test_undecided_strictly(reelbench): reelbench.assert_not_slower(once, same, looks=(3,), slice_s=0.002, strict=True)
def test_figures(reelbench):
    found = reelbench.compare_functions(once, twice, **QUICK)
    assert found.outcome == "slower" and found.speed.effect.pairs == len(found.pairs) in QUICK["looks"]
    assert found.calls[0] >= 1 and set(found.pairs[0].order) == {"A", "B"} and found.speed.effect.low > 1.05
def test_mixed(reelbench):
    with pytest.raises(TypeError): reelbench.assert_not_slower("baseline", once)
def test_its_own_error(reelbench):
    with pytest.raises(ZeroDivisionError): reelbench.assert_not_slower(once, lambda: 1 / 0)
"""

VARIANTS = """
import os
SETTINGS = dict(
    analyzer="brightness", corpus="folder", measure="quick", config_dir=os.environ["CONF"],
    overrides=["corpus.path=" + os.environ["CLIPS"], "measure.pairs.looks=[7]"],
)
def test_slower(reelbench): reelbench.assert_not_slower("plain", "plain analyzer.pause_s=0.3", **SETTINGS)
def test_faster(reelbench): reelbench.assert_not_slower("plain analyzer.pause_s=0.3", "plain", **SETTINGS)
def test_invalid(reelbench): reelbench.assert_not_slower("plain", "pretender", **SETTINGS)
"""


def suite(folder: Path, text: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The suite, run by pytest with the plugins that are installed, in a folder of its own."""
    (folder / "test_suite.py").write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        "-rA",
        "--strict-markers",
    ]
    return subprocess.run(
        [*command, *options, "test_suite.py"],
        cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_functions(tmp_path: Path) -> None:
    done = suite(tmp_path, FUNCTIONS)
    assert "6 passed" in done.stdout and "2 failed" in done.stdout, done.stdout
    for line in ("FAILED test_suite.py::test_slower", "FAILED test_suite.py::test_undecided_strictly"):
        assert line in done.stdout
    assert re.search(
        r"twice against once: .* slower \(95 % interval .*, \d+ pairs\); 30 % more time is allowed", done.stdout
    )
    assert "ReelBenchWarning: inconclusive: same against once" in done.stdout
    assert "test_slower" not in suite(tmp_path, FUNCTIONS, "-m", "not reelbench", "--collect-only", "-q").stdout


def test_the_suite_that_the_documentation_shows(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S)
    (shown,) = [block for block in blocks if "count_before" in block]
    done = suite(tmp_path, shown)
    assert "2 passed" in done.stdout, done.stdout


def test_variants(tmp_path: Path, clips: Path) -> None:
    places = {"CONF": str(ROOT / "tests" / "conf"), "CLIPS": str(clips)}
    done = suite(tmp_path, VARIANTS, "--reelbench-runs-dir", str(tmp_path / "kept"), **places)
    assert "1 passed" in done.stdout and "2 failed" in done.stdout, done.stdout
    assert "PASSED test_suite.py::test_faster" in done.stdout
    assert "slower by more than 5 %: plain analyzer.pause_s=0.3 is at least" in done.stdout
    assert "asked for int8, ran fp32" in done.stdout
    assert len(list((tmp_path / "kept" / "comparisons").iterdir())) == 3
