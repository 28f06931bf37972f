"""What several commands print alike."""

from __future__ import annotations

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, indent=2))


def human(size: int) -> str:
    """A size as a person reads it, in decimal units."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
