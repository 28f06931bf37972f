"""``reelbench claims`` as a user starts it."""

from __future__ import annotations

import json
from pathlib import Path

from reelbench.bench.environment import environment
from reelbench.comparison.folder import read_comparison
from support.comparisons import make_comparison, write_comparison

from .conftest import Run


def test_the_shipped_ledger_where_nothing_was_measured_yet(run: Run) -> None:
    done = run("claims", program="reelbench")
    assert done.returncode == 3, done.stderr
    flat = " ".join(done.stdout.split())
    for said in (
        "object_detection: no comparison yet: reelbench ab analyzer=object_detection a=baseline b=optimized corpus=demo",
        "disk: what was freed lay on another disk",
        "its own log said 31.2 s",
        "only the ratio can be checked",
    ):
        assert said in flat


def test_a_ledger_of_one_s_own_against_a_comparison_of_this_machine(run: Run, tmp_path: Path) -> None:
    ledger = tmp_path / "mine.yaml"
    claim = "{id: detector, analyzer: object_detection, before: 50.3, after: 25.0, speed_up: 2.0, unit: s}"
    ledger.write_text(f"title: Mine\nsource: me\nclaims: [{claim}]\n")
    folder = make_comparison(tmp_path / "runs" / "comparisons", name="one", ratio=0.25)
    here = environment()["fingerprint"]
    write_comparison(folder, read_comparison(folder).model_copy(update={"fingerprint": here}))
    arguments = ("claims", str(ledger), "--runs-dir", str(tmp_path / "runs"))

    done = run(*arguments, "--json", "--markdown", str(tmp_path / "claims.md"), program="reelbench")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    (row,) = answer["claims"]
    assert (row["id"], row["verdict"], row["speed_up"], row["quality"]) == ("detector", "exceeded", 2.0, "not worse")
    assert row["low"] < row["measured"] < row["high"] and here in answer["machine"] and answer["exit_code"] == 0
    assert "| detector |" in (tmp_path / "claims.md").read_text()

    shown = run(*arguments, program="reelbench")
    assert shown.returncode == 0 and "exceeded" in shown.stdout and "one of 2026-03-01" in shown.stdout


def test_a_wrong_ledger_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("title: T\nsource: S\nclaims: [{id: x, unit: s, befor: 3}]\n")
    for name, said in (("nobody", "there is no ledger 'nobody'"), (str(tmp_path / "bad.yaml"), "claim 'x': ")):
        done = run("claims", name, program="reelbench")
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr.startswith("error: ") and said in done.stderr
