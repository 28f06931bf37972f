"""The two arms of a gate on a code change: A is a commit's code and configuration, B is the change's.

The code of one of them runs here, and judges: the commit's, or the change's where the commit's cannot.
Corpus, measure, quality, limits and what counts are those of the side that judges, for both, so that
both do the same work and are scored alike.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reelbench.bench.effective import Effective, job_of
from reelbench.bench.process import Code, WorkerDied, WorkerProcess
from reelbench.bench.worker import WIRE
from reelbench.comparison.arms import ArmPlan, check_alike, plan
from reelbench.comparison.gate.policy import Check
from reelbench.comparison.gate.worktree import Commit
from reelbench.comparison.records import ArmName
from reelbench.config import RunConfig, search_path, validate
from reelbench.errors import AnalyzerError, ConfigError, UnavailableError
from reelbench.owners import temporary_folder
from reelbench.processes import run_tied
from reelbench.variant_files import check_variant

COMPOSE_TIMEOUT_S = 120.0
WORKING_TREE = "working tree"
_LATER = "gate against a later commit, one whose workers speak the present version of the messages"
_SEPARATELY = "let the change of the measuring code in first, by itself; or say on_unavailable: warn in the policy"


class ForeignCode(UnavailableError):
    """The commit's code as a whole cannot be measured by the present code: no check of it can."""


@dataclass(frozen=True, slots=True)
class Place:
    """One side. ``top``: its checkout; ``code``: what its workers run; ``config_dir``: the user's own folder of configuration as it
    is on this side, if any; ``label`` and ``commit``: what it is called, and what it is."""

    top: Path
    code: Code
    config_dir: Path | None
    label: str
    commit: str

    @property
    def folders(self) -> list[Path]:
        """Where its configuration lies, the first found first."""
        return [*([self.config_dir] if self.config_dir else []), self.top / "conf"]

    def has(self, analyzer: str, variant: str) -> bool:
        return any((folder / "tuning" / analyzer / f"{variant}.yaml").is_file() for folder in self.folders)


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides; ``judge`` is the one whose code this process runs."""

    a: Place
    b: Place
    commit: Commit
    judge: ArmName

    @property
    def here(self) -> Place:
        return self.a if self.judge == "a" else self.b

    @property
    def there(self) -> Place:
        return self.b if self.judge == "a" else self.a


def config_dir_of(config_dir: Path | None, top: Path, other: Path) -> Path | None:
    """The user's folder in the checkout ``other``, where it lies in ``top``; None where it does not exist there."""
    if config_dir is None or not config_dir.is_relative_to(top):
        return config_dir
    there = other / config_dir.relative_to(top)
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


def plan_here(check: Check, variant: str, settings: Sequence[str], sides: Sides) -> ArmPlan:
    """The arm of the side that judges. Raises ConfigError, and UnavailableError where the variant cannot run here."""
    _require(sides.here, check.analyzer, variant)
    overrides = [*check.overrides(variant), "measure.pairs.statistic=min", *settings]
    own = [f"variant={variant}"]
    place = sides.here
    found = plan(sides.judge, variant, [*search_path(place.config_dir), *(one for one in overrides if one not in own)])
    return replace(found, label=place.label, code=place.code, commit=place.commit)


