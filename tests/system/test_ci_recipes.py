"""The CI recipes do what they say: every command of theirs runs, in order, in a clone of a small repository.

GitHub's and GitLab's own parts (checkout, caches, uploads) are stood in for: the clone, its Python, and files that stay.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from reelbench.bench.environment import environment
from reelbench.paths import write_text
from support.comparisons import make_calibration
from support.repositories import Repository

from .conftest import ROOT

KNOWN_ACTIONS = {"actions/checkout@v4", "actions/setup-python@v5", "actions/cache@v4", "actions/upload-artifact@v4"}
ACTION = "./.github/actions/reelbench-gate"
SETTINGS = "corpus.path=clips tracking.uri=off"
SPINNING = "src/reelbench/analyzers/spinning.py"


class Done(Exception):
    """A command of a recipe failed."""

    def __init__(self, command: str, code: int, said: str) -> None:
        super().__init__(f"{command}: exit code {code}\n{said}")
        self.command, self.code, self.said = command, code, said


class Machine:
    """A clone of ``origin`` with a Python of its own that finds the packages of the tests' environment installed already."""

    def __init__(self, origin: Repository, folder: Path) -> None:
        self.work = folder / "clone"
        subprocess.run(["git", "clone", "-q", str(origin.root), str(self.work)], check=True)
        self.git("checkout", "-q", "-b", "change")
        origin.clips_in(self.work / "clips")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        (site / "zz_outer.pth").write_text(sysconfig.get_path("purelib") + "\n")  # after what is installed here
        self.environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GIT_DIR")}
        self.environment |= {
            "PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(folder / "venv"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "REELBENCH_MODEL_STORE": str(folder / "model_store"),
        }
        if find_spec("hatchling") and find_spec("editables"):  # what builds is here already: nothing is fetched
            self.environment["PIP_NO_BUILD_ISOLATION"] = "0"  # pip's spelling of 'no isolation'

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self.work), *arguments], capture_output=True, text=True, check=True
        ).stdout

    def run(self, command: str, variables: Mapping[str, str]) -> str:
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
        done = subprocess.run(
            shell,
            cwd=self.work,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            raise Done(command, done.returncode, done.stdout + done.stderr)
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    origin = Repository(tmp_path / "origin")
    outer = sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*reelbench*"))
    yield Machine(origin, tmp_path)
    assert outer == sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*reelbench*"))


def expand(text: str, known: Mapping[str, str]) -> str:
    """GitHub's expressions, as far as the recipes use them: a name, or a name and what stands for it where it is empty."""

    def value(match: re.Match[str]) -> str:
        name, _, default = (part.strip() for part in match[1].partition("||"))
        assert name in known or default, f"the recipe uses {name}, which nobody gives"
        return known.get(name) or default.strip("'")

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)


def github(recipe: Path, machine: Machine, known: Mapping[str, str]) -> None:
    """Run the steps of the one job of a workflow; steps with 'always()' run after a failure, too, which is then raised."""
    (job,) = yaml.safe_load(recipe.read_text())["jobs"].values()
    failure: Done | None = None
    for step, context in _steps(job["steps"], known):
        if failure is not None and step.get("if") != "always()":
            continue
        if "run" not in step:
            assert step["uses"] in KNOWN_ACTIONS
            continue
        variables = {name: expand(str(text), context) for name, text in step.get("env", {}).items()}
        try:
            machine.run(expand(step["run"], context), {**variables, "GITHUB_STEP_SUMMARY": known["summary"]})
        except Done as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _steps(steps: list[dict[str, Any]], known: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], Mapping[str, str]]]:
    for step in steps:
        if step.get("uses") != ACTION:
            yield step, known
            continue
        action = yaml.safe_load((ROOT / ACTION / "action.yml").read_text())
        given = {name: expand(str(value), known) for name, value in step["with"].items()}
        assert set(given) <= set(action["inputs"])
        inputs = {f"inputs.{name}": given.get(name, str(item["default"])) for name, item in action["inputs"].items()}
        for inner in action["runs"]["steps"]:
            assert "uses" in inner or inner["shell"] == "bash"
            yield inner, {**known, **inputs}


def test_the_github_workflow_passes_an_unchanged_branch(machine: Machine, tmp_path: Path) -> None:
    known = {
        "github.base_ref": "main",
        "github.ref": "refs/pull/1/merge",
        "github.workspace": str(machine.work),
        "vars.REELBENCH_GATE_POLICY": "small",
        "vars.REELBENCH_GATE_SETTINGS": SETTINGS,
        "vars.REELBENCH_GATE_DECISIONS": "1",
        "summary": str(tmp_path / "summary.md"),
    }
    github(ROOT / "docs" / "ci" / "github.yml", machine, known)
    summary = (tmp_path / "summary.md").read_text()
    assert "### ReelBench gate: small: passed" in summary and "A/A decisions" in summary
    suites = ElementTree.parse(machine.work / "gate-reports" / "gate.xml").getroot()
    assert int(suites.attrib["tests"]) == 4
    assert list((machine.work / ".reelbench-ci" / "calibration").glob("*.json"))
    ran = machine.run("python -c 'import reelbench; print(reelbench.__file__)'", {})
    assert Path(ran.strip()).is_relative_to(machine.work)


def test_the_gitlab_job_fails_a_branch_that_is_slower(machine: Machine) -> None:
    text = (machine.work / SPINNING).read_text()
    (machine.work / SPINNING).write_text(text.replace("PAUSE_S = 0.06", "PAUSE_S = 0.6"))
    machine.git("-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qam", "Many times the time")

    (job,) = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text()).values()
    given = {"CI_PROJECT_DIR": str(machine.work), "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    chosen = {"REELBENCH_GATE_POLICY": "bare", "REELBENCH_GATE_SETTINGS": SETTINGS, "REELBENCH_GATE_DECISIONS": "1"}
    variables = {
        name: re.sub(r"\$(\w+)", lambda match: given[match[1]], str(value)) for name, value in job["variables"].items()
    }
    assert set(chosen) <= set(variables)
    known = make_calibration().model_copy(update={"fingerprint": environment()["fingerprint"]})
    cached = Path(variables["REELBENCH_CALIBRATION"]) / f"{known.fingerprint}.json"  # as the job's cache brings it back
    assert cached.is_relative_to(machine.work / job["cache"]["paths"][0])
    write_text(cached, known.model_dump_json())
    *before, gate = job["script"]
    for command in before:
        machine.run(command, {**variables, **given, **chosen})
    with pytest.raises(Done) as failed:
        machine.run(gate, {**variables, **given, **chosen})
    assert failed.value.code == 1 and "speed: failed: time" in failed.value.said
    assert "7 false alarms in 200 A/A decisions" in failed.value.said
    junit = machine.work / job["artifacts"]["reports"]["junit"]
    assert ElementTree.parse(junit).getroot().attrib["failures"] == "1"
    assert all((machine.work / path).exists() for path in job["artifacts"]["paths"])
