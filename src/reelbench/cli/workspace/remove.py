"""``reelbench workspace remove``."""

from __future__ import annotations

from pathlib import Path

import click

from reelbench.cli.formats import json_option
from reelbench.cli.workspace.list_ import show


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Let a workspace, or a folder of runs, go: nothing of it is deleted, but what only it needs may be pruned from now on."""
    from reelbench.disk.registry import Registry

    registry = Registry.load()
    if folder.absolute() in registry.added_runs:
        registry = registry.remove_runs_dir(folder)
    else:
        registry = registry.remove_workspace(folder)
    show(registry, as_json)
