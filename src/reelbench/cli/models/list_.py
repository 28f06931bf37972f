"""``reelbench models list``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option
from reelbench.cli.models.statuses import show


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show the catalog, and what of it the store holds. Reads no file's bytes ('verify' does)."""
    from reelbench.models.store import ModelStore

    store = ModelStore()
    show(store, [store.status(artifact) for artifact in store.catalog.artifacts], as_json)
