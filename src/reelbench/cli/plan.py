"""``reelbench plan``: what the whole system will take, before it runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reelbench.system.config import Composed
    from reelbench.system.planning.fit import Fit
    from reelbench.system.setup import Prepared
    from reelbench.system.tasks import Timings

_SETTINGS = {"ignore_unknown_options": True}
_config_dir = click.option(
    "--config-dir", type=click.Path(path_type=Path), help="A folder with your own analyzers, variants and plans."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
_settings = click.argument("settings", nargs=-1, metavar="[SETTING...]")


@click.group("plan")
def command() -> None:
    """Measure what each analyzer costs, and predict what a plan will take."""


@command.command("measure", context_settings=_SETTINGS)
@_settings
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="ID",
    help="Take the timings of this run (or folder) instead of making one. Again for more.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Runs of each kind to make; the median of each clip counts.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them here. [default: plan.timings, else runs/system/timings.json]",
)
@click.option("--keep", is_flag=True, help="Leave timings of other analyzers that the file has in it.")
@click.option(
    "--waiting/--no-waiting",
    default=True,
    show_default=True,
    help="Count what tasks waited for cores that others used; not so for a machine that had other things to do than usual.",
)
@_config_dir
@_json
def measure(
    settings: tuple[str, ...],
    runs: tuple[str, ...],
    repeats: int,
    out: Path | None,
    keep: bool,
    waiting: bool,
    config_dir: Path | None,
    as_json: bool,
) -> int:
    """Write the timings that plans go by, with the fingerprint of this machine.

    Without --run the system is run twice, each clip decoded once: one task at a time (plan=sequential), then with all cores at work
    (plan=auto), which together say how much slower tasks make each other. With a plan that you name it is run once.

    \b
        reelbench plan measure corpus=system
        reelbench plan measure corpus=system plan=auto --repeats 3
        reelbench plan measure --run 20260301-120000-default-auto-1a2b3c

    Exit codes: 0 written; 2 bad usage, or nothing was done that could be measured.
    """
    from reelbench.config import search_path
    from reelbench.report.plan_terminal import print_timings
    from reelbench.report.progress import Progress
    from reelbench.system.planning.measure import compose_measuring, find_run, make_runs, timings_path, write_timings

    command_line = shlex.join(["reelbench", *sys.argv[1:]])
    with Progress() as progress:
        composed = compose_measuring([*settings, *search_path(config_dir)])
        folders = [find_run(composed[0].runs_dir, run) for run in runs]
        folders = folders or make_runs(composed, repeats, command_line, progress)
    target = out or timings_path(composed[0])
    timings, fits = write_timings(folders, target, command_line, keep=keep, waiting=waiting)
    missing = sorted({name for folder in folders for name in folder.record.analyzers} - set(timings.tasks))
    if as_json:
        _print_timings_json(timings, target, fits, missing)
    else:
        print_timings(timings, target, _here(), fits, missing)
    return 0


@command.command("show", context_settings=_SETTINGS)
@_settings
@_config_dir
@_json
def show(settings: tuple[str, ...], config_dir: Path | None, as_json: bool) -> int:
    """Show the timings that plans go by here: reelbench plan show [plan.timings=FILE]."""
    from reelbench.report.plan_terminal import print_timings
    from reelbench.system.planning.measure import known_timings, timings_path

    composed = _composed(settings, config_dir)
    timings, path = known_timings(composed), timings_path(composed)
    if as_json:
        _print_timings_json(timings, path)
    else:
        print_timings(timings, path, _here())
    return 0


@command.command("predict", context_settings=_SETTINGS)
@_settings
@click.option("--run", metavar="ID", help="Hold the prediction against this run, or folder of a run.")
@click.option("--schedule", is_flag=True, help="Print what runs on each core, and when.")
@_config_dir
@_json
def predict(settings: tuple[str, ...], run: str | None, schedule: bool, config_dir: Path | None, as_json: bool) -> int:
    """Predict the makespan of a plan, its critical path, how busy the cores are, and which analyzer limits.

    \b
        reelbench plan predict plan=auto corpus=system
        reelbench plan predict plan=original corpus=system --schedule
        reelbench plan predict plan=auto corpus=system --run 20260301-120000-default-auto-1a2b3c

    SETTINGs are those of 'reelbench system'. The timings are those of 'reelbench plan measure'.
    """
    from reelbench.report.plan_terminal import print_comparison, print_prediction
    from reelbench.system.planning.compare import compare
    from reelbench.system.planning.measure import find_run, known_timings
    from reelbench.system.planning.predict import predict as predicted

    composed = _composed(settings, config_dir)
    timings = known_timings(composed)
    folder = find_run(composed.runs_dir, run) if run is not None else None
    ready = _prepared(composed)
    if folder is not None:
        comparison = compare(ready, timings, folder)
        if as_json:
            _echo_json(comparison.model_dump(mode="json"))
        else:
            print_comparison(comparison)
        return 0
    prediction = predicted(ready, timings)
    if as_json:
        _echo_json(prediction.model_dump(mode="json"))
    else:
        print_prediction(prediction, schedule=schedule)
    return 0


@command.command("whatif", context_settings=_SETTINGS)
@click.argument("words", nargs=-1, metavar="[ANALYZER=FACTORx...] [SETTING...]")
@_config_dir
@_json
def whatif(words: tuple[str, ...], config_dir: Path | None, as_json: bool) -> int:
    """Predict what faster analyzers would bring from end to end, and what 2x on each of them alone would.

    \b
        reelbench plan whatif text_overlay=2x plan=auto corpus=system
        reelbench plan whatif text_overlay=2x decode=1.5x corpus=system
        reelbench plan whatif corpus=system

    'decode' and 'sound' are parts like the analyzers. SETTINGs are those of 'reelbench system'.
    """
    from reelbench.config import search_path
    from reelbench.report.plan_terminal import print_what_if
    from reelbench.system.config import analyzer_names
    from reelbench.system.planning.measure import known_timings
    from reelbench.system.planning.whatif import split_factors, what_if

    factors, settings = split_factors(words, analyzer_names(search_path(config_dir)))
    composed = _composed(settings, config_dir)
    timings = known_timings(composed)
    found = what_if(_prepared(composed), timings, factors)
    if as_json:
        _echo_json(found.model_dump(mode="json"))
    else:
        print_what_if(found)
    return 0


def _composed(settings: Sequence[str], config_dir: Path | None) -> Composed:
    from reelbench.config import search_path
    from reelbench.system.config import compose_system

    return compose_system([*settings, *search_path(config_dir)])


def _prepared(composed: Composed) -> Prepared:
    from reelbench.report.progress import Progress
    from reelbench.system.setup import prepare

    with Progress() as progress:
        return prepare(composed, progress, networks=False)


def _here() -> str:
    from reelbench.machine import fingerprint

    return fingerprint()


def _print_timings_json(timings: Timings, path: Path, fits: Sequence[Fit] = (), missing: Sequence[str] = ()) -> None:
    whole = timings.model_dump(mode="json")
    errors = {fit.name: {"clips": fit.clips, "error": fit.error} for fit in fits}
    _echo_json(
        {
            **whole,
            "file": str(path),
            "this_machine": timings.fingerprint == _here(),
            "fits": errors,
            "not_measured": missing,
        }
    )


def _echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=1))
