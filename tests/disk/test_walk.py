"""The walk counts what du counts, follows nothing, and hides nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reelbench.disk.records import Root
from reelbench.disk.walk import Walk
from support.disks import solid, sparse


def walk_of(path: Path, elsewhere: tuple[Path, ...] = ()) -> Walk:
    found = path.stat()
    others = {(other.stat().st_dev, other.stat().st_ino) for other in elsewhere}
    return Walk(Root("test", path, found.st_dev, found.st_ino), others)


def du(path: Path) -> int:
    done = subprocess.run(["/usr/bin/du", "-s", "--block-size=1", path], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def total(walk: Walk) -> int:
    parts = [part for part, _ in walk.parts("").values()]
    linked = {(one.device, one.inode): one.bytes for part in parts for one in part.linked}
    return walk.layout + sum(part.bytes for part in parts) + sum(linked.values())


def test_sizes_are_those_of_du_for_sparse_linked_and_deep_files(tmp_path: Path) -> None:
    root = tmp_path / "root"
    sparse(root / "a" / "sparse.bin", 14_000_000_000)
    solid(root / "a" / "b" / "whole.bin", 10_000)
    (root / "c").mkdir()
    os.link(root / "a" / "b" / "whole.bin", root / "c" / "again.bin")
    os.link(root / "a" / "b" / "whole.bin", root / "a" / "third.bin")
    deep = root / "deep"
    for level in range(300):
        deep = deep / f"{level:03d}"
    deep.mkdir(parents=True)
    walk = walk_of(root)
    assert total(walk) == du(root)
    assert walk.problems == []


def test_an_inode_with_several_names_is_told_apart_from_the_parts_own_bytes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    solid(root / "a" / "one.bin", 8192)
    os.link(root / "a" / "one.bin", root / "a" / "two.bin")
    os.link(root / "a" / "one.bin", tmp_path / "outside.bin")
    ((part, logical),) = walk_of(root).parts("").values()
    assert logical == 8192
    assert [(one.names, one.here, one.bytes) for one in part.linked] == [(3, 2, 8192)]
    assert part.bytes == (root / "a").stat().st_blocks * 512


def test_links_are_counted_and_never_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    solid(outside / "large.bin", 1 << 20)
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "absolute").symlink_to(outside)
    (root / "folder" / "relative").symlink_to("../../outside/large.bin")
    (root / "folder" / "broken").symlink_to("nowhere")
    (root / "folder" / "loop").symlink_to("loop")
    (root / "folder" / "up").symlink_to("..")
    (root / "direct").symlink_to(outside)
    walk, links = walk_of(root), list[str]()
    entries = {entry.name: entry for entry in walk.entries()}
    taken = walk.part("folder", entries["folder"], links)
    assert taken is not None and taken[0].bytes < 1 << 20 and taken[1] == 0
    assert sorted(links) == sorted(["..", "../../outside/large.bin", str(outside), "loop", "nowhere"])
    direct = walk.part("direct", entries["direct"])
    assert direct is not None and direct[0].kind == "link" and direct[0].bytes < 1 << 20


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    hostile = [b"line\nbreak", b"not-utf8-\xff\xfe", b" leading", b"-rf", "ünï".encode()]
    for name in hostile:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    assert {os.fsencode(name) for name in walk_of(tmp_path).parts("")} == set(hostile)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_what_cannot_be_read_is_a_problem_and_the_rest_is_still_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    solid(tmp_path / "a" / "open" / "1.bin")
    solid(tmp_path / "a" / "shut" / "2.bin")
    refuse(monkeypatch, "/shut", number)
    walk = walk_of(tmp_path)
    ((_, logical),) = walk.parts("").values()
    assert logical == 4096
    assert [(problem.path, problem.reason) for problem in walk.problems] == [("a/shut", os.strerror(number))]


def refuse(monkeypatch: pytest.MonkeyPatch, ending: str, number: int) -> None:
    """Let every folder whose path ends so be refused. Tests may run as root, who may read everything: the system calls refuse."""
    listed, opened = os.scandir, os.open

    def scandir(path: Any) -> Any:
        if str(path).endswith(ending):
            raise OSError(number, os.strerror(number), path)
        return listed(path)

    def open_(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith(ending):
            raise OSError(number, os.strerror(number), path)
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "open", open_)


def test_what_vanishes_meanwhile_is_no_problem_but_the_root_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "going").mkdir(parents=True)
    walk = walk_of(tmp_path / "root")
    refuse(monkeypatch, "/going", errno.ENOENT)
    assert [part.path for part, _ in walk.parts("").values()] == ["going"]
    assert walk.problems == []
    refuse(monkeypatch, "/root", errno.ENOENT)
    assert walk.parts("") == {}
    assert [problem.path for problem in walk.problems] == [""]


def test_another_root_inside_is_left_out_and_named(tmp_path: Path) -> None:
    inner = solid(tmp_path / "a" / "inner" / "x.bin", 1 << 16).parent
    walk = walk_of(tmp_path, (inner,))
    ((part, logical),) = walk.parts("").values()
    assert logical == 0 and part.bytes < 1 << 16
    assert walk.nested == {"a": str(inner)}


def test_another_file_system_inside_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    found = tmp_path.stat()
    walk = Walk(
        Root("test", tmp_path, found.st_dev + 1, found.st_ino)
    )  # as if the folder lay on another disk than its root
    assert walk.parts("") == {}
    assert [problem.reason for problem in walk.problems] == ["another file system is mounted here"]
