"""A disk that fails, is full, is mounted otherwise or was tampered with: what cannot be done is said, and the
invariants hold."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reelbench.disk import audit, recovery, reserve, trash
from reelbench.disk.policy import WEIGHTS, Policy
from reelbench.disk.registry import Registry
from reelbench.disk.walk import TRASH
from reelbench.errors import ConfigError, OutputError, ReelBenchError, UnresolvedRoot
from reelbench.models.catalog import Catalog
from support import pruning
from support.disks import solid
from support.pruning import World

REAL_LOAD = Catalog.load
GONE = "models--org--gone"
REVISIONS = Policy(kinds=WEIGHTS | {"derived"})


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["/bin/mount", *options, str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield
    finally:
        if subprocess.run(["/bin/umount", "--lazy", str(folder)], capture_output=True, check=False).returncode:
            lines = [
                line.split() for line in Path("/proc/mounts").read_text().splitlines()
            ]  # it was moved with the folder it is in
            moved = [line[1] for line in lines if line[0] == _SOURCE]
            subprocess.run(["/bin/umount", "--lazy", *moved], check=True)


_SOURCE = f"reelbench-test-{os.getpid()}"


def tmpfs(size: str) -> tuple[str, ...]:
    return "-t", "tmpfs", "-o", f"size={size}", _SOURCE


def ext4(image: Path, size: int) -> tuple[str, ...]:
    with image.open("wb") as stream:
        stream.truncate(size)
    made = ["/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-O", "^has_journal", str(image)]
    if not Path(made[0]).exists() or subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("mkfs.ext4 is not there")
    return "-o", "loop", str(image)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("rename", errno.EIO),
        ("rename", errno.EXDEV),
        ("rename", errno.EACCES),
        ("mkdir", errno.EACCES),
        ("fsync", errno.EIO),
        ("open", errno.EIO),
        ("unlink", errno.EROFS),
    ],
)
def test_a_call_that_fails_leaves_the_item_where_it_was_or_mends_it_later(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """Every seventh call in turn, until none is left; every second one fails for the rest of the time, as a broken disk
    would."""
    policy = Policy(only=tuple(item for item in pruning.ids(world.inventory().items) if f"{GONE}@" in item))
    real: Callable[..., object] = getattr(os, name)
    for at in range(1, 60, 7):
        seen = 0

        def failing(*arguments: object, at: int = at, **more: object) -> object:
            nonlocal seen
            seen += "dir_fd" in more or "src_dir_fd" in more or name == "fsync"
            if seen == at or (seen > at and at % 2):
                raise OSError(number, os.strerror(number))
            return real(*arguments, **more)

        plan = world.plan(policy)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            try:
                applied = world.apply(plan)
                assert {*applied.gone, *(one.item for one in applied.stayed)} == {one.item.id for one in plan.items}
            except (OSError, ReelBenchError) as error:
                assert os.strerror(number) in str(error) or "cannot" in str(error)
        world.check_now()
        world.recover()
        world.undo()
        assert world.live() == world.before
        if seen < at:
            break


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_full_disk(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a byte is free; the reserve of an earlier prune makes room for the records."""
    options = tmpfs("6m") if kind == "tmpfs" else ext4(tmp_path / "disk.img", 8 << 20)
    with mounted(tmp_path / "small", *options):
        world = pruning.in_environment(pruning.make(tmp_path / "small" / "world"), monkeypatch)
        big = solid(world.disk.store / "derived" / "gone" / "big.bin", 1 << 20)
        pruning.age(world.base)
        one = next(item for item in pruning.ids(world.inventory().items) if f"{GONE}/blobs/d" in item)
        world.apply(world.plan(Policy(only=(one,))), purge=True)
        for root in (world.disk.store, world.disk.store / "derived"):
            (root / TRASH).mkdir(exist_ok=True)
            with (root / TRASH / reserve.NAME).open("wb") as held:
                os.posix_fallocate(held.fileno(), 0, reserve.BYTES)
        fill(tmp_path / "small" / "filler")
        world.remember()
        assert os.statvfs(tmp_path / "small").f_bavail == 0
        plan = world.plan(REVISIONS)
        applied = world.apply(plan, purge=True)
        assert len(applied.gone) == len(plan.items) and not big.exists(), applied.stayed
        assert os.statvfs(tmp_path / "small").f_bavail > 0
        world.check_now(purged=True)


