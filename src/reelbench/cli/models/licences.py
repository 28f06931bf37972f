"""``reelbench models licences``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from reelbench.cli.formats import human, json_option, print_json
from reelbench.errors import EXIT_REGRESSION, ConfigError

if TYPE_CHECKING:
    from reelbench.models.licences import Line

_FLAG = {"agpl": "AGPL", "non-commercial": "NON-COMMERCIAL", "restricted": "RESTRICTED", "unknown": "UNKNOWN"}


@click.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY]...")
@click.option(
    "--fail-on",
    default="",
    metavar="KINDS",
    help="Exit 1 where one of these kinds is there (such as agpl,non-commercial).",
)
@json_option
def command(names: tuple[str, ...], fail_on: str, as_json: bool) -> None:
    """Show what the catalog's licences allow: non-commercial, AGPL, restricted and unknown ones are marked. No legal advice."""
    from reelbench.models.catalog import Catalog
    from reelbench.models.licences import KINDS, MEANS, report

    refused = {one.strip() for one in fail_on.split(",") if one.strip()}
    if strange := refused - set(KINDS):
        raise ConfigError(f"--fail-on: there is no kind '{sorted(strange)[0]}'", f"there are {', '.join(KINDS)}")
    catalog = Catalog.load()
    ids = catalog.resolve(names) if names else list(catalog.artifacts)
    lines = report(catalog[artifact] for artifact in ids)
    bad = [line for line in lines if line.kind in refused]
    if as_json:
        found = [
            {
                "licence": line.licence,
                "kind": line.kind,
                "means": MEANS[line.kind],
                "bytes": line.bytes,
                "families": list(line.families),
                "artifacts": list(line.artifacts),
            }
            for line in lines
        ]
        print_json({"licences": found, "refused": [line.licence for line in bad]})
    else:
        _print(lines)
    if bad:
        click.echo(
            f"refused: {', '.join(f'{line.licence} ({line.kind}: {line.artifacts[0]})' for line in bad)}", err=True
        )
        sys.exit(EXIT_REGRESSION)


def _print(lines: list[Line]) -> None:
    from rich.table import Table

    from reelbench.console import console
    from reelbench.models.licences import MEANS

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("licence", "kind", "files", "size", "families"):
        table.add_column(heading, justify="right" if heading in ("files", "size") else "left", overflow="fold")
    for line in lines:
        kind = _FLAG.get(line.kind, line.kind)
        table.add_row(line.licence, kind, str(len(line.artifacts)), human(line.bytes), ", ".join(line.families))
    target = console()
    target = target if target.is_terminal else console(width=160)
    target.print(table)
    for kind in dict.fromkeys(line.kind for line in lines if line.kind in _FLAG):
        target.print(f"{_FLAG[kind]}: {MEANS[kind]}")
