"""A terminal browser of the disk: look at every item, filter, and choose. It deletes nothing: what was chosen is handed back.

Needs textual (the extra ``tui``), so this module is imported only by the command that opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Footer, Header, Input, Static

from reelbench.disk.categories import STANDINGS, Judged
from reelbench.disk.inventory import freed
from reelbench.disk.seen import Seen
from reelbench.report.disk_terminal import STYLES
from reelbench.report.wording import plain, size

_ALL: Final = "all"
_MARK: Final = "●"


class DiskBrowser(App[list[str]]):  # type: ignore[misc, unused-ignore]  # mypy may not look into textual
    """Its result is the ids of the chosen items, in the order of the table; None where it was left with Ctrl+Q."""

    TITLE = "What lies on the disk"
    CSS = """
    #summary { height: 1; padding: 0 1; background: $panel; }
    DataTable { height: 1fr; }
    #detail { height: 11; border-top: solid $primary; padding: 0 1; }
    #search { display: none; }
    #search.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "Choose"),
        Binding("a", "choose_shown", "Choose all shown"),
        Binding("c", "clear", "Clear"),
        Binding("f", "next_filter", "Filter"),
        Binding("s", "next_order", "Sort"),
        Binding("slash", "search", "Search"),
        Binding("escape", "close_search", "Close search", show=False),
        Binding("q", "done", "Done"),
    ]

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen
        self.chosen: set[str] = set()
        self.filter: str = _ALL
        self.order = "size"
        self.sought = ""
        self._shown: list[Judged] = []

    def compose(self) -> ComposeResult:
        yield Header()
        yield Static(id="summary")
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Input(placeholder="part of a title, a cache or a reason", id="search")
        with VerticalScroll(id="detail", can_focus=False):
            yield Static(id="text")
        yield Footer()

    def on_mount(self) -> None:
        table = self._table
        table.add_column(" ", key="mark", width=1)
        for heading, width in (("size", 9), ("cache", 11), ("item", 46), ("stands", 11), ("why", 60)):
            table.add_column(heading, key=heading, width=width)
        self._fill()
        table.focus()

    @property
    def _table(self) -> DataTable[Text | str]:
        return self.query_one(DataTable)

    def _fill(self) -> None:
        """Show what the filter and the search let through, in the order asked for."""
        judged = [one for one in self.seen.judged if one.item.kind != "housekeeping"]
        judged = [one for one in judged if self.filter in (_ALL, one.standing) and self._matches(one)]
        if self.order == "size":
            judged.sort(key=lambda one: (-one.item.bytes, one.item.id))
        elif self.order == "age":
            judged.sort(key=lambda one: (max(one.item.modified_ns, one.item.used_ns), one.item.id))
        else:
            judged.sort(key=lambda one: one.item.id)
        self._shown = judged
        table = self._table
        table.clear()
        for one in judged:
            cells = (
                size(one.item.bytes).rjust(9),
                one.item.root.cache,
                plain(one.item.title),
                Text(one.standing, STYLES[one.standing]),
            )
            table.add_row(self._mark(one), *cells, plain(one.why), key=one.item.id)
        self._tell()
        self._describe()

    def _matches(self, one: Judged) -> bool:
        return self.sought in " ".join((one.item.title, one.item.root.cache, one.why, *one.item.names)).casefold()

    def _mark(self, one: Judged) -> str:
        return _MARK if one.item.id in self.chosen else " "

    def _tell(self) -> None:
        items = [one.item for one in self.seen.judged if one.item.id in self.chosen]
        frees = (
            f"{len(items)} chosen: deleting them frees {size(freed(items, self.seen.inventory))}"
            if items
            else "none chosen"
        )
        shown = f"{len(self._shown)} shown ({self.filter}, by {self.order})"
        reclaimable = f"reclaimable {size(self.seen.total.reclaimable)}"
        text = f"{size(self.seen.total.total)} on the disk · {reclaimable} · {shown} · {frees}"
        self.query_one("#summary", Static).update(Text(text))

    def _describe(self) -> None:
        """All that is known of the item under the cursor."""
        one = self._current
        lines: Sequence[str] = () if one is None else _lines(one)
        self.query_one("#text", Static).update(Text("\n".join(lines)))

    @property
    def _current(self) -> Judged | None:
        row = self._table.cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._describe()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        """Choose the item under the cursor, or let it go again. What is needed cannot be chosen."""
        one = self._current
        if one is None:
            return
        if one.item.id in self.chosen:
            self.chosen.discard(one.item.id)
        elif not self._add(one):
            self.notify(
                plain(f"{one.standing}: {one.why or 'it stays'}"), title="It cannot be chosen", severity="warning"
            )
        self._table.update_cell(one.item.id, "mark", self._mark(one))
        self._tell()

    def action_choose_shown(self) -> None:
        for one in self._shown:
            if one.standing == "reclaimable":
                self._add(one)
                self._table.update_cell(one.item.id, "mark", self._mark(one))
        self._tell()

    def _add(self, one: Judged) -> bool:
        """What a configuration, a pin or a live process needs is not for choosing, nor what nobody can judge."""
        allowed = one.standing == "reclaimable" or (
            one.standing == "kept" and one.item.kind in ("run", "artifact", "log")
        )
        if allowed:
            self.chosen.add(one.item.id)
        return allowed

    def action_clear(self) -> None:
        self.chosen.clear()
        self._fill()

    def action_next_filter(self) -> None:
        present = [_ALL, *(name for name in STANDINGS if any(one.standing == name for one in self.seen.judged))]
        self.filter = present[(present.index(self.filter) + 1) % len(present)]
        self._fill()

    def action_next_order(self) -> None:
        orders = ("size", "age", "name")
        self.order = orders[(orders.index(self.order) + 1) % len(orders)]
        self._fill()

    def action_search(self) -> None:
        search = self.query_one("#search", Input)
        search.add_class("open")
        search.focus()

    def action_close_search(self) -> None:
        self.query_one("#search", Input).value = ""
        self._leave_search()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.sought = event.value.casefold()
        self._fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._leave_search()

    def _leave_search(self) -> None:
        search = self.query_one("#search", Input)
        search.set_class(bool(search.value), "open")
        self._table.focus()

    def action_done(self) -> None:
        self.exit([one.item.id for one in self.seen.judged if one.item.id in self.chosen])


def _lines(one: Judged) -> list[str]:
    item = one.item
    first = (
        f"{item.id} · {item.kind}, {item.class_} · {size(item.bytes)} on the disk, files of {size(item.logical_bytes)}"
    )
    paths = [f"  {part.path} ({size(part.bytes)})" for part in item.parts[:40]]
    more = [f"  … and {len(item.parts) - 40} more"] if len(item.parts) > 40 else []
    told = [
        first,
        f"{one.standing}: {one.why}",
        f"names: {', '.join(item.names) or 'none'}",
        f"in {item.root.path}",
        *paths,
        *more,
    ]
    return [plain(line) for line in told]
