"""The hub cache of huggingface_hub; transformers, faster-whisper and CTranslate2 models lie there too.

Layout: ``<type>s--<owner>--<name>/{refs,snapshots,blobs,trees,.no_exist}``. A file of a snapshot is a link to a blob, revisions share
blobs, and a blob of a large file is named by its sha256. ``.locks/<repository>/<blob>.lock`` is held while it comes down to
``….incomplete``. A blob may itself be a link to a payload that all repositories share (`hub_shared`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from reelbench.disk import hub_store
from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.caches.hub_shared import SharedStore
from reelbench.disk.records import Item, Part
from reelbench.disk.walk import Walk

_REPOSITORY = re.compile(r"(model|dataset|space|kernel)s--(.+)", re.DOTALL)
_TO_BLOBS = re.compile(r"(?:\.\./)+blobs")
_OWN_FILES = frozenset({"CACHEDIR.TAG", "version.txt", "version_diffusers_cache.txt"})
_LOCKS = ".locks"
_ABOUT_COMMITS = frozenset({".no_exist", "trees"})
"""What the hub does not have of a commit, and what it has: one folder, and one JSON file, for each commit."""
_LAYOUT = frozenset({"blobs", "refs", "snapshots"}) | _ABOUT_COMMITS
_DOWNLOADING = "a download of this repository is under way"


def places(around: Surroundings) -> Iterable[Place]:
    yield Place(around.setting("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") or home(around) / "hub")


def home(around: Surroundings) -> Path:
    return around.setting("HF_HOME") or around.cache_home / "huggingface"


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    locks, rest, shared = {}, [], SharedStore(walk, around)
    for entry in walk.entries():
        if entry.name == _LOCKS:
            locks = _locks(walk, around)
        elif entry.name in _OWN_FILES:
            walk.keep(entry.name, entry)
        elif entry.name == hub_store.STORE and shared.is_one(entry):
            yield from shared.read()
        elif _REPOSITORY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            rest.append(entry.name)
        else:
            yield from unknown(walk, [entry])
    for folder in rest:
        yield from _Repository(walk, around, folder, locks.get(folder, frozenset()), shared).items()
    yield from shared.items()


def _locks(walk: Walk, around: Surroundings) -> dict[str, frozenset[str]]:
    """The blobs of each repository that somebody downloads now. The lock files themselves belong to the layout."""
    found: dict[str, frozenset[str]] = {}
    for repository in walk.entries(_LOCKS):
        held = set()
        for name, (part, _) in walk.parts(f"{_LOCKS}/{repository.name}").items():
            walk.layout += part.bytes
            if in_use(around.locked, [part]):
                held.add(name.removesuffix(".lock"))
        found[repository.name] = frozenset(held)
    return found


class _Repository:
    """One repository of the cache. ``downloading`` are the blobs whose lock is held; ``shared`` has the payloads that
    several repositories may link to."""

    def __init__(
        self, walk: Walk, around: Surroundings, folder: str, downloading: frozenset[str], shared: SharedStore
    ) -> None:
        self.walk, self.around, self.folder, self.downloading = walk, around, folder, downloading
        self.shared = shared
        match = _REPOSITORY.fullmatch(folder)
        assert match is not None
        plain = match[2].replace("--", "/")
        self.name = plain if match[1] == "model" else f"{match[1]}s/{plain}"
        self.blobs: dict[str, tuple[Part, int]] = {}
        self.refs: dict[str, tuple[Part, str]] = {}
        self.about: dict[str, list[Part]] = {}
        self.named: set[str] = set()

    def items(self) -> Iterator[Item]:
        top = {entry.name: entry for entry in self.walk.entries(self.folder)}
        # A layout folder that is a link leads out of the root: it is shown, and not looked into.
        here = {name for name in _LAYOUT & top.keys() if top[name].is_dir(follow_symlinks=False)}
        yield from unknown(self.walk, [entry for name, entry in top.items() if name not in here], self.folder)
        self._read(here)
        revisions = self._entries("snapshots") if "snapshots" in here else []
        for entry in revisions:
            yield from self._revision(entry)
        yield from self._left_over({entry.name for entry in revisions})

    def _read(self, here: Collection[str]) -> None:
        """All but the snapshots: blobs, refs, and what is known about a commit besides its files."""
        self.blobs = self._parts("blobs") if "blobs" in here else {}
        self.refs = dict(self._refs("")) if "refs" in here else {}
        for name in sorted(_ABOUT_COMMITS & set(here)):
            for commit, (part, _) in self._parts(name).items():
                self.about.setdefault(commit.removesuffix(".json"), []).append(part)

    def _revision(self, entry: os.DirEntry[str]) -> Iterator[Item]:
        commit, links = entry.name, list[str]()
        taken = self.walk.part(f"{self.folder}/snapshots/{commit}", entry, links)
        if taken is None:
            return
        snapshot, logical = taken
        own, astray = _lead_to(links, self.blobs)
        self.named |= own
        refs = {ref: part for ref, (part, points_to) in self.refs.items() if points_to == commit}
        files = [self.blobs[name] for name in sorted(own)]
        parts = [*refs.values(), *self.about.get(commit, ()), snapshot, *(part for part, _ in files)]
        revision = item(
            self.walk,
            f"{self.folder}@{commit}",
            parts,
            "weights",
            "refetchable",
            title=f"{self.name}@{commit[:7]}" + (f" ({', '.join(sorted(refs))})" if refs else ""),
            names=self._names(commit, refs, own),
            logical=logical + sum(size for _, size in files),
            busy=in_use(self.around.locked, parts) or (_DOWNLOADING if self.downloading else ""),
            note=f"{astray} of its links lead to no blob of this repository" if astray else "",
        )
        yield from self.shared.complete(revision, self.name, (part for part, _ in files))

    def _left_over(self, commits: Collection[str]) -> Iterator[Item]:
        """What no snapshot leads to."""
        for ref, (part, commit) in self.refs.items():
            if commit not in commits:
                note = f"the ref '{ref}' points to {commit or 'nothing'}, which is not in the cache"
                yield item(self.walk, part.path, [part], "orphan", "refetchable", title=f"{self.name}@{ref}", note=note)
        for commit in sorted(self.about.keys() - commits):
            for part in self.about[commit]:
                note = "is about a revision that is not in the cache"
                yield item(
                    self.walk, part.path, [part], "orphan", "refetchable", title=f"{self.name}@{commit[:7]}", note=note
                )
        for name in sorted(self.blobs.keys() - self.named):
            part = self.blobs[name][0]
            yield from self.shared.complete(self._unnamed(name, *self.blobs[name]), self.name, [part])

    def _names(self, commit: str, refs: Collection[str], blobs: set[str]) -> tuple[str, ...]:
        name = f"hf:{self.name}"
        bare = [name] if "main" in refs or "main" not in self.refs else []
        known = self.around.known_hashes
        weights = {f"weights:{known[blob]}" for blob in known.keys() & blobs}
        return (f"{name}@{commit}", *(f"{name}@{ref}" for ref in sorted(refs)), *bare, *sorted(weights))

    def _unnamed(self, name: str, part: Part, logical: int) -> Item:
        """A blob that no snapshot leads to, or the beginning of one."""
        if not name.endswith(".incomplete"):
            return item(self.walk, part.path, [part], "orphan", "refetchable", title=f"{self.name}: {name[:12]}", logical=logical,
                        busy=in_use(self.around.locked, [part]), note="no snapshot leads to it")  # fmt: skip
        busy = any(name.startswith(f"{blob}.") for blob in self.downloading) or in_use(self.around.locked, [part])
        return item(self.walk, part.path, [part], "download", "refetchable", title=f"{self.name}: {name[:12]}", logical=logical,
                    busy="it is being downloaded" if busy else "", note="an unfinished download")  # fmt: skip

    def _refs(self, below: str) -> Iterator[tuple[str, tuple[Part, str]]]:
        """Refs by name (``pr/1`` lies in a folder) with the commit that each points to."""
        where = f"{self.folder}/refs/{below}".rstrip("/")
        for entry in self.walk.entries(where):
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._refs(name)
            elif (taken := self.walk.part(f"{self.folder}/refs/{name}", entry)) is not None:
                yield name, (taken[0], self.walk.line(taken[0]))

    def _entries(self, name: str) -> list[os.DirEntry[str]]:
        return self.walk.entries(f"{self.folder}/{name}")

    def _parts(self, name: str) -> dict[str, tuple[Part, int]]:
        return self.walk.parts(f"{self.folder}/{name}")


def _lead_to(links: Iterable[str], blobs: Collection[str]) -> tuple[set[str], int]:
    """The blobs that the links of a snapshot lead to, and how many lead anywhere else."""
    found: set[str] = set()
    ways: dict[str, bool] = {}
    astray = 0
    for target in links:
        way, _, name = target.rpartition("/")
        if way not in ways:
            ways[way] = _TO_BLOBS.fullmatch(way) is not None
        if ways[way] and name in blobs:
            found.add(name)
        else:
            astray += 1
    return found, astray
