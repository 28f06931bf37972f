"""``reelbench models unpin``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option, print_json


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Take a pin away: what no configuration names may then be pruned. Exit codes: 0 done; 2 it was not pinned."""
    from reelbench.disk.registry import Registry

    registry = Registry.load()
    for name in names:
        registry = registry.unpin(name)
    if as_json:
        print_json({"pins": [pin.model_dump() for pin in registry.pins]})
    else:
        click.echo(f"{len(names)} unpinned, {len(registry.pins)} still pinned")
