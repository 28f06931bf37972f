"""The two arms of a gate on a code change: A is a commit's code with that commit's configuration, B is the working tree.

Corpus, measure, quality and what counts are those of the working tree for both, so that both do the same work and are scored alike.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reelbench.bench.environment import git_state
from reelbench.bench.process import Code, WorkerDied, WorkerProcess
from reelbench.bench.setup import Effective, job_of
from reelbench.bench.worker import WIRE
from reelbench.comparison.arms import ArmPlan, check_alike, plan
from reelbench.comparison.gate.environment import Environment
from reelbench.comparison.gate.policy import Check
from reelbench.comparison.gate.worktree import Commit
from reelbench.config import RunConfig, search_path, validate
from reelbench.errors import AnalyzerError, ConfigError, UnavailableError
from reelbench.owners import temporary_folder
from reelbench.paths import PACKAGE
from reelbench.processes import run_tied

COMPOSE_TIMEOUT_S = 120.0
WORKING_TREE = "working tree"
_LATER = "gate against a later commit, one whose workers speak the present version of the messages"


class ForeignCode(UnavailableError):
    """The commit's code as a whole cannot be measured by the present code: no check of it can."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The code of both arms. ``top`` is the checkout that runs, ``tree`` the worktree of ``commit``; ``config_dir``: the user's own
    folder of configuration, if any."""

    top: Path
    tree: Path
    commit: Commit
    environment: Environment
    config_dir: Path | None = None

    @property
    def a(self) -> Code:
        return Code(self.environment.python, self.tree / "src", (self.top, self.tree))

    @property
    def b(self) -> Code:
        return Code(sys.executable, PACKAGE.parent)

    @property
    def commit_config_dir(self) -> Path | None:
        """The user's folder as it was at the commit, where it lies in the checkout; None where it did not exist."""
        if self.config_dir is None or not self.config_dir.is_relative_to(self.top):
            return self.config_dir
        there = self.tree / self.config_dir.relative_to(self.top)
        return there if there.is_dir() else None


def check_wire(tree: Path, commit: Commit) -> None:
    """ForeignCode where the commit's workers cannot understand the present code: said before an environment is built for them."""
    file = tree / "src" / "reelbench" / "bench" / "worker.py"
    found = re.search(r"^WIRE = (\d+)$", file.read_text(encoding="utf-8"), re.M) if file.is_file() else None
    if found is None or int(found[1]) != WIRE:
        speaks = f"version {found[1]}" if found else "no version"
        raise ForeignCode(
            f"the code at {commit.short} cannot be measured by the present one: its workers speak {speaks} of the messages, "
            f"the present ones version {WIRE}",
            _LATER,
        )


def plan_present(check: Check, variant: str, settings: Sequence[str], sides: Sides) -> ArmPlan:
    """Arm B. Raises ConfigError, and UnavailableError where the variant cannot run here."""
    overrides = [*check.overrides(variant), "measure.pairs.statistic=min", *settings]
    own = [f"variant={variant}"]
    found = plan("b", variant, [*search_path(sides.config_dir), *(one for one in overrides if one not in own)])
    state = git_state(sides.top)
    commit = str(state.get("commit", "")) + (f"+{state['change']}" if "change" in state else "")
    return replace(found, label=WORKING_TREE, code=sides.b, commit=commit)


def plan_commit(check: Check, variant: str, settings: Sequence[str], sides: Sides, present: ArmPlan) -> ArmPlan:
    """Arm A. Raises UnavailableError where the commit has no such variant, or its code cannot be measured by the present one."""
    overrides = [f"analyzer={check.analyzer}", f"variant={variant}"]
    overrides += [one for one in (*check.settings, *settings) if one.lstrip("+~").startswith(("analyzer.", "media."))]
    composed = compose_there(overrides, variant, check.analyzer, sides)
    short = sides.commit.short
    merged = present.config.model_dump(mode="json", by_alias=True) | {
        "analyzer": composed["analyzer"],
        "media": composed["media"],
    }
    try:
        config = validate(merged, variant)
    except ConfigError as error:
        raise UnavailableError(
            f"the configuration at {short} means nothing to the present code: {error.message}"
        ) from error
    described = describe(config, sides)
    if not described["ok"]:
        reason = f"{check.analyzer} {variant} at {short} is unavailable here: {described['reason']}"
        raise UnavailableError(reason, str(described["mend"]))
    arm = ArmPlan(
        "a", short, config, Effective(config, present.ready.analyzer), tuple(overrides), tuple(described["weights"]),
        sides.a, sides.commit.sha,
    )  # fmt: skip
    check_alike(arm, present)
    return arm


def compose_there(overrides: Sequence[str], variant: str, analyzer: str, sides: Sides) -> dict[str, Any]:
    """What the commit's own ``run.py`` composes. UnavailableError where it does not."""
    import yaml

    folders = [sides.tree / "conf", *([sides.commit_config_dir] if sides.commit_config_dir else [])]
    if not any((folder / "tuning" / analyzer / f"{variant}.yaml").is_file() for folder in folders):
        raise UnavailableError(
            f"{analyzer} {variant} does not exist at {sides.commit.short}: there is nothing to hold it against",
            "on_unavailable: warn in the policy lets new variants through",
        )
    command = [sides.a.python, "run.py", *search_path(sides.commit_config_dir), *overrides, "--cfg", "job", "--resolve"]
    try:
        done = run_tied(
            command, cwd=sides.tree, env=sides.a.environment, capture_output=True, text=True, errors="replace",
            timeout=COMPOSE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        composed = yaml.safe_load(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, yaml.YAMLError) as error:
        raise UnavailableError(f"the code at {sides.commit.short} cannot compose its configuration: {error}") from error
    if not isinstance(composed, dict) or not {"analyzer", "media"} <= set(composed):
        said = _last_words(done.stderr) or f"run.py ended with exit code {done.returncode}"
        raise UnavailableError(f"the code at {sides.commit.short} cannot compose {analyzer} {variant}: {said}")
    return composed


def describe(config: RunConfig, sides: Sides) -> dict[str, Any]:
    """What the commit's analyzer says of itself, in a process of its code. Raises ForeignCode where that speaks no common language,
    UnavailableError where this analyzer cannot be built there."""
    with temporary_folder("reelbench-gate-") as scratch:
        log = scratch / "worker.log"
        try:
            worker = WorkerProcess(job_of(config, log), sides.a)
        except (WorkerDied, OSError) as error:
            said = _last_words(log.read_text(errors="replace") if log.is_file() else "")
            why = f": {said}" if said else ""
            raise ForeignCode(
                f"the code at {sides.commit.short} cannot be measured by the present one, its worker does not answer{why}",
                _LATER,
            ) from error
        with worker:
            try:
                found: dict[str, Any] = worker.ask("describe", timeout_s=config.measure.load_timeout_s)
            except AnalyzerError as error:
                raise UnavailableError(
                    f"{config.analyzer.name} {config.variant} cannot be built at {sides.commit.short}: {error.message}"
                ) from error
            return found


def compile_both(sides: Sides) -> None:
    """Byte code for both, so that no start of either pays for the compiler (a fresh worktree has none)."""
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return
    for code in (sides.a, sides.b):
        run_tied(
            [code.python, "-m", "compileall", "-q", str(code.source)],
            capture_output=True, timeout=COMPOSE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _last_words(text: str) -> str:
    """The line of a traceback that says what was wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception", "error")) and ":" in line]
    return (named or lines or [""])[-1][:300]
