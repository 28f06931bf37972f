"""The terminal browser: what it shows, what can be chosen, what it hands back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from reelbench.disk.inventory import freed, take
from reelbench.disk.seen import Seen, see
from support.disks import Disk, Revision, commit_of

from .test_inventory import Only

textual = pytest.importorskip("textual", reason="the extra 'tui' is not installed")


@pytest.fixture
def seen(disk: Disk) -> Seen:
    for name, size in (("org/needed", 1 << 18), ("org/large", 1 << 17), ("org/small", 1 << 16)):
        disk.repository(name, [Revision({"model.bin": (name, size)}, commit=commit_of(name), whole=True)])
    disk.run("20260101-run")
    return see(take(disk.registered, ["hub", "runs"]), Only("hf:org/needed"))


def press(seen: Seen, keys: Sequence[str]) -> tuple[list[str] | None, str, list[str]]:
    """What the browser returns after these keys, its summary line then, and the titles it shows."""
    from textual.widgets import DataTable, Static

    from reelbench.report.disk_browser import DiskBrowser

    app = DiskBrowser(seen)
    found: list[str] = []
    titles: list[str] = []

    async def drive() -> None:
        async with app.run_test(size=(140, 40)) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            found.append(str(app.query_one("#summary", Static).render()))
            table = app.query_one(DataTable)
            titles.extend(str(table.get_row_at(row)[3]) for row in range(table.row_count))
            await pilot.press("q")

    asyncio.run(drive())
    return app.return_value, found[0], titles


def id_of(name: str) -> str:
    return f"hub:models--{name.replace('/', '--')}@{commit_of(name)}"


def test_what_is_needed_cannot_be_chosen(seen: Seen) -> None:
    chosen, summary, titles = press(seen, ["space", "down", "space"])
    assert titles[0].startswith("org/needed")
    assert chosen == [id_of("org/large")]
    (item,) = (one.item for one in seen.judged if one.item.id == id_of("org/large"))
    assert "1 chosen" in summary and freed([item], seen.inventory) >= 1 << 17


def test_all_shown_reclaimable_ones_are_chosen_and_let_go_again(seen: Seen) -> None:
    chosen, summary, _ = press(seen, ["a"])
    assert set(chosen or ()) == {id_of("org/large"), id_of("org/small")} and "2 chosen" in summary
    chosen, summary, _ = press(seen, ["a", "c"])
    assert chosen == [] and "none chosen" in summary


def test_filter_sort_and_search_narrow_what_is_shown(seen: Seen) -> None:
    _, _, titles = press(seen, ["f", "f"])
    assert [title.split("@")[0] for title in titles] == ["org/large", "org/small"]
    _, _, titles = press(seen, ["slash", *"SMALL", "enter"])
    assert [title.split("@")[0] for title in titles] == ["org/small"]
    _, _, titles = press(seen, ["s", "s"])
    assert [title.split("@")[0] for title in titles][:3] == ["org/large", "org/needed", "org/small"]


def test_an_empty_disk_can_be_browsed(disk: Disk) -> None:
    chosen, summary, titles = press(see(take(disk.registered), Only()), ["space", "a", "f"])
    assert chosen == [] and titles == [] and summary.startswith("0 B on the disk")
