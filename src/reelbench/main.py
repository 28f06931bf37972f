"""The main job: compose, measure, write the page, track, tell the user. ``python run.py`` and ``reelbench run`` both end here."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench.errors import (
    EXIT_OK,
    EXIT_USAGE,
    AnalyzerError,
    ReelBenchError,
    UnavailableError,
)
from reelbench.exits import exit_code, expected, print_error
from reelbench.paths import conf_dir
from reelbench.processes import ending_by_signal, exit_code_of

if TYPE_CHECKING:
    from reelbench.bench.records import RunRecord
    from reelbench.config import RunConfig
    from reelbench.report.progress import Progress
    from reelbench.report.rows import Row


@dataclass
class Outcome:
    """How one job of a command ended. ``folder`` is None where nothing was measured."""

    analyzer: str
    variant: str
    exit_code: int
    folder: Path | None = None
    error: ReelBenchError | None = None


@dataclass
class Invocation:
    """One command: a single run, or the jobs of a --multirun."""

    argv: list[str]
    outcomes: list[Outcome] = field(default_factory=list)
    sweep: Path | None = None
    config: RunConfig | None = None
    error: ReelBenchError | None = None

    @property
    def command(self) -> str:
        return shlex.join(["python", "run.py", *self.argv])

    @property
    def exit_code(self) -> int:
        return max((outcome.exit_code for outcome in self.outcomes), default=EXIT_OK)


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code (`reelbench.exits` says which errors have which)."""
    return exit_code(lambda: _run(Invocation(list(argv))), ["run.py", *argv])


def _run(invocation: Invocation) -> int:
    try:
        with ending_by_signal():
            _compose_and_run(invocation)
        if invocation.error is not None:
            raise invocation.error
        if invocation.sweep is not None:
            _finish_sweep(invocation)
    except KeyboardInterrupt as error:
        if invocation.sweep is not None and invocation.outcomes[:-1]:
            _finish_sweep(invocation)
        print("interrupted: what was measured is kept; the same command goes on from there", file=sys.stderr)  # noqa: T201
        return exit_code_of(error)
    return invocation.exit_code


def _compose_and_run(invocation: Invocation) -> None:
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises instead of printing and exiting by itself
    sys.argv = [sys.argv[0], *invocation.argv]

    def job(cfg: Any) -> None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra_cfg = HydraConfig.get()
        if hydra_cfg.mode == RunMode.MULTIRUN:
            invocation.sweep = Path(hydra_cfg.sweep.dir)
        _job(invocation, cfg, hydra_cfg.runtime, list(hydra_cfg.overrides.task))

    application = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)
    from reelbench.overrides import one_line_errors

    with one_line_errors(_settings(invocation.argv)):
        application()


def _settings(argv: Sequence[str]) -> list[str]:
    """The settings among the arguments, and the folder of --config-dir as one: what an error is explained by."""
    from reelbench.config import search_path

    found = [word for word in argv if not word.startswith("-")]
    for option, value in pairwise(argv):
        if option in ("--config-dir", "-cd"):
            found = [word for word in found if word != value] + search_path(Path(value))
    return found


def _job(invocation: Invocation, cfg: Any, runtime: Any, overrides: list[str]) -> None:
    """One job: measured, written, told. In a sweep an error is kept as its outcome, and the next job goes on."""
    from reelbench.config import from_composed

    outcome = Outcome(str(runtime.choices["analyzer"]), str(runtime.choices["variant"]), EXIT_OK)
    invocation.outcomes.append(outcome)
    try:
        config = from_composed(cfg, runtime)
        invocation.config = config
        _measure(invocation, config, overrides, outcome)
    except Exception as raised:  # noqa: BLE001
        error = expected(raised, ["run.py", *invocation.argv])
        outcome.exit_code, outcome.error = error.exit_code, error
        if invocation.sweep is None:
            invocation.error = error  # raised outside of Hydra, which would print its own line about it
        else:
            print_error(error)


def _measure(invocation: Invocation, config: RunConfig, overrides: list[str], outcome: Outcome) -> None:
    from reelbench.bench.runner import measure
    from reelbench.report.progress import Progress

    with Progress() as progress:
        folder = measure(config, overrides, invocation.command, progress)
        outcome.folder = folder.path
        _write_page(folder.path, progress)
    outcome.exit_code = _exit_code(folder.record)
    if invocation.sweep is None:
        try:
            _track(config, [folder.path])  # before anything is printed: whoever reads may be gone already
        finally:
            _tell(invocation, config)


def _write_page(folder: Path, progress: Progress) -> None:
    from reelbench.report.page import write_run_page
    from reelbench.report.pictures import run_pictures
    from reelbench.report.run_data import load_run

    pictures, problems = run_pictures(load_run(folder))
    for problem in problems:
        progress.message(problem)
    write_run_page(folder, pictures)


def _exit_code(record: RunRecord) -> int:
    """5 where an analyzer failed or its figures are invalid, 2 where a clip could not be read, else 0."""
    if record.status == "failed" or record.invalid:
        return AnalyzerError.exit_code
    return EXIT_USAGE if any(clip.status == "refused" for clip in record.clips) else EXIT_OK


def _finish_sweep(invocation: Invocation) -> None:
    """One table, one page and one parent run for all jobs."""
    from reelbench.report.page import write_variants_page
    from reelbench.report.rows import Row

    assert invocation.sweep is not None
    folders = [outcome.folder for outcome in invocation.outcomes if outcome.folder is not None]
    missing = [
        Row.failed(outcome.variant, outcome.error) for outcome in invocation.outcomes if outcome.error is not None
    ]
    page = write_variants_page(folders, invocation.sweep / "report.html", missing) if folders else None
    if invocation.config is not None:
        try:
            _track(invocation.config, folders, invocation.sweep)
        finally:
            _tell(invocation, invocation.config, page)


def _tell(invocation: Invocation, config: RunConfig, page: Path | None = None) -> None:
    """Print the table, or the same as JSON, to standard output."""
    from reelbench.bench.run_folder import read_record
    from reelbench.report.rows import Row, as_json
    from reelbench.report.terminal import print_runs

    rows: list[RunRecord | Row] = []
    for outcome in invocation.outcomes:
        if outcome.folder is not None:
            rows.append(Row.of(read_record(outcome.folder), str(outcome.folder / "report.html")))
        elif outcome.error is not None:
            rows.append(Row.failed(outcome.variant, outcome.error))
    report = str(page or next((row.report for row in rows if isinstance(row, Row) and row.report), ""))
    if config.json_output:
        import json

        print(json.dumps(as_json(rows, report), indent=1))  # noqa: T201
    else:
        print_runs(rows, report)


def _track(config: RunConfig, folders: Sequence[Path], sweep: Path | None = None) -> None:
    """Send the runs to MLflow. When it cannot be reached they stay on disk and the user is told."""
    if config.tracking.uri == "off" or not folders:
        return
    from reelbench.tracking.mlflow_store import log_run, log_sweep

    try:
        if sweep is None:
            log_run(folders[0], config.tracking.uri, config.tracking.experiment)
        else:
            log_sweep(folders, config.tracking.uri, config.tracking.experiment, sweep.name, [sweep / "report.html"])
    except UnavailableError as error:
        print_error(error)
        return
    print(f"tracked in MLflow: {config.tracking.uri} (experiment {config.tracking.experiment})", file=sys.stderr)  # noqa: T201
