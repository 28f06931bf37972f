"""The shared blob store of the Hugging Face hub cache (huggingface_hub 2): one payload for all repositories that have it.

Layout: the payload is ``blobs/<2 hex digits>/<Xet hash>`` below the cache's root, and a repository's own
``<repository>/blobs/<etag>`` is a relative link to it. Beside the payload lie ``<hash>.refs``, the manifest that lists
those links, and ``<hash>.lock``, which huggingface_hub holds while it publishes, links or collects the payload. A
marker file in ``blobs`` says that the folder is such a store, and in which version of the layout.

The manifest matters to huggingface_hub alone: it deletes a payload once no link that the manifest lists is left.
ReelBench looks at the links themselves. But a link that comes back from the trash must be listed before it is visible,
or huggingface_hub would delete the payload that it leads to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from reelbench.disk.beneath import Folder, Refused
from reelbench.disk.journal import Record

STORE: Final = "blobs"
MARKER: Final = ".huggingface-shared-blobs"
VERSION: Final = "1"
"""The version of the layout that is known here, as the marker file has it."""
MANIFEST: Final = ".refs"
LOCK: Final = ".lock"
PREFIX: Final = re.compile(r"[0-9a-f]{2}")
HASH: Final = re.compile(r"[0-9a-f]{64}")
_LINK = re.compile(rf"\.\./\.\./({STORE}/([0-9a-f]{{2}})/\2[0-9a-f]{{62}})")
_REPOSITORY_BLOB = re.compile(r"[^/]+--[^/]+/blobs/[^/]+")


def payload_of(target: str, root: Path) -> str:
    """The path (below the root) of the payload that a repository's blob with this link target leads to; '' if it leads
    anywhere else."""
    if target.startswith("/"):
        target = f"../../{os.path.relpath(target, root)}"
    match = _LINK.fullmatch(target)
    return match[1] if match is not None else ""


def lock_of(path: str) -> str:
    """The path of the lock file of a payload or of its manifest."""
    return f"{path.removesuffix(MANIFEST)}{LOCK}"


def is_inside(path: str) -> bool:
    """Whether a path below the cache's root lies in the shared store."""
    return path.startswith(f"{STORE}/")


def links(root: Path) -> Iterator[tuple[str, str]]:
    """Every link of a repository to a payload, as (its path, the payload's path), both below the root.

    Raises Refused where a folder cannot be read, since it may hold such a link.
    """
    for repository in _scan(root):
        if "--" not in repository.name or not repository.is_dir(follow_symlinks=False):
            continue
        for entry in _scan(Path(repository.path, "blobs")):
            if entry.is_symlink() and (payload := payload_of(str(Path(entry.path).readlink()), root)):
                yield f"{repository.name}/blobs/{entry.name}", payload


def targets(record: Record, entry: Folder, top: Folder) -> dict[str, str]:
    """The targets of the links among the repositories' blobs that an entry of the trash has or needs, by their paths.

    A link is read where it lies now: in the entry, or at its place.
    """
    found: dict[str, str] = {}
    paths = {part.path: str(index) for index, part in enumerate(record.parts)} | dict.fromkeys(record.needs, "")
    for path, name in paths.items():
        if not _REPOSITORY_BLOB.fullmatch(path):
            continue
        target = entry.target(name) if name else ""
        if not target:
            folder, _, own = path.rpartition("/")
            try:
                with top.enter(folder) as home:
                    target = home.target(own)
            except FileNotFoundError:
                continue
        if target:
            found[path] = target
    return found


def list_again(record: Record, entry: Folder, top: Folder, leading: Mapping[str, str]) -> None:
    """Write the links that are about to come back into the manifests of their payloads, where they are not listed.

    ``leading`` has the payload of each link. The caller holds the payloads' locks. A payload that has no manifest gets
    none: huggingface_hub never deletes such a payload, and a manifest with one of several links would let it.
    """
    trashed = {part.path: str(index) for index, part in enumerate(record.parts)}
    for link, payload in leading.items():
        manifest = f"{payload}{MANIFEST}"
        folder, _, name = manifest.rpartition("/")
        try:
            with top.enter(folder) as home:
                listed = home.require_line(name, link)
        except FileNotFoundError:  # no payload with these first digits is left in the store
            listed = False
        if not listed and manifest in trashed:
            entry.require_line(trashed[manifest], link)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}") from error
