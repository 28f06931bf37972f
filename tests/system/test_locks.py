"""The locks with hashes agree with constraints.txt; a published vulnerability fails the check, its absence of data does not."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import ROOT

FILES = ("pyproject.toml", "constraints.txt", "pylock.toml", "pylock.all.toml")


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", ROOT / "scripts" / "lock.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_locks_agree_with_what_is_pinned(lock: ModuleType) -> None:
    assert lock.problems() == []
    assert max((ROOT / name).stat().st_size for name in lock.LOCKS) < 1_000_000


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("constraints.txt", "numpy==2.4.6", "numpy==2.4.5", "pylock.toml: numpy is 2.4.6, in constraints.txt 2.4.5"),
        ("constraints.txt", "numpy==2.4.6\n", "", "pylock.all.toml: numpy is 2.4.6, in constraints.txt absent"),
        ("pyproject.toml", '"av>=18"', '"av>=99"', "pyproject.toml wants av>=99, locked is 18"),
        ("pyproject.toml", '"av>=18"', '"novel"', "pyproject.toml wants novel, locked is nothing"),
        ("pylock.toml", "https://files.pythonhosted.org/", "https://elsewhere.invalid/", "is not on files.python"),
        ("pylock.toml", 'sha256 = "', 'sha256 = "0', "has no sha256"),
    ],
)
def test_what_disagrees_is_named(lock: ModuleType, tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert any(said in problem for problem in lock.problems(tmp_path))


def audited(tmp_path: Path, vulns: list[dict[str, object]], reasons: str = "", **more: object) -> tuple[int, str]:
    """The audit, with a pip-audit that answers so for every package that it is asked about."""
    package = {"name": "packaging", "version": "1", "vulns": vulns, **more}
    tool = tmp_path / "bin" / "pip-audit"
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps({'dependencies': [package]}))})\n")
    tool.chmod(0o755)
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", copy / "scripts", dirs_exist_ok=True)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    (copy / "scripts" / "vulnerabilities.txt").write_text(reasons)
    environment = {**os.environ, "PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, str(copy / "scripts" / "audit.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_vulnerability_fails_unless_a_reason_is_written_down(tmp_path: Path) -> None:
    known = [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]
    code, said = audited(tmp_path, known)
    assert code == 1 and "packaging 1: PYSEC-1: fixed in 2" in said
    assert audited(tmp_path, known, "# a comment\nCVE-1 ReelBench never reads such files\n")[0] == 0
    assert audited(tmp_path, known, "CVE-1\n")[0] == 1
    assert audited(tmp_path, [])[0] == 0


def test_without_advisories_it_says_so_and_passes(tmp_path: Path) -> None:
    code, said = audited(tmp_path, [], skip_reason="not found")
    assert code == 0 and said.startswith("pip-audit: nothing was audited: ") and said.count("\n") == 1
