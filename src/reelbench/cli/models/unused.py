"""``reelbench models unused``."""

from __future__ import annotations

import click

from reelbench.cli.formats import human, json_option, print_json, say_distrusted


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show the weights that no configuration and no pin needs, in the store and in every tool's cache. Nothing is changed.

    Exit codes: 0 shown; 2 it cannot be told what is needed.
    """
    from reelbench.disk import inventory
    from reelbench.disk.references import resolve
    from reelbench.disk.registry import Registry

    registry = Registry.load()
    say_distrusted(registry)
    references = resolve(registry)
    found = inventory.take(registry)
    unused = [item for item in found.items if item.kind == "weights" and not references.reasons(item)]
    unused.sort(key=lambda item: (-item.bytes, item.id))
    frees = inventory.freed(unused, found)
    if as_json:
        print_json(
            {
                "bytes_freed": frees,
                "items": [
                    {
                        "id": item.id,
                        "title": item.title,
                        "path": [str(item.root.path / part.path) for part in item.parts],
                        "bytes": item.bytes,
                        "names": list(item.names),
                        "last_used": item.used_ns / 1e9 or None,
                        "busy": item.busy,
                        "named_by_disabled": [list(reason.chain) for reason in references.mentioned(item)],
                    }
                    for item in unused
                ],
            }
        )
        return
    from datetime import UTC, datetime

    for item in unused:
        when = "no use recorded"
        if item.used_ns:
            when = f"last used {datetime.fromtimestamp(item.used_ns / 1e9, UTC):%Y-%m-%d}"
        click.echo(
            f"{human(item.bytes):>8}  {item.root.cache}  {item.title}  ({when}{f'; {item.busy}' if item.busy else ''})"
        )
        for chain in list(dict.fromkeys(" > ".join(reason.chain[:2]) for reason in references.mentioned(item)))[:3]:
            click.echo(f"          named by {chain}")
    click.echo(f"{len(unused)} unused; deleting all of them frees {human(frees)}: reelbench models prune")
