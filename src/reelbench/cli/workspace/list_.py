"""``reelbench workspace list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reelbench.cli.formats import json_option, print_json
from reelbench.console import one_line

if TYPE_CHECKING:
    from reelbench.disk.registry import Registry, Workspace


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show whose configurations count, and where runs are looked for. The shipped one and that of the current checkout always do."""
    from reelbench.disk.registry import Registry

    show(Registry.load(), as_json)


def show(registry: Registry, as_json: bool) -> None:
    """The workspaces, each with what is wrong with it."""
    rows = [_row(registry, workspace) for workspace in registry.workspaces]
    if as_json:
        print_json(
            {"store": str(registry.root), "workspaces": rows, "runs": [str(path) for path in registry.runs_dirs]}
        )
        return
    for row in rows:
        notes = [*([] if row["registered"] else ["always counts"]), *(["by its text only"] if row["text_only"] else [])]
        notes += [f"only read as text: {row['distrust']}"] if row["distrust"] else []
        click.echo(one_line(str(row["path"])) + (f"  ({', '.join(notes)})" if notes else ""))
        if row["problem"]:
            click.echo(f"  {row['problem']}")
    for path in registry.runs_dirs:
        click.echo(f"{path}  (runs)")


def _row(registry: Registry, workspace: Workspace) -> dict[str, object]:
    from reelbench.disk.references import require
    from reelbench.errors import UnresolvedRoot

    problem = ""
    try:
        require(workspace)
    except UnresolvedRoot as error:
        problem = str(error)
    return {
        "path": str(workspace.path),
        "registered": any(one.path == workspace.path for one in registry.registered),
        "text_only": workspace.text_only,
        "distrust": workspace.distrust,
        "problem": problem,
    }
