"""Reads the shared blob store of the hub cache (`reelbench.disk.hub_store` has its layout).

A payload belongs to every revision with a blob that links to it: it is a part of each of them, counts once, and goes
with the last. A payload that no repository links to is an item of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from reelbench.disk import hub_store
from reelbench.disk.caches.base import Surroundings, in_use, item, unknown
from reelbench.disk.records import Item, Part
from reelbench.disk.walk import Walk

_NAMED = 3
"""So many of the repositories that share a payload are named in a note."""


class SharedStore:
    """The payloads of one hub cache, and the items that have them; the latter are held back until all are known."""

    def __init__(self, walk: Walk, around: Surroundings) -> None:
        self.walk, self.around = walk, around
        self.is_known = False
        self._payloads: dict[str, tuple[Part, int]] = {}
        self._manifests: dict[str, Part] = {}
        self._locked: set[str] = set()
        self._leads: dict[str, str] = {}
        self._users: dict[str, dict[str, None]] = {}
        self._held: list[tuple[Item, str, list[str]]] = []

    def is_one(self, entry: os.DirEntry[str]) -> bool:
        """Whether the folder is a shared store of a layout that is known here, as huggingface_hub itself tells it."""
        if not entry.is_dir(follow_symlinks=False):
            return False
        try:
            path = self.walk.path(f"{hub_store.STORE}/{hub_store.MARKER}")
            marker = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        with os.fdopen(marker, "rb") as stream:
            self.is_known = stream.read(16) == f"{hub_store.VERSION}\n".encode()
        return self.is_known

    def read(self) -> Iterator[Item]:
        """Read the store. Gives what does not belong into it."""
        for entry in self.walk.entries(hub_store.STORE):
            path = f"{hub_store.STORE}/{entry.name}"
            if hub_store.PREFIX.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                for name, (part, size) in self.walk.parts(path).items():
                    yield from self._file(name, part, size)
            elif entry.name == hub_store.MARKER:
                self.walk.keep(path, entry)
            elif not entry.name.startswith(f"{hub_store.MARKER}."):
                yield from unknown(self.walk, [entry], hub_store.STORE)
            elif (taken := self.walk.part(path, entry)) is not None:
                yield self._left(taken[0], taken[1], "a temporary file of a download that was broken off")

    def complete(self, one: Item, repository: str, blobs: Iterable[Part]) -> Iterator[Item]:
        """Add the payloads that these blobs of an item lead to. An item that has any is given by `items` later, when
        it is known who else has them."""
        payloads: list[str] = []
        gone = elsewhere = 0
        for blob in blobs:
            if blob.kind != "link":
                continue
            if blob.path not in self._leads:
                self._leads[blob.path] = hub_store.payload_of(self.walk.target(blob), self.walk.root.path)
            payload = self._leads[blob.path]
            if payload in self._payloads:
                payloads.append(payload)
                self._users.setdefault(payload, {})[repository] = None
            elif payload:
                gone += 1
            else:
                elsewhere += 1
        notes = [one.note] if one.note else []
        if gone and self.is_known:
            notes.append(f"{gone} of its files are missing from the shared store")
        if elsewhere:
            notes.append(f"{elsewhere} of its files lead out of the cache, and are not counted")
        busy = one.busy
        if gone and not self.is_known:
            busy = busy or f"its files are in a shared store ({hub_store.STORE}) whose layout is not known"
        one = replace(one, note="; ".join(notes), busy=busy)
        if payloads:
            payloads = list(dict.fromkeys(payloads))
            self._held.append((self._with(one, payloads), repository, payloads))
        else:
            yield one

    def items(self) -> Iterator[Item]:
        """The items with payloads, and what is in the store and no repository links to."""
        for one, repository, payloads in self._held:
            others = [name for path in payloads for name in self._users[path] if name != repository]
            shared = [path for path in payloads if len(self._users[path]) > 1]
            note = f"{len(shared)} of its files shared with {_names(dict.fromkeys(others))}" if shared else ""
            yield replace(one, note="; ".join(filter(None, (one.note, note))))
        for path in sorted(self._payloads.keys() - self._users.keys()):
            yield self._orphan(path)
        for path in sorted(self._manifests.keys() - self._payloads.keys()):
            yield self._left(self._manifests[path], 0, "lists who links to a payload that is not there")

    def _file(self, name: str, part: Part, size: int) -> Iterator[Item]:
        """Put a file of the store to its payload. Gives what is none."""
        hash_, _, ending = name.partition(".")
        path = f"{part.path.rpartition('/')[0]}/{hash_}"
        ours = hub_store.HASH.fullmatch(hash_) and part.path.rpartition("/")[0].endswith(f"/{hash_[:2]}")
        if not ours or part.kind != "file":
            yield item(self.walk, part.path, [part], "unknown", "irreplaceable", logical=size)
        elif name == hash_:
            self._payloads[path] = part, size
        elif f".{ending}" == hub_store.MANIFEST:
            self._manifests[path] = part
        elif f".{ending}".startswith(hub_store.LOCK):
            self.walk.layout += part.bytes
            # Where the file system has no locks, huggingface_hub makes `<hash>.lock.soft` for as long as it holds one.
            if ending.endswith(".soft") or in_use(self.around.locked, [part]):
                self._locked.add(path)
        else:
            yield self._left(part, size, "a temporary file of a download that was broken off")

    def _with(self, one: Item, payloads: list[str]) -> Item:
        """The item with these payloads and their manifests as further parts, which go after all others."""
        files = [self._payloads[path] for path in payloads]
        manifests = [self._manifests[path] for path in payloads if path in self._manifests]
        more = item(self.walk, "", [*(part for part, _ in files), *manifests], one.kind, one.class_)
        busy = in_use(self.around.locked, more.parts)
        if self._locked.intersection(payloads):
            busy = "one of its files is being downloaded or deleted by huggingface_hub"
        return replace(
            one,
            parts=(*one.parts, *more.parts),
            bytes=one.bytes + more.bytes,
            logical_bytes=one.logical_bytes + sum(size for _, size in files),
            # A manifest changes when another repository comes to link to the payload, which is no use of this one.
            modified_ns=max(one.modified_ns, *(part.modified_ns for part, _ in files)),
            busy=one.busy or busy,
        )

    def _orphan(self, path: str) -> Item:
        note = "a payload of the shared store that no repository links to"
        empty = item(self.walk, path, [], "orphan", "refetchable", title=f"shared: {path[-64:][:12]}", note=note)
        return self._with(empty, [path])

    def _left(self, part: Part, size: int, note: str) -> Item:
        return item(self.walk, part.path, [part], "orphan", "refetchable", logical=size, note=note)


def _names(repositories: Iterable[str]) -> str:
    names = sorted(repositories)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
