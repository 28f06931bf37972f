"""``reelbench models refs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reelbench.cli.formats import human, json_option, print_json, say_distrusted

if TYPE_CHECKING:
    from reelbench.disk.records import Reason


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what only configurations name that are switched off.")
@json_option
def command(everything: bool, as_json: bool) -> None:
    """Show every name that a configuration or a pin needs, and by whom: the workspaces' analyzers, variants, corpora and systems.

    Exit codes: 0 shown; 2 a configuration cannot be resolved, or a workspace is not there.
    """
    from reelbench.disk.references import resolve
    from reelbench.disk.registry import Registry
    from reelbench.models.catalog import Catalog

    registry = Registry.load()
    say_distrusted(registry)
    found = resolve(registry)
    rows = {name: (found.names.get(name, ()), found.mentions.get(name, ())) for name in {*found.names, *found.mentions}}
    rows = {name: row for name, row in sorted(rows.items()) if ":" in name and (row[0] or everything)}
    if as_json:
        print_json(
            {
                "store": str(registry.root),
                "compositions": len(found.compositions),
                "names": {
                    name: {
                        "needed": [{"kind": reason.kind, "chain": reason.chain} for reason in needed],
                        "mentioned": [list(reason.chain) for reason in mentioned],
                    }
                    for name, (needed, mentioned) in rows.items()
                },
            }
        )
        return
    catalog = Catalog.load().artifacts
    for name, (needed, mentioned) in rows.items():
        entry = catalog.get(name.removeprefix("weights:"))
        click.echo(name + (f"  {human(entry.bytes)}  {entry.licence}" if entry else ""))
        for line in [*_lines(needed), *_lines(mentioned)]:
            click.echo(f"  {line}")
    click.echo(f"{len(rows)} names, from {len(found.compositions)} compositions and {len(registry.pins)} pins")


def _lines(reasons: tuple[Reason, ...]) -> list[str]:
    """Who needs it, each once; whose results are taken by whom is left to 'why'."""
    direct = [reason for reason in reasons if len(reason.chain) <= 3]
    return list(dict.fromkeys(", ".join(reason.chain[:-1][-1:]) for reason in direct or reasons))
