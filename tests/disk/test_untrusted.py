"""Folders that nobody registered, or that another user owns: commands that list, prune or report run nothing of them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from reelbench import paths
from reelbench.bench.environment import git_state
from reelbench.cli import cli
from reelbench.comparison.claims.measured import this_machine
from reelbench.disk.references import resolve
from reelbench.disk.registry import Registry
from reelbench.errors import ReelBenchError
from reelbench.machine import fingerprint
from support.disks import Disk, Revision

REPOSITORY = "org/mine"
CODE = """
import os, pathlib
pathlib.Path(os.environ["CANARY"]).write_text("ran")
class Network:
    weights = artifacts = ()
    def __init__(self, **settings):
        pass
"""
NODE = {"_target_": "planted.Network", "name": "plain", "weights": [f"hf://{REPOSITORY}"]}
COMMANDS = [
    "models unused", "models refs", "models why hf:org/mine", "models prune", "disk", "disk prune", "workspace list",
    "models list", "models licences", "models scan .", "track list", "track sync", "report --pareto", "compare runs/a runs/b",
]  # fmt: skip


@pytest.fixture
def planted(disk: Disk) -> Path:
    """A folder with a configuration, modules, a plug-in of Hydra and a repository of git, all of which write a file when they run."""
    folder = disk.base / "planted"
    files = {
        "conf/config.yaml": yaml.safe_dump({"defaults": ["_self_"], "hydra": {"searchpath": ["pkg://planted"]}}),
        "conf/analyzer/plain.yaml": yaml.safe_dump(NODE),
        "conf/tuning/plain/baseline.yaml": yaml.safe_dump({"_target_": "planted.Network"}),
        "conf/corpus/demo.yaml": yaml.safe_dump({"_target_": "planted.Network"}),
        "conf/weights/evil.yaml": "!!python/object/apply:os.system ['touch ran']",
        "config.yaml": yaml.safe_dump(NODE),
        "planted.py": CODE,
        "hydra_plugins/planted.py": CODE,
        "src/planted.py": CODE,
    }
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (folder / "runs").mkdir()
    os.mkfifo(folder / "conf/analyzer/pipe.yaml")
    disk.repository(REPOSITORY, [Revision({"model.safetensors": ("mine", 5000)})])
    return folder


@pytest.fixture
def run(planted: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """Runs a command in that folder; it may not run what lies there. The shipped configuration has one analyzer."""
    shipped = disk.base / "shipped/conf"
    for name, text in {"config": "defaults: [_self_, analyzer: one]\n", "analyzer/one": "name: one\n"}.items():
        (shipped / name).parent.mkdir(parents=True, exist_ok=True)
        (shipped / f"{name}.yaml").write_text(text)
    (shipped / "weights").mkdir()
    monkeypatch.setattr(paths, "conf_dir", lambda: shipped)
    monkeypatch.chdir(planted)
    monkeypatch.setenv("CANARY", str(disk.base / "ran"))

    def call(command: str) -> Result:
        done = CliRunner().invoke(cli, command.split())
        assert not (disk.base / "ran").exists() and not (planted / "ran").exists(), command
        assert done.exception is None or isinstance(done.exception, ReelBenchError | SystemExit), done.exception
        return done

    return call


def test_no_command_that_lists_prunes_or_reports_runs_what_lies_in_the_current_folder(
    run: Callable[[str], Result],
) -> None:
    for command in COMMANDS:
        run(command)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_settings_of_a_repository_start_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "ran"
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    Path(".gitattributes").write_text("*.txt diff=planted\n")
    Path("a.txt").write_text("a\n")
    for command in ("init", "add .", "-c user.name=x -c user.email=x@y.z commit -m x"):
        subprocess.run(["git", *command.split()], check=True, capture_output=True)
    for setting in ("core.fsmonitor", "diff.planted.textconv", "diff.external"):
        subprocess.run(["git", "config", setting, f"touch {canary}; false"], check=True)
    Path("a.txt").write_text("b\n")
    assert git_state(Path.cwd())["dirty"] is True
    assert not canary.exists()
    assert this_machine().fingerprint == fingerprint()


def test_such_a_folder_is_read_as_text_and_that_is_said(run: Callable[[str], Result]) -> None:
    done = run(f"models why hf:{REPOSITORY} --json")
    assert "only read as text: it is not registered (reelbench workspace add" in done.stderr
    (answer,) = json.loads(done.stdout)
    assert ["file conf/analyzer/plain.yaml, read as text (enabled)", f"hf:{REPOSITORY}"] in [
        reason["chain"][1:] for reason in answer["needed"]
    ]
    unused = run("models unused --json")
    assert "read as text" in unused.stderr and json.loads(unused.stdout)["items"] == []


def test_what_is_registered_runs_unless_another_user_owns_it(
    planted: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", str(disk.base / "ran"))
    for name in ("conf/weights/evil.yaml", "conf/analyzer/pipe.yaml", "conf/config.yaml"):
        (planted / name).unlink()
    registry = Registry.load(disk.store, with_shipped=False).add_workspace(planted)
    real = Path.stat

    def of_another(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:4], 12345, *found[5:])) if path == planted / "conf" else found

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", of_another)
        found = resolve(registry)
        assert "another user (number 12345)" in registry.distrusted[0]
    assert f"hf:{REPOSITORY}" in found.names
    assert not (disk.base / "ran").exists()
    resolve(registry)
    assert stat.S_ISREG((disk.base / "ran").stat().st_mode), "what is registered is composed, and its classes are built"
