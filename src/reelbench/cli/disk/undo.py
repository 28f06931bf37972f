"""``reelbench disk undo``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option
from reelbench.cli.pruning import undo


@click.command()
@click.argument("plan", required=False)
@json_option
def command(plan: str | None, as_json: bool) -> None:
    """Bring back from the trash what a prune moved there: that of PLAN, or the last one. What is there again is not
    overwritten."""
    undo(plan, "disk", as_json)
