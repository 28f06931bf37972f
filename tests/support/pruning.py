"""A small disk to prune, what of it is needed, and the six invariants as assertions.

I1 what is needed is there, byte for byte · I2 no link or ref leads to missing data · I3 live, trash and purged account
for all · I4 running again converges · I5 undo restores byte for byte · I6 nothing outside the roots changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reelbench.disk import locks, planning, recovery
from reelbench.disk.apply import Applied, Situation, apply
from reelbench.disk.inventory import take
from reelbench.disk.planning import Plan
from reelbench.disk.policy import Policy
from reelbench.disk.records import Inventory, Item, Reason, Root
from reelbench.disk.walk import TRASH
from reelbench.models.catalog import Catalog
from support.disks import Disk, Revision, blob_name, commit_of

OLD_S = 3 * 86_400
Tree = dict[str, tuple[object, ...]]


@dataclass
class Needs:
    """References by name, as a test wants them."""

    names: set[str] = field(default_factory=set)

    def reasons(self, item: Item) -> tuple[Reason, ...]:
        return tuple(Reason("configuration", ("a test", name)) for name in item.names if name in self.names)

    def mentioned(self, _: Item) -> tuple[Reason, ...]:
        return ()


@dataclass
class World:
    """A disk below ``base``, what of it is needed, and what it was like at the beginning."""

    base: Path
    disk: Disk
    needs: Needs
    before: Tree = field(default_factory=dict)

    @property
    def situation(self) -> Situation:
        return Situation(self.disk.store, self.inventory, lambda: self.needs, self.roots)

    def inventory(self) -> Inventory:
        return take(self.disk.registered)

    def roots(self) -> tuple[Root, ...]:
        return recovery.roots_of(self.disk.registered)

    def plan(self, policy: Policy | None = None) -> Plan:
        policy = policy or Policy(kinds=Policy().kinds | {"derived", "run"}, older_than_s=86_400)
        return planning.make(self.inventory(), self.needs, policy, self.disk.store, lambda _: 0)

    def apply(self, plan: Plan, purge: bool = False) -> Applied:
        return apply(plan, self.situation, purge=purge)

    def undo(self) -> recovery.Handled:
        return recovery.undo(self.disk.store, self.roots())

    def purge(self) -> recovery.Handled:
        with locks.maintenance(self.disk.store):
            return recovery.purge(self.disk.store, self.roots())

    def recover(self) -> list[str]:
        return recovery.recover(self.disk.store, self.roots())

    def live(self) -> Tree:
        """Everything below ``base`` that is visible: path → what it is. Without trash, locks and our own files."""
        return dict(_tree(self.base))

    def remember(self) -> World:
        self.before = self.live()
        return self

    def trash(self) -> Counter[tuple[object, ...]]:
        """Every file and link in the trash of any root, by content."""
        found = Counter[tuple[object, ...]]()
        for folder in self.base.rglob(TRASH):
            for path in folder.rglob("*"):
                if (
                    path.name not in ("record.json", ".record.json.part", ".reserve")
                    and (entry := _entry(path))[0] != "folder"
                ):
                    found[entry] += 1
        return found

    def check_now(self, purged: bool = False) -> None:
        """I1, I2, I3 and I6, which hold at every instant."""
        live = self.live()
        for path, content in self.before.items():
            if self.is_needed(path) or path.startswith("outside"):
                assert live.get(path) == content, f"I1/I6: {path}"
        outside = {path for path in live if path.startswith("outside")}
        assert outside <= self.before.keys(), "I6"
        self.check_links()
        if not purged:
            now = Counter(content for content in live.values() if content[0] != "folder") + self.trash()
            then = Counter(content for content in self.before.values() if content[0] != "folder")
            assert now == then, f"I3: {now - then} {then - now}"

    def check_links(self) -> None:
        """I2: every link of a snapshot leads somewhere, and every ref that led to a snapshot still does."""
        for folder in self.disk.hub.glob("*--*"):
            for link in (folder / "snapshots").rglob("*"):
                assert not link.is_symlink() or link.exists(), f"I2: {link}"
            for ref in (folder / "refs").rglob("*"):
                if ref.is_file():
                    assert (folder / "snapshots" / ref.read_text()).is_dir(), f"I2: {ref}"

    def is_needed(self, path: str) -> bool:
        return "keep" in path or path in self._needed_blobs() or path.endswith(_NEEDED_PAYLOAD)

    def _needed_blobs(self) -> set[str]:
        where = "cache/huggingface/hub/models--org--shared/blobs"
        return {f"{where}/{blob_name('both', 5000)}", f"{where}/{blob_name('keep', 3000)}"}


KEEP = commit_of("keep")
_NEEDED_PAYLOAD = hashlib.sha256(b"xet" + b"keep" * 2000).hexdigest()
"""The name of the payload that a needed repository links to, as `Disk.shared` gives it."""


def make(base: Path) -> World:
    """Needed: an artifact, a derived folder, and a revision that shares a blob. Not needed: one of each cache's kinds,
    shared parts, links out of the roots, names that are no text, a hard link, a broken and a looping link."""
    disk = Disk(base)
    needs = Needs({"weights:keep/a.bin", f"hf:org/shared@{KEEP}", "derived:keep"})
    disk.store.mkdir(parents=True)
    (base / "outside").mkdir()
    (base / "outside" / "precious.txt").write_text("precious")
    disk.derived("keep")
    gone = disk.derived("gone", {"network.bin": 3000, "deep/er/bits.bin": 2000})
    (gone / "out").symlink_to(base / "outside")
    (gone / "nowhere").symlink_to("nothing")
    (gone / "loop").symlink_to("loop")
    os.link(gone / "network.bin", gone / "again.bin")
    (gone / "new\nline").write_text("a name with a line break")
    Path(os.fsdecode(bytes(gone) + b"/\xff\xfe")).write_text("a name that is not UTF-8")
    disk.repository("org/shared", [
        Revision({"model.bin": ("keep", 3000), "both.bin": ("both", 5000)}, commit=KEEP),
        Revision({"model.bin": ("old", 3100), "both.bin": ("both", 5000)}, refs=("v1",), commit=commit_of("old")),
    ])  # fmt: skip
    disk.repository("org/gone", [
        Revision({"one.bin": ("one", 100), "sub/common.bin": ("common", 700)}, commit=commit_of("one")),
        Revision({"two.bin": ("two", 200), "common.bin": ("common", 700)}, refs=(), commit=commit_of("two")),
    ])  # fmt: skip
    (disk.hub / "models--org--gone" / "blobs" / ("e" * 64 + ".0a1b2c3d.incomplete")).write_text("half a file")
    (disk.hub / "models--org--gone" / "blobs" / ("d" * 64)).write_text("no snapshot leads here")
    age(base)
    return World(base, disk, needs).remember()


def make_shared(base: Path) -> World:
    """Needed: 'org/keep', which shares a payload with 'org/other'. Not needed: that, 'org/left' and 'org/right', which
    share another payload, and a payload that nobody links to."""
    disk = Disk(base)
    disk.store.mkdir(parents=True)
    (base / "outside").mkdir()
    (base / "outside" / "precious.txt").write_text("precious")
    disk.hub.mkdir(parents=True)
    disk.shared("org/keep", "model.bin", b"keep" * 2000)
    disk.shared("org/other", "model.bin", b"keep" * 2000)
    disk.shared("org/other", "own.bin", b"other" * 2000, "own")
    for name in ("org/left", "org/right", "org/nobody"):
        disk.shared(name, "model.bin", b"both" * 3000 if name != "org/nobody" else b"nobody" * 1000)
    shutil.rmtree(disk.hub / "models--org--nobody")
    age(base)
    return World(base, disk, Needs({"hf:org/keep"})).remember()


def age(base: Path, seconds: float = OLD_S) -> None:
    """Make everything look as if it had been there for some days."""
    then = time.time() - seconds
    for path in [base, *base.rglob("*")]:
        os.utime(path, (then, then), follow_symlinks=False)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return in_environment(make(tmp_path / "world"), monkeypatch)


def in_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in world.disk.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Catalog, "load", lambda *_: _CATALOG)  # reading its YAML takes longer than all the rest
    world.remember()
    return world


_CATALOG = Catalog.load()


def again(base: Path) -> Path:
    """An empty folder in the place of an earlier one."""
    shutil.rmtree(base, ignore_errors=True)
    return base


def ids(items: Iterable[Item]) -> set[str]:
    return {item.id for item in items}


_OURS = ("record.json", ".audit.jsonl", ".hashes.json", ".usage.sqlite", ".registry.json", ".compositions.json")


def _tree(base: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if name not in (TRASH, ".locks")]
        for name in (*folders, *files):
            path = Path(folder, name)
            if name not in _OURS:
                yield str(path.relative_to(base)), _entry(path)


def _entry(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "link", os.readlink(path), found.st_mtime_ns  # noqa: PTH115
    if stat.S_ISDIR(found.st_mode):
        return "folder", stat.S_IMODE(found.st_mode)
    return "file", path.read_bytes(), stat.S_IMODE(found.st_mode), found.st_mtime_ns
