"""The words of the inventory: a root holds items, an item has parts, and references say who needs an item."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from reelbench.models.catalog import Class

PartKind = Literal["file", "link", "folder"]
ItemKind = Literal[
    "weights", "derived", "download", "run", "artifact", "log", "package", "image", "unknown", "orphan", "housekeeping"
]
"""``orphan``: belongs to a known layout, but nothing in it leads there (a blob without a snapshot). ``unknown``: no layout knows it.
``housekeeping``: what a tool keeps for itself (folders, locks, our trash); never deleted as an item."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that ReelBench may look into. Nothing outside the roots is ever changed, and no link out of one is followed."""

    cache: str
    """The module of ``disk/caches`` that reads it."""
    path: Path
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Linked:
    """An inode with more than one name. Its bytes are freed only when all of its names go."""

    device: int
    inode: int
    names: int
    """How many names it has on the disk (st_nlink)."""
    here: int
    """How many of them lie in this part."""
    bytes: int


class Part(NamedTuple):
    """What goes or stays as a whole: a file, a link, or a folder with all below it. Several items may share one.

    A tuple, since an inventory has one for each of 100,000 files, and a frozen dataclass takes half as long again to make.
    """

    path: str
    """Relative to the root; names that are not UTF-8 are kept by surrogateescape (`os.fsdecode`)."""
    kind: PartKind
    device: int
    inode: int
    bytes: int
    """Bytes that it takes on the disk (st_blocks * 512, a folder's with all below), without those of ``linked``."""
    modified_ns: int
    """The newest mtime of it and all below."""
    linked: tuple[Linked, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """The unit that is kept or deleted: an artifact of our store, a revision of a hub repository, a run folder, a log …

    ``parts`` stand in the order in which they must go: what refers before what it refers to. A part that other items name too goes
    only when all of them go.
    """

    id: str
    """``<cache>:<name inside its root>``, the same as long as the item is there."""
    root: Root
    title: str
    kind: ItemKind
    class_: Class
    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()
    """Under which a configuration, a pin or the catalog may mean it; see `references`."""
    bytes: int = 0
    """On the disk, each inode once, whether shared or not."""
    logical_bytes: int = 0
    """Sum of the files' sizes (more than ``bytes`` where files are sparse)."""
    modified_ns: int = 0
    used_ns: int = 0
    """The last use that ReelBench recorded; 0 where none is known. Never the file system's atime."""
    busy: str = ""
    """Why it cannot go now: a download in flight, an unfinished run. '' where nothing is known."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found. ``problems`` name every folder or file that could not be read: what lies there is unknown, and nothing of that
    root may be deleted."""

    roots: tuple[Root, ...]
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    root: Root
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is needed. ``chain`` leads from the root to it, outermost first, in words: 'workspace /x', 'analyzer clip, variant
    optimized (enabled)', 'hf:openai/clip-vit-base-patch32'."""

    kind: Literal["configuration", "pin", "lease", "source"]
    chain: tuple[str, ...]
