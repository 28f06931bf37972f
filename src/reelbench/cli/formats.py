"""What several commands print alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reelbench.console import one_line

if TYPE_CHECKING:
    from reelbench.disk.registry import Registry

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, indent=2))


def say_distrusted(registry: Registry) -> None:
    """Say on standard error which folders are only read as text, and why."""
    for line in registry.distrusted:
        click.echo(f"note: {one_line(line)}", err=True)


def human(size: int) -> str:
    """A size as a person reads it, in decimal units."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
