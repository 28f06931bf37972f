"""The code of another commit: found, checked out apart, taken away again; its environment."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from reelbench.bench.process import Code
from reelbench.comparison.gate.environment import environment_of
from reelbench.comparison.gate.judging import judging_files
from reelbench.comparison.gate.overlay import clip_folders, clips_of_commit, moved_node
from reelbench.comparison.gate.worktree import Commit, changed_files, checkout, resolve, worktree
from reelbench.errors import ConfigError, InputError, UnavailableError


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A checkout with two commits and a branch that left the first."""
    folder = tmp_path / "checkout"
    package = folder / "src" / "reelbench"
    package.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for text in ("first", "second"):
        (package / "code.py").write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--no-gpg-sign", "-m", text)
    git(folder, "tag", "v1", "HEAD~1")
    return folder


def test_the_users_checkout_index_and_hooks_are_left_alone(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = top / "src" / "reelbench" / "code.py"
    file.write_text("staged")
    git(top, "add", "-A")
    file.write_text("not staged")
    hook = top / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path / 'hooked'}'\n")
    hook.chmod(0o755)
    before = git(top, "status", "--porcelain"), (top / ".git" / "index").read_bytes()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))  # as git sets it for its own hooks
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nothing"))

    commit = resolve(top, "v1")
    with worktree(top, commit, tmp_path / "trees") as tree:
        assert (tree / "src" / "reelbench" / "code.py").read_text() == "first"
        with pytest.raises(InputError, match="another gate uses"), worktree(top, commit, tmp_path / "trees"):
            pass
        assert tree.is_dir()
    monkeypatch.undo()
    assert not list((tmp_path / "trees").iterdir()) and not (tmp_path / "hooked").exists()
    assert file.read_text() == "not staged"
    assert (git(top, "status", "--porcelain"), (top / ".git" / "index").read_bytes()) == before
    assert len(git(top, "worktree", "list").splitlines()) == 1


def test_what_a_killed_gate_left_is_replaced(top: Path, tmp_path: Path) -> None:
    commit = resolve(top, "HEAD")
    with worktree(top, commit, tmp_path / "trees") as tree:
        path = tree
    git(top, "worktree", "add", "--detach", str(path), commit.sha)
    (path / "src" / "reelbench" / "code.py").write_text("tampered")
    with worktree(top, commit, tmp_path / "trees") as tree:
        assert tree == path and (tree / "src" / "reelbench" / "code.py").read_text() == "second"


def test_a_ref_is_what_the_user_meant_or_one_line(top: Path, tmp_path: Path) -> None:
    assert resolve(top, "v1").subject == "first"
    git(top, "checkout", "-q", "-b", "branch", "v1")
    assert resolve(top, "main").subject == "second"
    assert resolve(top, "main", merge_base=True).subject == "first"
    for bad in ("nosuch", "", "--upload-pack=x", "HEAD:src"):
        with pytest.raises(ConfigError):
            resolve(top, bad)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{top}", str(shallow)], check=True)
    with pytest.raises(ConfigError, match="no commit 'main'") as refused:
        resolve(shallow, "main")
    assert "git fetch --unshallow" in refused.value.hint
    git(shallow, "fetch", "-q", "--depth", "1", "origin", "main:main")
    with pytest.raises(ConfigError, match="no commit in common") as refused:
        resolve(shallow, "main", merge_base=True)
    assert refused.value.hint.endswith(": git fetch --unshallow")
    git(shallow, "fetch", "-q", "--unshallow")
    assert resolve(shallow, "main", merge_base=True).subject == "first"


