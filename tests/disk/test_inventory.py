"""What would go free, what is shared, what is not read twice, what is not hidden."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from reelbench.disk import inventory
from reelbench.disk.categories import judge, whole
from reelbench.disk.inventory import freed, occupied, take
from reelbench.disk.records import Inventory, Item, Reason
from reelbench.errors import UsageError
from support.disks import Disk, Revision, blob_name, commit_of, many_files, solid

from .test_walk import refuse


class Only:
    """References by which only what has one of these names is needed."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def reasons(self, item: Item) -> tuple[Reason, ...]:
        return tuple(Reason("pin", ("pinned", name)) for name in item.names if name in self.names)


def by_id(found: Inventory) -> dict[str, Item]:
    items = {item.id: item for item in found.items}
    assert len(items) == len(found.items), "an item's id is its own"
    return items


def two_revisions(disk: Disk) -> tuple[str, str]:
    """A repository whose two revisions share one blob of 64 KiB and have one of 32 KiB each."""
    old, new = commit_of("old"), commit_of("new")
    shared = {"tokenizer.json": ("tokenizer", 1 << 16)}
    disk.repository("openai/clip", [
        Revision({**shared, "model.bin": ("old", 1 << 15)}, refs=(), commit=old, whole=True),
        Revision({**shared, "deep/er/model.bin": ("new", 1 << 15)}, refs=("main", "pr/1"), commit=new, whole=True),
    ])  # fmt: skip
    return f"hub:models--openai--clip@{old}", f"hub:models--openai--clip@{new}"


def test_shared_blobs_are_freed_only_with_their_last_revision(disk: Disk) -> None:
    old, new = two_revisions(disk)
    found = take(disk.registered)
    items = by_id(found)
    links = items[old].parts[0].bytes  # the old one's snapshot
    assert freed([items[old]], found) == (1 << 15) + links
    assert items[old].bytes == (1 << 15) + (1 << 16) + links
    both = freed([items[old], items[new]], found)
    assert both == occupied([items[old], items[new]]) < items[old].bytes + items[new].bytes
    assert freed([], found) == 0


def test_hard_links_across_repositories_are_freed_only_together(disk: Disk) -> None:
    one = disk.repository("a/one", [Revision({"model.bin": ("x", 1 << 16)}, commit=commit_of("1"), whole=True)])
    other = disk.repository("b/two", [Revision({"model.bin": ("y", 1 << 16)}, commit=commit_of("2"), whole=True)])
    linked = other / "blobs" / blob_name("y", 1 << 16)
    linked.unlink()
    os.link(one / "blobs" / blob_name("x", 1 << 16), linked)
    found = take(disk.registered, ["hub"])
    first, second = (item for item in found.items if item.kind == "weights")
    apart = freed([first], found) + freed([second], found)
    assert freed([first, second], found) == apart + (1 << 16)
    assert occupied(found.items) == du(disk.hub)
    os.link(linked, disk.base / "kept-outside")
    again = take(disk.registered, ["hub"])
    assert freed([item for item in again.items if item.kind == "weights"], again) == apart


