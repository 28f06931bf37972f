"""Where timings come from and go to: a run made for them, or runs that there are, and the file beside the runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reelbench.bench.progress import Progress
from reelbench.errors import InputError
from reelbench.paths import write_text
from reelbench.system.config import Composed, compose_system
from reelbench.system.costs import busy_s, wall_s
from reelbench.system.folder import RECORD, SystemFolder
from reelbench.system.planning.fit import Fit, timings_of
from reelbench.system.runner import run_system
from reelbench.system.setup import TIMINGS, machine_of
from reelbench.system.tasks import Timings, read_timings

ALONE = ("plan=sequential", "plan.decode=once")
"""A run in which each task has the machine for itself."""
TOGETHER = ("plan=auto", "plan.decode=once")
"""A run in which all cores work: with the other it says how much slower tasks make each other."""


def compose_measuring(settings: Sequence[str]) -> list[Composed]:
    """The configurations of the runs for timings: `ALONE`, and where there is more than one core `TOGETHER`; a plan in ``settings`` is
    taken instead, as it is."""
    if any(item.split("=")[0] == "plan" for item in settings):
        return [compose_system(settings)]
    alone, together = (compose_system([*plan, *settings]) for plan in (ALONE, TOGETHER))
    return [alone, together] if len(machine_of(alone.plan).cores) > 1 else [alone]


def make_runs(composed: Sequence[Composed], repeats: int, command: str, progress: Progress) -> list[SystemFolder]:
    """So many runs of each, in turn, so that a drift of the machine meets all alike. No copy of a clip is looked at: nothing is
    claimed of these runs."""
    plain = [replace(one, system=one.system.model_copy(update={"check_copy": False})) for one in composed]
    return [run_system(one, command, progress) for _ in range(repeats) for one in plain]


def find_run(runs_dir: Path, name: str) -> SystemFolder:
    """The run with this id in ``runs_dir``, or the folder of that path. InputError where there is none."""
    path = Path(name) if (Path(name) / RECORD).is_file() else runs_dir / name
    if not (path / RECORD).is_file():
        there = sorted((file.parent.name for file in runs_dir.glob(f"*/{RECORD}")), reverse=True)
        hint = f"there are: {', '.join(there[:3])}" if there else "reelbench system makes one"
        raise InputError(f"there is no system run '{name}' in {runs_dir}", hint)
    return SystemFolder.open(path)


def timings_path(composed: Composed) -> Path:
    """The file that a plan reads: the one that it names, else the one beside the runs."""
    return composed.plan.timings or composed.runs_dir / TIMINGS


def known_timings(composed: Composed) -> Timings:
    """The timings that there are. InputError where nobody has measured any."""
    path = timings_path(composed)
    if not path.is_file():
        raise InputError(
            f"there are no timings: {path}",
            "reelbench plan measure corpus=… writes them; --run ID takes those of a run",
        )
    return read_timings(path)


def write_timings(
    folders: Sequence[SystemFolder], target: Path, command: str, *, keep: bool = False, waiting: bool = True
) -> tuple[Timings, list[Fit]]:
    """Fit the runs into ``target``. ``keep``: timings that it has of analyzers which these runs have not stay in it.
    ``waiting``: the time counts in which tasks waited for cores that others used.

    Raises InputError as `fit.timings_of` does, and where those to be kept are of another machine; OutputError.
    """
    found, fits = timings_of(folders, command, wall_s if waiting else busy_s)
    if keep and target.is_file():
        old = read_timings(target)
        if old.fingerprint != found.fingerprint:
            raise InputError(f"{target} is of another machine ({old.machine})", "measure all anew, without --keep")
        found = found.model_copy(update={"tasks": dict(sorted({**old.tasks, **found.tasks}.items()))})
    write_text(target, found.model_dump_json(indent=1) + "\n")
    return found, fits
