"""The tables of ``reelbench disk``: one row a cache, the largest items, and what could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelbench.disk.categories import Category, Judged, largest, told
from reelbench.disk.seen import Seen
from reelbench.report.terminal import console
from reelbench.report.wording import NONE, plain, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLES = {"in use": "green", "reclaimable": "yellow", "kept": "", "unknown": "magenta", "unresolved": "yellow"}
_COLUMNS = ("size", "in use", "reclaimable", "shared", "kept", "unknown")


def print_disk(seen: Seen, count: int, page: str = "", to: Console | None = None) -> None:
    """Print the caches, the ``count`` largest items, the problems, and where the page is."""
    from rich.text import Text

    target = to or console()
    if not told(seen.categories):
        target.print("none of the known caches is on this machine")
    else:
        target.print(_caches(seen))
    if count and seen.judged:
        target.print(_items(largest((one for one in seen.judged if one.item.kind != "housekeeping"), count)))
    for problem in seen.inventory.problems:
        where = plain(f"{problem.root.path}/{problem.path}".rstrip("/"))
        target.print(
            Text(
                f"cannot be read: {where}: {plain(problem.reason)}; nothing beside it is called reclaimable",
                style="red",
            )
        )
    if seen.unresolved:
        target.print(Text(f"who needs what is not known: {plain(seen.unresolved)}", style="red"))
    if page:
        target.print(Text("page", style="bold"), Text(plain(page)), sep="  ", soft_wrap=True)


def _caches(seen: Seen) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        header_style="bold",
        show_footer=True,
    )
    table.add_column("cache", footer="all", no_wrap=True)
    table.add_column("items", footer=str(seen.total.items), justify="right")
    for heading, footer in zip(_COLUMNS, _cells(seen.total), strict=True):
        table.add_column(heading, footer=footer, justify="right", no_wrap=True)
    for row in told(seen.categories):
        table.add_row(row.cache, str(row.items), *_cells(row))
    return table


def _cells(row: Category) -> list[str]:
    figures = (row.total, row.in_use, row.reclaimable, row.shared, row.kept, row.unknown)
    return [NONE if figure is None else size(figure) for figure in figures]


def _items(shown: list[Judged]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("cache", no_wrap=True)
    table.add_column("item", overflow="fold", ratio=2)
    table.add_column("stands", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=3)
    for one in shown:
        standing = Text(one.standing, style=STYLES[one.standing])
        table.add_row(
            size(one.item.bytes), one.item.root.cache, Text(plain(one.item.title)), standing, Text(plain(one.why))
        )
    return table
