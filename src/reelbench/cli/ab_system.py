"""``reelbench ab system``: two ways to run the whole system against each other (called by `reelbench.cli.ab`)."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click


def ab_system(
    a: str, b: str, common: Sequence[str], *, resume: bool, config_dir: Path | None, as_json: bool, pairs: int | None
) -> int:
    """Compare, print, and return the exit code."""
    from reelbench.config import search_path
    from reelbench.publish import track
    from reelbench.report.progress import Progress
    from reelbench.report.system_ab_page import write_system_ab_page
    from reelbench.report.system_ab_terminal import comparison_json, print_system_comparison
    from reelbench.system.ab.run import compare_systems

    command = shlex.join(["reelbench", *sys.argv[1:]])
    common = [*common, *search_path(config_dir)]
    with Progress() as progress:
        try:
            folder = compare_systems(
                common, a, b, command, progress, config_dir=config_dir, resume=resume, most_pairs=pairs
            )
        except KeyboardInterrupt:
            progress.message("interrupted: whole pairs are kept; the same command with --resume goes on from there")
            raise
        page = write_system_ab_page(folder.path)
        progress.stage("MLflow")
        if sent := track(folder.path, progress):
            folder.record.mlflow_run_id = sent
    if as_json:
        click.echo(json.dumps(comparison_json(folder.record, str(page)), indent=1))
    else:
        print_system_comparison(folder.record, str(page))
    return folder.record.exit_code
