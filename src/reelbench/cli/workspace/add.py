"""``reelbench workspace add``."""

from __future__ import annotations

from pathlib import Path

import click

from reelbench.cli.formats import json_option
from reelbench.cli.workspace.list_ import show


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--text-only", is_flag=True, help="Do not build its classes: only the names that its files spell out count."
)
@click.option("--runs", type=click.Path(path_type=Path), help="A folder with its runs, where that is not DIR/runs.")
@json_option
def command(folder: Path, text_only: bool, runs: Path | None, as_json: bool) -> None:
    """Let the configurations below DIR/conf count. Each must compose; a workspace that was added already takes the new settings.

    Exit codes: 0 added; 2 it has no configuration, or one that cannot be resolved: it is then not added.
    """
    from reelbench.disk.references import check
    from reelbench.disk.registry import Registry

    registry = Registry.load()
    check(registry.candidate(folder, text_only), registry.root)
    registry = registry.add_workspace(folder, text_only)
    if runs is not None:
        registry = registry.add_runs_dir(runs)
    show(registry, as_json)
