"""``reelbench models verify``."""

from __future__ import annotations

import click

from reelbench.cli.formats import json_option
from reelbench.cli.models.statuses import show
from reelbench.errors import WeightsError


@click.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY]...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Read every byte again and compare its sha256 with the catalog's: of all that the store holds, or of what is named."""
    from reelbench.models.store import ModelStore

    store = ModelStore()
    if names:
        ids = store.catalog.resolve(names)
    else:
        ids = [artifact for artifact in store.catalog.artifacts if store.status(artifact).state != "missing"]
    found = store.verify(ids)
    show(store, found, as_json)
    if bad := [status for status in found if not status.ok]:
        first = bad[0]
        reason = f"damaged: {first.found}" if first.found else "missing"
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        mend = " ".join(status.id for status in bad[:6])
        raise WeightsError(f"{first.path} is {reason}{more}", f"run 'reelbench models pull {mend}'")
