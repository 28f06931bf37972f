"""The links of the hub cache: a blob must not go while a snapshot that stays leads to it, nor a payload of the shared
store while a repository's blob does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reelbench.disk import hub_store
from reelbench.disk.beneath import Refused

_SNAPSHOTS, _BLOBS = "snapshots", "blobs"


def users(root: Path, going: Iterable[str]) -> str:
    """A link that stays and leads to something in ``going`` (paths below the root): from a snapshot to a blob, or from
    a repository's blob to a payload of the shared store; '' if there is none.

    A download of another revision links to a blob that is already there: the plan, and even the inventory, may be older
    than that link.
    """
    going = frozenset(going)
    if any(map(hub_store.is_inside, going)):
        for link, payload in hub_store.links(root):
            if payload in going and link not in going:
                return str(root / link)
    for repository in {path.partition("/")[0] for path in going if f"/{_BLOBS}/" in path}:
        for snapshot, link, blob in _links(root, repository):
            if f"{repository}/{_BLOBS}/{blob}" in going and f"{repository}/{_SNAPSHOTS}/{snapshot}" not in going:
                return link
    return ""


def dangling(root: Path, trashed: Iterable[str]) -> set[str]:
    """Of the blobs and payloads that are in the trash (by their old paths), those that a visible link leads to and that
    are not there again."""
    everything = frozenset(trashed)
    trashed = frozenset(path for path in everything if f"/{_BLOBS}/" in path)
    found: set[str] = set()
    if any(map(hub_store.is_inside, everything)):
        wanted = {payload for _, payload in hub_store.links(root) if payload in everything}
        found.update(payload for payload in wanted if not os.path.lexists(root / payload))
    for repository in {path.partition("/")[0] for path in trashed}:
        for _, _, blob in _links(root, repository):
            path = f"{repository}/{_BLOBS}/{blob}"
            if path in trashed and not os.path.lexists(root / path):
                found.add(path)
    return found


def broken(root: Path, snapshots: Iterable[str]) -> list[str]:
    """The links in these snapshots (paths below the root) that lead to nothing, as paths below the root."""
    found: list[str] = []
    for snapshot in snapshots:
        for folder, folders, files in os.walk(root / snapshot, onerror=_raise):
            paths = (Path(folder, name) for name in (*folders, *files))
            found += [str(path.relative_to(root)) for path in paths if path.is_symlink() and not path.exists()]
    return sorted(found)


def _links(root: Path, repository: str) -> Iterator[tuple[str, str, str]]:
    """(snapshot, the link's path, the blob's name) of every link in the repository's snapshots that leads into a folder
    ``blobs``."""
    top = root / repository / _SNAPSHOTS
    for folder, folders, files in os.walk(top, onerror=_raise):
        for name in (*folders, *files):
            link = Path(folder, name)
            if not link.is_symlink():
                continue
            *_, kind, blob = ("", "", *str(link.readlink()).split("/"))
            if kind == _BLOBS:
                yield link.relative_to(top).parts[0], str(link), blob


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise Refused(f"{error.filename}: {error.strerror}") from error
