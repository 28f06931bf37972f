"""An inventory that was judged: what tables, pages and the browser show."""

from __future__ import annotations

from dataclasses import dataclass

from reelbench.disk.categories import Category, Judged, Needs, categories, judge, whole
from reelbench.disk.records import Inventory


@dataclass(frozen=True, slots=True)
class Seen:
    """``unresolved`` says why nobody can tell what is needed; '' where it is known."""

    inventory: Inventory
    judged: tuple[Judged, ...]
    categories: tuple[Category, ...]
    total: Category
    unresolved: str = ""


def see(inventory: Inventory, references: Needs | None, unresolved: str = "") -> Seen:
    judged = judge(inventory, references)
    return Seen(inventory, tuple(judged), tuple(categories(inventory, judged)), whole(inventory, judged), unresolved)