def plan_there(check: Check, variant: str, settings: Sequence[str], sides: Sides, judging: ArmPlan) -> ArmPlan:
    """The other arm: its own analyzer and decoding, all else as ``judging``.

    Raises UnavailableError where it has no such variant, or the code that judges cannot measure it; ConfigError where the
    change's variant sets what it is judged by.
    """
    place, name = sides.there, check.analyzer
    _require(place, name, variant)
    if sides.judge == "a":
        sources = [{"schema": "file", "path": str(folder)} for folder in place.folders]
        check_variant(name, variant, sources)
    overrides = [f"analyzer={name}", f"variant={variant}"]
    overrides += [one for one in (*check.settings, *settings) if one.lstrip("+~").startswith(("analyzer.", "media."))]
    composed = compose_there(overrides, variant, name, sides)
    here = judging.config.model_dump(mode="json", by_alias=True)
    media = {**here["media"], "decode": composed["media"].get("decode")}
    try:
        config = validate(here | {"analyzer": composed["analyzer"], "media": media}, variant)
    except ConfigError as error:
        raise UnavailableError(
            f"the configuration at {place.label} means nothing to the code that judges: {error.message}"
        ) from error
    described = describe(config, sides)
    if not described["ok"]:
        reason = f"{name} {variant} at {place.label} is unavailable here: {described['reason']}"
        raise UnavailableError(reason, str(described["mend"]))
    other: ArmName = "b" if sides.judge == "a" else "a"
    arm = ArmPlan(
        other, place.label, config, Effective(config, judging.ready.analyzer),
        (*search_path(sides.here.config_dir), *overrides),
        tuple(described["weights"]), place.code, place.commit,
    )  # fmt: skip
    check_alike(judging, arm)
    return arm


def _require(place: Place, analyzer: str, variant: str) -> None:
    if not place.has(analyzer, variant):
        raise UnavailableError(
            f"{analyzer} {variant} does not exist at {place.label}: there is nothing to compare",
            "on_unavailable: warn in the policy lets variants through that only one side has",
        )


def compose_there(overrides: Sequence[str], variant: str, analyzer: str, sides: Sides) -> dict[str, Any]:
    """What the other side's own ``run.py`` composes. UnavailableError where it does not."""
    import yaml

    place = sides.there
    code = Code(place.code.python, place.top / "src", place.code.moved)
    command = [code.python, "run.py", *search_path(place.config_dir), *overrides, "--cfg", "job", "--resolve"]
    try:
        done = run_tied(
            command, cwd=place.top, env=code.environment, capture_output=True, text=True, errors="replace",
            timeout=COMPOSE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        composed = yaml.safe_load(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, yaml.YAMLError) as error:
        raise UnavailableError(f"the code at {place.label} cannot compose its configuration: {error}") from error
    if not isinstance(composed, dict) or not {"analyzer", "media"} <= set(composed):
        said = _last_words(done.stderr) or f"run.py ended with exit code {done.returncode}"
        raise UnavailableError(f"the code at {place.label} cannot compose {analyzer} {variant}: {said}")
    return composed


def describe(config: RunConfig, sides: Sides) -> dict[str, Any]:
    """What the other side's analyzer says of itself, in a process of its code. Raises ForeignCode where a commit's speaks no common
    language, UnavailableError where this analyzer cannot be built there."""
    place = sides.there
    with temporary_folder("reelbench-gate-") as scratch:
        log = scratch / "worker.log"
        try:
            worker = WorkerProcess(job_of(config, log), place.code)
        except (WorkerDied, OSError) as error:
            said = _last_words(log.read_text(errors="replace") if log.is_file() else "")
            why = f": {said}" if said else ""
            text = (
                f"the code at {place.label} cannot be measured by {sides.here.label}, its worker does not answer{why}"
            )
            if sides.judge == "a":
                raise UnavailableError(text, _SEPARATELY) from error
            raise ForeignCode(text, _LATER) from error
        with worker:
            try:
                found: dict[str, Any] = worker.ask("describe", timeout_s=config.measure.load_timeout_s)
            except AnalyzerError as error:
                raise UnavailableError(
                    f"{config.analyzer.name} {config.variant} cannot be built at {place.label}: {error.message}"
                ) from error
            return found


def compile_both(sides: Sides) -> None:
    """Byte code for both, so that no start of either pays for the compiler (a fresh worktree has none)."""
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return
    for code in (sides.a.code, sides.b.code):
        run_tied(
            [code.python, "-m", "compileall", "-q", str(code.source)],
            capture_output=True, timeout=COMPOSE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _last_words(text: str) -> str:
    """The line of a traceback that says what was wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception", "error")) and ":" in line]
    return (named or lines or [""])[-1][:300]
