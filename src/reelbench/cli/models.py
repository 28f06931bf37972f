"""``reelbench models``: fill, list and verify the model store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from reelbench.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from reelbench.models.session import Progress
    from reelbench.models.store import ModelStore, Status

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


@click.group()
def command() -> None:
    """Fetch, list and verify weights, footage and fonts (the catalog is conf/weights)."""


@command.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY]...")
@click.option("--all", "everything", is_flag=True, help="Fetch the whole catalog.")
@_json
def pull(names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Fetch what is absent or damaged; what is there and right is left alone."""
    store = _store()
    if bool(names) == everything:
        raise ConfigError("name what to fetch, or say --all", "'reelbench models list' shows what there is")
    ids = list(store.catalog.artifacts) if everything else store.catalog.resolve(names)
    with _progress() as progress:
        pulled = store.pull(ids, progress)
    if as_json:
        _print_json({"store": str(store.root), "artifacts": [_pulled(store, one) for one in pulled]})
        return
    for one in pulled:
        click.echo(f"{one.id}  {'from ' + one.tried[-1].source if one.tried else 'was there'}")
    click.echo(f"{len(pulled)} in {store.root}")


@command.command(name="list")
@_json
def list_(as_json: bool) -> None:
    """Show the catalog, and what of it the store holds. Reads no file's bytes ('verify' does)."""
    store = _store()
    _show(store, [store.status(artifact) for artifact in store.catalog.artifacts], as_json)


@command.command()
@click.argument("names", nargs=-1, metavar="[ID|FAMILY]...")
@_json
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Read every byte again and compare its sha256 with the catalog's: of all that the store holds, or of what is named."""
    store = _store()
    if names:
        ids = store.catalog.resolve(names)
    else:
        ids = [artifact for artifact in store.catalog.artifacts if store.status(artifact).state != "missing"]
    found = store.verify(ids)
    _show(store, found, as_json)
    if bad := [status for status in found if not status.ok]:
        first = bad[0]
        reason = f"damaged: {first.found}" if first.found else "missing"
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        mend = " ".join(status.id for status in bad[:6])
        raise WeightsError(f"{first.path} is {reason}{more}", f"run 'reelbench models pull {mend}'")


def _store() -> ModelStore:
    from reelbench.models.store import ModelStore

    return ModelStore()


def _show(store: ModelStore, statuses: list[Status], as_json: bool) -> None:
    if as_json:
        _print_json({"store": str(store.root), "artifacts": [_status(store, status) for status in statuses]})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("artifact", "size", "state", "class", "licence"):
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=True)
    for status in statuses:
        entry = store.catalog[status.id]
        table.add_row(status.id, _human(entry.bytes), status.state, entry.class_, entry.licence)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
    held = sum(status.bytes for status in statuses)
    console.print(f"{_human(held)} in {store.root}", highlight=False, soft_wrap=True)


def _status(store: ModelStore, status: Status) -> dict[str, Any]:
    entry = store.catalog[status.id]
    return {
        "id": status.id,
        "family": entry.family,
        "path": str(status.path),
        "state": status.state,
        "found": status.found,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "licence": entry.licence,
        "class": entry.class_,
        "sources": [str(source) for source in entry.sources],
    }


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


def _print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, indent=2))


def _human(size: int) -> str:
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


@contextmanager
def _progress() -> Iterator[Progress]:
    """Bars on a terminal, one line an artifact elsewhere; both on standard error."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def show(artifact: str, done: int, total: int) -> None:
            if artifact not in tasks:
                tasks[artifact] = bars.add_task(artifact, total=None)
            bars.update(tasks[artifact], completed=done, total=total or None)

        yield show


def _lines() -> Progress:
    begun: set[str] = set()

    def show(artifact: str, done: int, total: int) -> None:
        if artifact not in begun:
            begun.add(artifact)
            click.echo(f"fetching {artifact}", err=True)

    return show
