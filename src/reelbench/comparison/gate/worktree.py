"""Check out another commit in a git worktree of its own; the user's checkout and index are never touched.

Hooks do not run, and variables that git sets for its own hooks are taken out of the way, so that a gate can be started from one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from reelbench.config import digest
from reelbench.errors import ConfigError, InputError
from reelbench.paths import PACKAGE, describe_os_error
from reelbench.processes import run_tied

TIMEOUT_S = 120.0
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE")


@dataclass(frozen=True, slots=True)
class Commit:
    """``ref`` is what the user wrote, ``sha`` the commit that it means."""

    ref: str
    sha: str
    subject: str

    @property
    def short(self) -> str:
        return self.sha[:7]


def checkout(package: Path = PACKAGE) -> Path:
    """The top of the git checkout that the running code lies in (``<top>/src/reelbench``); InputError where there is none."""
    if shutil.which("git") is None:
        raise InputError("git is not installed: a gate against a commit needs it", "install git")
    hint = "install the checkout itself (pip install -e .), or gate against a stored baseline (--baseline)"
    try:
        top = Path(_git(package, "rev-parse", "--show-toplevel")).resolve()
    except _GitFailed as error:
        if "not a git repository" in str(error):
            raise InputError(
                f"the code that runs, {package}, is in no git repository: it has no commits", hint
            ) from error
        raise InputError(f"git cannot read the repository around {package}: {error}") from error
    if package.resolve() != top / "src" / "reelbench":
        raise InputError(f"the code that runs, {package}, is not the checkout {top}", hint)
    return top


def resolve(top: Path, ref: str, *, merge_base: bool = False) -> Commit:
    """The commit that ``ref`` means, or with ``merge_base`` the one where the present branch left it. ConfigError without one."""
    if not ref or ref.startswith("-"):
        raise ConfigError(f"'{ref}' names no commit", "--against HEAD~1, --against origin/main, --against a1b2c3d")
    try:
        sha = _git(top, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    except _GitFailed as error:
        hint = _unshallow(top) or f"git fetch, then: git log {ref}"
        raise ConfigError(f"{top} has no commit '{ref}'", hint) from error
    if merge_base:
        try:
            sha = _git(top, "merge-base", sha, "HEAD")
        except _GitFailed as error:
            hint = _unshallow(top) or "leave out --merge-base"
            raise ConfigError(f"'{ref}' and HEAD have no commit in common", hint) from error
    return Commit(ref, sha, _git(top, "log", "-1", "--format=%s", sha))


def _unshallow(top: Path) -> str:
    """What to do about a clone without its history, which CI services make by default; '' where it has all of it."""
    shallow = _git(top, "rev-parse", "--is-shallow-repository") == "true"
    return "this clone is shallow, its history was cut off: git fetch --unshallow" if shallow else ""


@contextmanager
def worktree(top: Path, commit: Commit, parent: Path | None = None) -> Iterator[Path]:
    """The files of ``commit`` under ``parent`` (by default in the user's cache folder); taken away again afterwards.

    What another gate of the same commit holds at this moment is not touched: InputError. OutputError where nothing can be written.
    """
    from filelock import FileLock, Timeout

    folder = (parent or cache_dir() / "worktrees") / f"{commit.sha[:12]}-{digest(str(top))[:8]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another gate uses {folder} now", "wait for it, or give this one its own --worktrees DIR"
        ) from error
    except OSError as error:
        raise describe_os_error(error, folder.parent, "cannot write") from error
    try:
        _sweep(top, folder)
        _git(top, "worktree", "add", "--detach", "--force", str(folder), commit.sha)
        yield folder
    except _GitFailed as error:
        raise InputError(f"git cannot check out {commit.short}: {error}") from error
    finally:
        _remove(top, folder)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def changed_files(top: Path, commit: Commit, *, untracked: bool = True) -> set[str]:
    """The files of the checkout ``top`` that differ from the commit's: edited, added, removed and, with ``untracked``, those that git
    does not know yet and does not ignore."""
    own = ("-c", "core.fsmonitor=false")  # a repository's settings may name programs to start
    try:
        found = _git(top, *own, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", commit.sha, "--")
        if untracked:
            found += "\0" + _git(top, *own, "ls-files", "--others", "--exclude-standard", "-z")
    except _GitFailed as error:
        hint = _unshallow(top) or "git fetch brings the commit"
        raise InputError(f"git cannot tell what {top} changes since {commit.short}: {error}", hint) from error
    return {name for name in found.split("\0") if name}


def cache_dir() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("reelbench")) / "gate"


def _sweep(top: Path, mine: Path) -> None:
    """Take away what gates that were killed left: in the folder that is ours now, and in those that nobody holds."""
    from filelock import FileLock, Timeout

    for left in mine.parent.glob("*.lock"):
        if left.with_suffix("") == mine:
            continue
        try:
            with FileLock(left, timeout=0):
                shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                left.unlink(missing_ok=True)
        except (Timeout, OSError):
            continue  # in use, or not ours to remove
    _remove(top, mine)


def _remove(top: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(_GitFailed):  # git locks a worktree while it makes it: one that was cut off then stays locked
        _git(top, "worktree", "unlock", str(folder))
    _git(top, "worktree", "prune")


class _GitFailed(Exception):
    """git said no; the text is its last line."""


def _git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    command = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = run_tied(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _GitFailed(f"git {arguments[0]} did not end within {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _GitFailed((lines or ["git failed"])[-1].removeprefix("fatal: "))
    return done.stdout.strip()
