"""``reelbench models verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reelbench.cli.formats import json_option
from reelbench.cli.models.bars import download_bars
from reelbench.cli.models.statuses import show
from reelbench.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from reelbench.models.quarantine import PutAside
    from reelbench.models.store import How, ModelStore, Status


@click.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY]...")
@click.option("--all", "everything", is_flag=True, help="Read every byte again (the default).")
@click.option("--changed", is_flag=True, help="Read only what changed since it was last hashed.")
@click.option("--header", is_flag=True, help="Read only sizes, and the headers of safetensors and archives.")
@click.option("--quarantine", is_flag=True, help="Put what is damaged aside, into .quarantine of the store.")
@click.option("--refetch", is_flag=True, help="Put what is damaged aside and fetch it again.")
@json_option
def command(
    names: tuple[str, ...],
    everything: bool,
    changed: bool,
    header: bool,
    quarantine: bool,
    refetch: bool,
    as_json: bool,
) -> None:
    """Compare files with the catalog's sha256: all that the store holds, or what is named."""
    from reelbench.models.store import ModelStore

    if everything + changed + header > 1:
        raise ConfigError("--all, --changed and --header are three ways to verify", "say one of them")
    how: How = "changed" if changed else "header" if header else "all"
    store = ModelStore()
    if names:
        ids = store.catalog.resolve(names)
    else:
        ids = [artifact for artifact in store.catalog.artifacts if store.status(artifact).state != "missing"]
    found = store.verify(ids, how)
    aside = store.quarantine(found) if quarantine or refetch else []
    if refetch:
        found = _refetched(store, found)
    show(store, found, as_json, {one.id: str(one.path) for one in aside})
    if bad := [status for status in found if status.state in ("missing", "damaged")]:
        raise _refused(bad, aside)


def _refetched(store: ModelStore, found: list[Status]) -> list[Status]:
    """The same, with what was damaged fetched again."""
    damaged = [status.id for status in found if status.state == "damaged"]
    with download_bars() as progress:
        store.pull(damaged, progress)
    again = {status.id: status for status in store.verify(damaged, "changed")}
    return [again.get(status.id, status) for status in found]


def _refused(bad: list[Status], aside: list[PutAside]) -> WeightsError:
    first = bad[0]
    reason = f"damaged: {first.found}" if first.found else "missing"
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    put = f"; {len(aside)} put aside into {aside[0].path.parents[1]}" if aside else ""
    mend = " ".join(status.id for status in bad[:6])
    return WeightsError(f"{first.path} is {reason}{more}{put}", f"run 'reelbench models pull {mend}'")
