"""Start the judge of a change: the code of the commit that it is compared with, in a process of its own.

``reelbench gate --against REF`` checks that commit out and asks its code by ``reelbench gate
--change CHECKOUT``. What is left to the change's code is this module and the command that calls it;
whoever starts the second command from a checkout of the commit leaves it nothing.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reelbench.bench.process import Code
from reelbench.comparison.gate.environment import environment_of
from reelbench.comparison.gate.judging import JUDGE, tracked_calibration
from reelbench.comparison.gate.worktree import Commit, cache_dir, changed_files, checkout, resolve
from reelbench.errors import InputError
from reelbench.machine import fingerprint
from reelbench.processes import Ended, tied


@dataclass(frozen=True, slots=True)
class Change:
    """A checkout that is judged, the interpreter that runs it, and how the user named the commit
    that it is held against.
    """

    top: Path
    python: str
    ref: str = ""


def cannot_judge(tree: Path) -> str:
    """Why the code in ``tree`` cannot judge; '' where it can."""
    file = tree / "src" / "reelbench" / "comparison" / "gate" / "judging.py"
    found = re.search(r"^JUDGE = (\d+)$", file.read_text(encoding="utf-8"), re.M) if file.is_file() else None
    if found is None:
        return "the commit's code is from before a commit's code could judge"
    return (
        "" if int(found[1]) == JUDGE else f"the commit's code judges by version {found[1]} of the options, not {JUDGE}"
    )


def let_commit_judge(change: Change, tree: Path, words: Sequence[str], extras: Sequence[str]) -> int:
    """The exit code of ``reelbench gate WORDS`` with the code in ``tree``, about ``change``; it
    writes to our terminal.

    Raises UnavailableError where what that code needs cannot be installed.
    """
    found = environment_of(tree, change.top, cache_dir() / "environments", extras)
    code = Code(found.python, tree / "src", (change.top, tree))
    about = ["--change", str(change.top), "--change-python", change.python, "--named", change.ref]
    command = [code.python, "-P", "-m", "reelbench", "gate", *words, *about]
    # A process group of its own, so that it gets each signal once: from us.
    with subprocess.Popen(tied(command), env=code.environment, process_group=0) as judge:
        while True:
            try:
                done = judge.wait()
                break
            except KeyboardInterrupt as stop:
                with suppress(ProcessLookupError):
                    os.kill(judge.pid, stop.number if isinstance(stop, Ended) else signal.SIGINT)
    return 128 - done if done < 0 else done


def judging_commit(change: Change) -> tuple[Path, Commit]:
    """The checkout of the code that runs, and its commit. InputError where it is none, or was
    edited: it is to judge ``change``.
    """
    tree = checkout()
    if tree == change.top:
        raise InputError(
            f"{tree} cannot judge itself", "start the gate from a checkout of the commit, or say --against"
        )
    commit = resolve(tree, "HEAD")
    if edited := sorted(changed_files(tree, commit, untracked=False)):
        raise InputError(
            f"the code that is to judge, in {tree}, was edited: {edited[0]}", "start the gate from a clean checkout"
        )
    return tree, commit


def use_calibration_of_commit(change: Change, commit: Commit, tree: Path) -> str:
    """Where calibrations are committed, and the change edits this machine's: the commit's is read.
    The edited file's path, else ''.
    """
    if name := tracked_calibration(change.top, commit, fingerprint()):
        os.environ["REELBENCH_CALIBRATION"] = str((tree / name).parent)
    return name


def this_change(ref: str) -> Change:
    """The checkout of the code that runs, as a change."""
    return Change(checkout(), sys.executable, ref)
