"""Artifacts and how they stand in the store, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reelbench.cli.formats import human, print_json

if TYPE_CHECKING:
    from reelbench.models.store import ModelStore, Status


def show(store: ModelStore, statuses: list[Status], as_json: bool, aside: Mapping[str, str] | None = None) -> None:
    """``aside``: for artifacts that were put into quarantine, where they are now."""
    aside = aside or {}
    if as_json:
        artifacts = [_status(store, status) | {"put_aside": aside.get(status.id)} for status in statuses]
        print_json({"store": str(store.root), "artifacts": artifacts})
        return
    from rich.table import Table

    from reelbench.console import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("artifact", "size", "state", "class", "licence"):
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=True)
    for status in statuses:
        entry = store.catalog[status.id]
        table.add_row(status.id, human(entry.bytes), status.state, entry.class_, entry.licence)
    target = console()
    if not target.is_terminal:
        target = console(width=200)
    target.print(table)
    held = sum(status.bytes for status in statuses)
    target.print(f"{human(held)} in {store.root}", soft_wrap=True)
    for artifact, path in aside.items():
        target.print(f"{artifact} was damaged: put aside as {path}", soft_wrap=True)


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
