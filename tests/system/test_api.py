"""ReelBench from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import reelbench
from reelbench.comparison.folder import read_comparison

from .conftest import ROOT, environment

CONF = ROOT / "tests" / "conf"


def test_the_exported_names_are_these() -> None:
    assert sorted(reelbench.__all__) == sorted(
        [
            "__version__", "compare", "compare_runs", "measure",
            "Arm", "Audit", "Calibrated", "ComparisonRecord", "Effect", "Judging", "Pair", "Quality", "RunRecord", "Speed",
            "AnalyzerError", "ConfigError", "InputError", "MediaError", "OutputError", "ReelBenchError", "UnavailableError",
            "UsageError", "WeightsError",
        ]
    )  # fmt: skip
    for name in reelbench.__all__:
        assert getattr(reelbench, name) is not None and name in dir(reelbench)
    assert not hasattr(reelbench, "nothing")


def test_importing_it_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import reelbench, reelbench.pytest_plugin; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", f"import pytest; {code}"], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    assert loaded <= {"reelbench", "reelbench.pytest_plugin", "pathlib", "warnings", "importlib", "os"}


def test_measure_and_compare(clips: Path, tmp_path: Path) -> None:
    (clips / "good.truth.json").write_text(json.dumps({"objects": []}))
    runs = tmp_path / "runs"
    where = {"corpus": "folder", "measure": "quick", "runs_dir": runs, "config_dir": CONF}
    common = [f"corpus.path={clips}", "quality._target_=support.metrics.RightLabels", "measure.pairs.looks=[7]"]

    found = reelbench.compare(
        "brightness",
        "plain analyzer.pause_s=0.3",
        "plain",
        overrides=common,
        **where,  # type: ignore[arg-type]
    )
    assert isinstance(found, reelbench.ComparisonRecord) and found.verdict == "faster", found.sentence
    folder = runs / "comparisons" / found.id
    assert read_comparison(folder) == found and (folder / "report.html").is_file()
    again = reelbench.compare_runs(folder / "a", folder / "b")
    assert again.verdict == "faster" and again.speed is not None and found.speed is not None
    assert again.speed.effect == found.speed.effect

    run = reelbench.measure("brightness", "plain", overrides=common, **where)  # type: ignore[arg-type]
    assert isinstance(run, reelbench.RunRecord) and run.status == "finished"
    assert (runs / run.run_id / "report.html").is_file()
    assert reelbench.compare_runs(run.run_id, folder / "b", runs_dir=runs).design == "separate runs"


def test_a_plain_script_is_not_run_again_by_the_processes_that_it_starts(clips: Path, tmp_path: Path) -> None:
    """Pages and corpora spawn processes; each would by default run a script without ``if __name__ == "__main__"`` again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import reelbench, multiprocessing, time\n"
        "from reelbench.bench import runner\n"
        "measure = runner.measure\n"
        "def and_spawn(*arguments):\n"
        "    child = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(0,))\n"
        "    child.start(); child.join()\n"
        "    print('child ended with', child.exitcode)\n"
        "    return measure(*arguments)\n"
        "runner.measure = and_spawn\n"
        f"run = reelbench.measure('brightness', 'plain', corpus='folder', overrides=['corpus.path={clips}'],\n"
        f"    measure='quick', config_dir='{CONF}')\n"
        "print('ran as', __name__, run.status)\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240, check=True
    )
    assert done.stdout.splitlines() == ["child ended with 0", "ran as __main__ finished"], done.stderr


def test_mistakes_are_typed() -> None:
    with pytest.raises(reelbench.ConfigError, match="no variant"):
        reelbench.measure(variant="nonsense")
    with pytest.raises(reelbench.ConfigError, match="one text"):
        reelbench.measure(overrides="seed=1")
    with pytest.raises(reelbench.UsageError, match="no such folder"):
        reelbench.compare(config_dir="nowhere")
    with pytest.raises(reelbench.InputError, match="no run"):
        reelbench.compare_runs("x", "y", runs_dir="nowhere")