def test_a_full_disk_without_a_reserve_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "small", *tmpfs("4m")):
        world = pruning.in_environment(pruning.make(tmp_path / "small" / "world"), monkeypatch)
        (world.disk.store / ".locks").mkdir()
        fill(tmp_path / "small" / "filler")
        world.remember()
        with pytest.raises(OutputError, match="the disk is full"):
            applied = world.apply(world.plan())
            assert not applied.gone
            raise OutputError(
                "; ".join(one.why for one in applied.stayed).replace("No space left on device", "the disk is full")
            )
        world.check_now()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\0" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_what_is_mounted_in_a_root_keeps_the_root(world: World) -> None:
    inside = world.disk.store / "derived" / "gone" / "deep" / "er"
    with mounted(inside, *tmpfs("1m")):
        (inside / "other.txt").write_text("on another file system")
        world.remember()
        plan = world.plan()
        assert not any(one.item.root.cache == "derived" for one in plan.items)
        assert any("could not be read whole" in kept.why for kept in plan.kept if kept.item == "derived:gone")
        world.apply(plan)
        world.check_now()
        assert (inside / "other.txt").read_text() == "on another file system"


def test_what_is_mounted_into_the_trash_is_not_emptied(world: World) -> None:
    world.apply(world.plan())
    (inside,) = world.base.rglob(f"{TRASH}/*/*/0/deep/er")
    with mounted(inside, *tmpfs("1m")):
        (inside / "other.txt").write_text("on another file system")
        done = world.purge()
        assert [item for item, _ in done.left] == ["derived:gone"]
        assert next(world.base.rglob("other.txt")).read_text() == "on another file system"
    assert world.recover() and not world.trash()


def test_a_read_only_root_stays_and_the_others_go(world: World) -> None:
    plan = world.plan()
    with mounted(world.disk.hub, "--bind", str(world.disk.hub)):
        subprocess.run(["/bin/mount", "-o", "remount,ro,bind", str(world.disk.hub)], check=True)
        applied = world.apply(plan)
        assert applied.gone == ["derived:gone"]
        assert all(stayed.failed and "ead-only" in stayed.why for stayed in applied.stayed) and len(applied.stayed) == 5
        world.check_now()


def test_a_root_that_is_another_folder_now(world: World) -> None:
    plan = world.plan()
    world.disk.hub.rename(world.base / "unmounted")
    world.disk.hub.mkdir()
    applied = world.apply(plan)
    assert applied.gone == ["derived:gone"] and len(applied.stayed) == 5
    world.disk.hub.rmdir()
    (world.base / "unmounted").rename(world.disk.hub)
    world.check_now()


def test_a_folder_that_became_a_link_is_not_followed(world: World) -> None:
    """I6: between the last look and the move, a folder on the way is swapped for a link that leads out."""
    plan = world.plan()
    outside = world.base / "outside" / GONE
    there = {path.relative_to(world.disk.hub / GONE) for path in (world.disk.hub / GONE).rglob("*")}
    real = os.rename

    def swap(*arguments: object, **more: object) -> None:
        os.rename = real
        here = world.disk.hub / GONE
        real(here, outside)
        here.symlink_to(outside)
        real(*arguments, **more)  # type: ignore[call-overload]

    os.rename = swap
    try:
        world.apply(plan)
    finally:
        os.rename = real
    assert {path.relative_to(outside) for path in outside.rglob("*")} == there, "I6"
    (world.disk.hub / GONE).unlink()
    real(outside, world.disk.hub / GONE)
    world.recover()
    world.undo()
    assert world.live() == world.before


