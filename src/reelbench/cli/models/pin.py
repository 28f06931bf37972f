"""``reelbench models pin``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option, print_json


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--why", default="", help="What it is kept for; shown by 'reelbench models why'.")
@json_option
def command(names: tuple[str, ...], why: str, as_json: bool) -> None:
    """Keep what is named, whatever the configurations say; without a name, show the pins.

    NAME: hf:org/name[@revision], weights:<id of the catalog>, derived:<key>, torch_hub:<file>, easyocr:<file>, ultralytics:<file>,
    run:<id>, path:</absolute/path>; or hf://org/name, as configurations spell it.
    """
    from reelbench.disk.registry import Registry

    registry = Registry.load()
    for name in names:
        registry = registry.pin(name, why)
    if as_json:
        print_json({"pins": [pin.model_dump() for pin in registry.pins]})
        return
    for pin in registry.pins:
        click.echo(f"{pin.name}  since {pin.since[:10]}" + (f"  {pin.why}" if pin.why else ""))
    if not registry.pins:
        click.echo("nothing is pinned")
