"""pip's cache: downloaded packages, and wheels that were built here. One item a folder, since its files have no names of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk
from reelbench.models.catalog import Class

_FOLDERS: dict[str, tuple[Class, str]] = {
    "http": ("refetchable", "downloads of an older pip"),
    "http-v2": ("refetchable", "downloads"),
    "wheels": ("regenerable", "wheels that were built here"),
    "selfcheck": ("regenerable", "when pip looked for a newer pip"),
}


def places(around: Surroundings) -> Iterable[Place]:
    yield Place(around.setting("PIP_CACHE_DIR") or around.cache_home / "pip")


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    for entry in walk.entries():
        if entry.name not in _FOLDERS or not entry.is_dir(follow_symlinks=False):
            yield from unknown(walk, [entry])
        elif (taken := walk.part(entry.name, entry)) is not None:
            class_, note = _FOLDERS[entry.name]
            busy = in_use(around.locked, [taken[0]])
            yield item(walk, entry.name, [taken[0]], "package", class_, logical=taken[1], busy=busy, note=note)