def du(path: Path) -> int:
    done = subprocess.run(["/usr/bin/du", "-s", "--block-size=1", path], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def test_every_byte_of_a_cache_is_in_some_item(disk: Disk) -> None:
    many_files(disk.hub, 60, per_repository=7, size=5000)
    two_revisions(disk)
    solid(disk.hub / "models--x--y" / "blobs" / ("a" * 64))
    solid(disk.hub / "models--x--y" / "odd" / "thing")
    solid(disk.hub / ".locks" / "models--x--y" / "aa.lock", 0)
    solid(disk.hub / "version.txt", 1)
    solid(disk.store / ".reelbench-trash" / "plan-1" / "file")
    disk.artifact("fonts/Any.ttf")
    disk.derived("openvino-a")
    solid(disk.store / "mine" / "file.bin")
    found = take(disk.registered)
    for cache, folder in (("hub", disk.hub), ("store", disk.store)):
        caches = ("store", "derived") if cache == "store" else (cache,)
        assert occupied(item for item in found.items if item.root.cache in caches) == du(folder), cache


def test_a_root_in_a_root_is_read_once_and_holds_what_contains_it(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(disk.store / "mine" / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(disk.store / "mine"))  # the same folder once more: mine/hub
    solid(disk.store / "mine" / "hub" / "models--a--b" / "blobs" / ("b" * 64))
    solid(disk.store / "mine" / "note.txt")
    items = by_id(take(disk.registered))
    assert "lies in it" in items["store:mine"].busy
    assert items["store:mine"].logical_bytes == 4096
    assert [item.root.cache for item in items.values() if item.id.endswith("b" * 64)] == ["hub"]


def test_unknown_caches_are_refused_and_absent_ones_are_no_roots(disk: Disk) -> None:
    assert take(disk.registered).roots == ()
    with pytest.raises(UsageError, match="there is no cache 'hubb'"):
        take(disk.registered, ["hubb"])


def test_a_cache_that_cannot_be_read_makes_nothing_reclaimable(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    two_revisions(disk)
    solid(disk.base / "cache" / "torch" / "hub" / "checkpoints" / "resnet-0676ba61.pth")
    refuse(monkeypatch, "/snapshots", errno.EACCES)
    found = take(disk.registered)
    assert [(problem.root.cache, problem.path) for problem in found.problems] == [
        ("hub", "models--openai--clip/snapshots")
    ]
    standings = {
        one.item.root.cache: one.standing for one in judge(found, Only()) if one.item.kind in ("orphan", "weights")
    }
    assert standings == {"hub": "kept", "torch_hub": "reclaimable"}


def test_columns_say_what_is_needed_and_what_deleting_the_rest_would_free(disk: Disk) -> None:
    old, new = two_revisions(disk)
    found = take(disk.registered, ["hub"])
    items = by_id(found)
    judged = judge(found, Only(f"hf:openai/clip@{commit_of('new')}"))
    standing = {one.item.id: one.standing for one in judged}
    assert (standing[old], standing[new]) == ("reclaimable", "in use")
    row = whole(found, judged)
    assert row.reclaimable == freed([items[old]], found)
    assert row.shared == 1 << 16
    assert row.in_use == items[new].bytes
    assert row.total == du(disk.hub)
    assert row.total == row.in_use + row.reclaimable + row.kept + row.unknown
    assert whole(found, judge(found, None)).reclaimable is None


def test_a_file_that_a_live_process_holds_is_in_use(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    from reelbench.disk.caches import base
    from reelbench.models.leases import hold

    file = disk.artifact("fonts/Roboto-Regular.ttf")
    monkeypatch.setattr(base.Surroundings, "catalog", catalog_with("fonts/Roboto-Regular.ttf"))
    with hold([file]):
        held = by_id(take(disk.registered, ["store"]))["store:fonts/Roboto-Regular.ttf"]
    free = by_id(take(disk.registered, ["store"]))["store:fonts/Roboto-Regular.ttf"]
    assert (held.busy, free.busy) == ("in use by a live process", "")


def catalog_with(*ids: str, size: int = 4096) -> object:
    from reelbench.models.catalog import Artifact, Catalog, Family

    source = {"https": "https://example.org/x"}
    artifacts = tuple(
        Artifact.model_validate({"id": name, "family": "f", "bytes": size, "sha256": blob_name(name, size), "licence": "MIT",
                                 "class": "refetchable", "sources": (source,)})
        for name in ids
    )  # fmt: skip
    family = Family.model_validate({"name": "f", "title": "f", "licence": "MIT", "class": "refetchable", "homepage": "", "note": "",
                                    "artifacts": artifacts})  # fmt: skip
    return Catalog([family])


def test_the_last_use_that_was_recorded_is_the_items(disk: Disk) -> None:
    from reelbench.models.usage import Usage

    disk.derived("a")
    disk.derived("b")
    Usage(disk.store).record(["derived:a"], at=1234.5)
    items = by_id(take(disk.registered, ["derived"]))
    assert (items["derived:a"].used_ns, items["derived:b"].used_ns) == (1_234_500_000_000, 0)


def test_catalogs_of_workspaces_count(disk: Disk) -> None:
    solid(disk.workspace / "conf" / "weights" / "mine.yaml", 1).write_text(
        "title: Mine\nlicence: MIT\nclass: irreplaceable\nartifacts:\n  mine/net.bin:\n    bytes: 4096\n    sha256: "
        + "a" * 64
        + "\n"
    )
    disk.artifact("mine/net.bin")
    found = by_id(take(disk.registered, ["store"]))["store:mine/net.bin"]
    assert (found.kind, found.class_, found.names) == ("weights", "irreplaceable", ("weights:mine/net.bin",))


def test_the_inventory_opens_nothing_for_writing(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    two_revisions(disk)
    disk.run("r1")
    before = {path: path.stat().st_mtime_ns for path in disk.base.rglob("*") if not path.is_symlink()}
    opened: list[int] = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, flags, *more, **names: opened.append(flags) or real(path, flags, *more, **names)
    )
    inventory.take(disk.registered)
    assert {path: path.stat().st_mtime_ns for path in disk.base.rglob("*") if not path.is_symlink()} == before
    assert not [flags for flags in opened if flags & (os.O_WRONLY | os.O_RDWR)]
