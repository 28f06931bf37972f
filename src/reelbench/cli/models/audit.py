"""``reelbench models audit``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option
from reelbench.cli.pruning import audit_log


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Show what was deleted or brought back, when, why and by which plan; of items whose id contains a NAME."""
    audit_log(names, as_json)
