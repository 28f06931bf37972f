"""The links of a hub repository's snapshots: a blob must not go while a snapshot that stays leads to it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reelbench.disk.beneath import Refused

_SNAPSHOTS, _BLOBS = "snapshots", "blobs"


def users(root: Path, going: Iterable[str]) -> str:
    """A link that leads to one of the blobs in ``going`` (paths below the root) from a snapshot that is not in it; ''
    if there is none.

    A download of another revision links to a blob that is already there: the plan, and even the inventory, may be older
    than that link.
    """
    going = frozenset(going)
    for repository in {path.partition("/")[0] for path in going if f"/{_BLOBS}/" in path}:
        for snapshot, link, blob in _links(root, repository):
            if f"{repository}/{_BLOBS}/{blob}" in going and f"{repository}/{_SNAPSHOTS}/{snapshot}" not in going:
                return link
    return ""


def dangling(root: Path, trashed: Iterable[str]) -> set[str]:
    """Of the blobs that are in the trash (by their old paths), those that a visible link leads to and that are not
    there again."""
    trashed = frozenset(path for path in trashed if f"/{_BLOBS}/" in path)
    found: set[str] = set()
    for repository in {path.partition("/")[0] for path in trashed}:
        for _, _, blob in _links(root, repository):
            path = f"{repository}/{_BLOBS}/{blob}"
            if path in trashed and not os.path.lexists(root / path):
                found.add(path)
    return found


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