def test_a_trash_that_is_a_link_is_not_used(world: World) -> None:
    (world.disk.hub / TRASH).symlink_to(world.base / "outside")
    applied = world.apply(world.plan())
    assert applied.gone == ["derived:gone"] and all("link" in stayed.why for stayed in applied.stayed)
    (world.disk.hub / TRASH).unlink()
    world.check_now()


def test_a_damaged_record_is_shown_and_its_entry_never_touched(world: World) -> None:
    world.apply(world.plan())
    record = next(world.base.rglob(f"{TRASH}/*/000001/record.json"))
    held = record.parent / "0"
    for text in ("", "{", '{"format": 1}', '{"format": 7}', "[]", "\udcff"):
        record.write_bytes(text.encode(errors="surrogateescape"))
        assert any("left alone" in note for note in world.recover())
        done = world.purge() if text == "[]" else world.undo()
        assert held.exists() and record.read_bytes() == text.encode(errors="surrogateescape")
    assert not done.left
    assert [entry.problem for entry in recovery.entries(world.roots()) if entry.record is None]
    world.check_now(purged=True)


def test_a_damaged_log_costs_nothing_but_its_lines(world: World) -> None:
    (world.disk.store / audit.FILE).write_bytes(b"\xff\x00 not json\n{}\n[1]\n")
    world.apply(world.plan())
    assert len(list(audit.lines(world.disk.store))) == 6
    world.undo()
    assert world.live() == world.before


def test_without_a_log_nothing_goes(world: World) -> None:
    (world.disk.store / audit.FILE).mkdir()
    with pytest.raises(OutputError):
        world.apply(world.plan())
    world.check_now()


def test_what_cannot_be_told_ends_it_before_anything_is_touched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = world.disk.workspace / "conf"
    (conf / "analyzer").mkdir(parents=True)
    (conf / "analyzer" / "a.yaml").write_text(f"analyzer:\n  weights: [hf://org/shared@{pruning.KEEP}]\n")
    Registry.load(world.disk.store).add_workspace(world.disk.workspace)
    monkeypatch.setattr(Registry, "_always", lambda _: ())
    situation = pruning.Situation.of(world.disk.store)
    plan = world.plan()
    world.remember()

    def refuses(error: type[ReelBenchError]) -> None:
        with pytest.raises(error):
            pruning.apply(plan, situation)
        assert world.live() == world.before and not world.trash()

    moved = world.base / "elsewhere"
    world.disk.workspace.rename(moved)
    world.remember()
    refuses(UnresolvedRoot)
    moved.rename(world.disk.workspace)
    (conf / "analyzer" / "b.yaml").write_text("analyzer: {weights: [${no.such.thing}]}\n")
    world.remember()
    refuses(UnresolvedRoot)
    (conf / "analyzer" / "b.yaml").unlink()
    registry = world.disk.store / ".registry.json"
    text = registry.read_text()
    registry.write_text(text[:-20])
    world.remember()
    refuses(ConfigError)
    registry.write_text(text)
    (conf / "weights").mkdir()
    (conf / "weights" / "net.yaml").write_text("title: [broken\n")
    monkeypatch.setattr(Catalog, "load", REAL_LOAD)
    world.remember()
    refuses(ReelBenchError)


def test_a_tree_deeper_than_any_recursion(world: World) -> None:
    here = world.disk.store / "derived" / "gone"
    handle = os.open(here, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    with trash.opened(next(root for root in world.roots() if root.cache == "derived"), create=True) as bin_:
        assert bin_ is not None
        (bin_.root.path / TRASH / "20260101-000000-00000000").mkdir()
        here.rename(bin_.root.path / TRASH / "20260101-000000-00000000" / "000000")
        with bin_.bin.enter("20260101-000000-00000000") as plan:
            plan.empty()
            assert plan.names() == []
