"""The page of the disk: its treemap's geometry, hostile names, and how it behaves in a browser."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.disk.inventory import take
from reelbench.disk.seen import Seen, see
from reelbench.report.disk_page import own_bytes, write_disk_page
from reelbench.report.treemap import WIDTH, Leaf, squarify, treemap
from support.browser import BROWSER, NO_BROWSER
from support.disks import Disk, Revision, commit_of, solid
from support.pages import looked_at

from .test_inventory import Only, two_revisions

OWNED = "<img src=x onerror=\"document.title='owned'\">.bin"


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=25), st.floats(50, 900))
def test_rectangles_fill_the_map_in_proportion_and_do_not_overlap(sizes: list[int], height: float) -> None:
    sizes = sorted(sizes, reverse=True)
    rects = squarify([float(size) for size in sizes], (0.0, 0.0, WIDTH, height))
    areas = [width * high for _, _, width, high in rects]
    assert areas == pytest.approx(
        [size / sum(sizes) * WIDTH * height for size in sizes], rel=1e-6, abs=1e-6 * WIDTH * height
    )
    for x, y, width, high in rects:
        assert min(x, y) >= -1e-3 and x + width <= WIDTH + 1e-3 and y + high <= height + 1e-3
    for index, (x, y, width, high) in enumerate(rects):
        for x2, y2, width2, high2 in rects[index + 1 :]:
            across = min(x + width, x2 + width2) - max(x, x2)
            down = min(y + high, y2 + high2) - max(y, y2)
            assert across <= 1e-3 or down <= 1e-3


def test_groups_without_size_are_not_drawn() -> None:
    assert treemap([(Leaf("empty", 0, "", ""), [Leaf("none", 0, "kept", "")])], 100) == []


def test_what_is_shared_is_drawn_once(disk: Disk) -> None:
    two_revisions(disk)
    found = take(disk.registered, ["hub"])
    seen = see(found, Only(f"hf:openai/clip@{commit_of('new')}"))
    own = dict(zip((one.item.title for one in seen.judged), own_bytes(seen.judged), strict=True))
    assert sum(own.values()) == seen.total.total
    assert own[f"openai/clip@{commit_of('old')[:7]}"] == seen.total.reclaimable


def hostile(disk: Disk) -> Seen:
    disk.repository("org/net", [Revision({"model.bin": ("x", 1 << 20)}, whole=True)])
    solid(disk.hub / OWNED, 1 << 18)
    solid(Path(os.fsdecode(os.fsencode(disk.hub) + b"/not-\xff\n-utf8")), 1 << 17)
    return see(take(disk.registered, ["hub"]), Only())


def test_the_page_is_deaf_to_hostile_names_and_loads_nothing(disk: Disk) -> None:
    html = write_disk_page(hostile(disk), disk.base / "page.html").read_text(encoding="utf-8")
    assert 'onerror="' not in html and "&lt;img src=x" in html
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", html)
    assert html.count('class="tm tm-') >= 3


@pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_the_page_in_a_browser(disk: Disk, width: int, dark: bool) -> None:
    page = write_disk_page(hostile(disk), disk.base / "page.html")
    seen = looked_at(page, disk.base / "profile", width=width, dark=dark)
    assert seen.title.startswith("What lies on the disk") and seen.tables == 2