def test_a_repository_without_a_commit_is_one_line(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(ConfigError, match="has no commit 'HEAD'"):
        resolve(tmp_path, "HEAD")


@pytest.fixture
def films(top: Path, tmp_path: Path) -> tuple[Path, Path, Commit]:
    """A checkout with clips, some of them ignored by git, and a link to others; the commit's own files."""
    for folder, name in ((top / "films", "kept.mp4"), (tmp_path / "one", "a.mp4"), (tmp_path / "two", "b.mp4")):
        folder.mkdir()
        (folder / name).write_text(name)
    (top / "films" / "gone.mp4").write_text("gone")
    (top / "link").symlink_to(tmp_path / "one")
    (top / ".gitignore").write_text("local.mp4\n")
    git(top, "add", "-A")
    git(top, "commit", "-q", "--no-gpg-sign", "-m", "clips")
    tree = tmp_path / "tree"
    git(top, "worktree", "add", "-q", "--detach", str(tree))
    return top, tree, resolve(top, "HEAD")


def test_clips_and_truth_are_those_of_the_commit(films: tuple[Path, Path, Commit], tmp_path: Path) -> None:
    top, tree, commit = films
    assert clips_of_commit(top / "films", top, tree, changed_files(top, commit), tmp_path / "x") == top / "films"
    (top / "films" / "local.mp4").write_text("what git ignores is no part of a change")
    (top / "films" / "gone.mp4").unlink()
    (top / "films" / "kept.mp4").write_text("edited")
    (top / "films" / "kept.truth.json").write_text("added")
    (top / "link").unlink()
    (top / "link").symlink_to(tmp_path / "two")
    changed = changed_files(top, commit)
    found = clips_of_commit(top / "films", top, tree, changed, tmp_path / "x")
    text = {file.name: file.read_text() for file in found.iterdir()}
    assert set(text) == {"kept.mp4", "gone.mp4", "local.mp4"}
    assert text["kept.mp4"] == "kept.mp4" and text["gone.mp4"] == "gone"
    (clip,) = clips_of_commit(top / "link", top, tree, changed, tmp_path / "y").iterdir()
    assert clip.name == "a.mp4"

    corpus = {"parts": [{"path": str(top / "films")}, {"path": str(top / "link")}, {"path": str(tmp_path / "one")}]}
    folders = clip_folders(corpus, top)
    assert folders == [top / "films", top / "link"]
    assert moved_node(corpus, {top / "films": found}, top)["parts"][0] == {"path": str(found)}
    listed = judging_files(top, tree, commit, None, dict.fromkeys(folders, "clip of the corpus"))
    assert {file.path: file.change for file in listed} == {
        "films/gone.mp4": "removed", "films/kept.mp4": "changed", "films/kept.truth.json": "added", "link": "changed",
    }  # fmt: skip


def test_files_that_git_ignores_count_where_they_are_imported(films: tuple[Path, Path, Commit]) -> None:
    top, tree, commit = films
    (top / ".git" / "info" / "exclude").write_text("evil.py\n")
    for part in ("bench", "analyzers"):
        (top / "src" / "reelbench" / part).mkdir()
        (top / "src" / "reelbench" / part / "evil.py").write_text("")
    listed = judging_files(top, tree, commit, None, {})
    assert [(file.path, file.kind) for file in listed] == [("src/reelbench/bench/evil.py", "measuring code")]


def test_only_a_checkout_has_commits(top: Path, tmp_path: Path) -> None:
    assert checkout(top / "src" / "reelbench") == top
    installed = tmp_path / "site-packages" / "reelbench"
    installed.mkdir(parents=True)
    with pytest.raises(InputError, match="no git repository"):
        checkout(installed)
    beside = top / ".venv" / "site-packages" / "reelbench"
    beside.mkdir(parents=True)
    with pytest.raises(InputError, match="is not the checkout"):
        checkout(beside)


def test_analyzers_beside_the_package_are_those_of_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present, other = tmp_path / "present", tmp_path / "other"
    for folder in (present / "plugins", other / "plugins", present / ".venv", other / "src" / "reelbench"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(present / "plugins"), str(present / ".venv"), str(tmp_path)])
    path = Code(sys.executable, other / "src", (present, other)).environment["PYTHONPATH"].split(":")
    assert path == [str(other / "src"), str(other / "plugins"), str(present / ".venv"), str(tmp_path)]


def write_project(folder: Path, dependencies: list[str], constraints: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    quoted = ", ".join(f"'{name}'" for name in dependencies)
    (folder / "pyproject.toml").write_text(f"[project]\nname = 'x'\ndependencies = [{quoted}]\n")
    (folder / "constraints.txt").write_text(constraints)
    return folder


def make_wheel(folder: Path, version: str) -> Path:
    """A wheel with one module, written by hand."""
    wheel = folder / f"reelbench_test_pin-{version}-py3-none-any.whl"
    info = f"reelbench_test_pin-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("reelbench_test_pin.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: reelbench-test-pin\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def test_other_pins_get_an_environment_of_their_own_once(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "1.0")
    present = write_project(tmp_path / "present", ["numpy"], "numpy==1 # old\n\n")
    assert (
        environment_of(write_project(tmp_path / "same", ["numpy"], "numpy==1\n"), present, tmp_path).python
        == sys.executable
    )

    tree = write_project(tmp_path / "tree", [f"reelbench-test-pin @ file://{wheel}"])
    own = environment_of(tree, present, tmp_path / "environments")
    code = "import reelbench_test_pin as p; print(p.VERSION)"
    done = subprocess.run([own.python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1.0" and own.python != sys.executable and "its own" in own.text
    wheel.unlink()  # nothing is installed again
    assert environment_of(tree, present, tmp_path / "environments") == own

    broken = write_project(tmp_path / "broken", [f"reelbench-test-pin @ file://{tmp_path}/absent.whl"])
    with pytest.raises(UnavailableError, match="cannot install what that commit needs: ERROR"):
        environment_of(broken, present, tmp_path / "environments")
    with pytest.raises(UnavailableError, match="cannot install"):  # a half-made environment is not taken for one
        environment_of(broken, present, tmp_path / "environments")
