"""``reelbench models trash``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option
from reelbench.cli.pruning import Duration, trash


@click.command()
@click.argument("plan", required=False)
@click.option("--empty", is_flag=True, help="Delete it for good. There is no undo.")
@click.option("--older-than", type=Duration(), default="0s", help="With --empty: only what went so long ago (7d).")
@json_option
def command(plan: str | None, empty: bool, older_than: float, as_json: bool) -> None:
    """Show what lies in the trash (of PLAN, or all of it), or delete it for good with --empty."""
    trash(empty, older_than, plan, as_json)
