"""What the Hugging Face tools keep beside the hub cache: chunks of xet transfers, assets, processed data sets, modules, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reelbench.disk.caches import hub
from reelbench.disk.caches.base import Place, Surroundings, in_use, item
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk
from reelbench.models.catalog import Class

_FOLDERS: dict[str, tuple[Class, str]] = {
    "xet": ("refetchable", "chunks of transfers"),
    "assets": ("regenerable", "what libraries computed for themselves"),
    "datasets": ("regenerable", "data sets as they were processed"),
    "modules": ("refetchable", "code of repositories"),
}


def places(around: Surroundings) -> Iterable[Place]:
    yield Place(hub.home(around))


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    for entry in walk.entries():
        if (taken := walk.part(entry.name, entry)) is None:
            continue
        part, logical = taken
        busy = in_use(around.locked, [part])
        if entry.name in _FOLDERS and part.kind == "folder":
            class_, note = _FOLDERS[entry.name]
            yield item(walk, entry.name, [part], "package", class_, logical=logical, busy=busy, note=note)
        elif part.kind == "file" and (entry.name.startswith(".") or "token" in entry.name):
            yield item(walk, entry.name, [part], "housekeeping", "irreplaceable", logical=logical)
        else:
            yield item(walk, entry.name, [part], "unknown", "irreplaceable", logical=logical, busy=busy)
