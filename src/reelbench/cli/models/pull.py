"""``reelbench models pull``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reelbench.cli.formats import json_option, print_json
from reelbench.cli.models.bars import download_bars
from reelbench.errors import ConfigError

if TYPE_CHECKING:
    from reelbench.models.store import ModelStore


@click.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY]...")
@click.option("--all", "everything", is_flag=True, help="Fetch the whole catalog.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="Downloads at once (default: REELBENCH_DOWNLOAD_JOBS, else 4)."
)
@click.option("--offline", is_flag=True, help="Ask only folders and the hub's cache, never the network.")
@json_option
def command(names: tuple[str, ...], everything: bool, jobs: int | None, offline: bool, as_json: bool) -> None:
    """Fetch what is absent or damaged; what is there and right is left alone. A broken download goes on where it was."""
    from reelbench.models.store import ModelStore

    store = ModelStore()
    if bool(names) == everything:
        raise ConfigError("name what to fetch, or say --all", "'reelbench models list' shows what there is")
    ids = list(store.catalog.artifacts) if everything else store.catalog.resolve(names)
    with download_bars() as progress:
        pulled = store.pull(ids, progress, jobs, offline)
    if as_json:
        print_json({"store": str(store.root), "artifacts": [_pulled(store, one) for one in pulled]})
        return
    for one in pulled:
        click.echo(f"{one.id}  {'from ' + one.tried[-1].source if one.tried else 'was there'}")
    click.echo(f"{len(pulled)} in {store.root}")


def _pulled(store: ModelStore, pulled: Any) -> dict[str, Any]:
    entry = store.catalog[pulled.id]
    return {
        "id": pulled.id,
        "path": str(pulled.path),
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "source": pulled.tried[-1].source if pulled.tried else None,
        "tried": [{"source": one.source, "reason": one.reason} for one in pulled.tried],
    }
