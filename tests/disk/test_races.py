"""A prune that is held in the middle, at one change after the other, while somebody downloads or loads; and the other
way round."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from reelbench.errors import WeightsError
from reelbench.models import leases
from support import pruning
from support.crashes import exit_at, paused_at
from support.disks import commit_of
from support.hub_server import Hub, running_hub
from support.pruning import World

SLOW = bool(os.environ.get("REELBENCH_SLOW"))
GONE = "models--org--gone"


@contextmanager
def beside(work: Callable[[], object], wait_s: float = 0.3) -> Iterator[None]:
    """``work`` in a process of its own: it has this long before the block goes on, and must have succeeded some time
    after it."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 (the child never returns)
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    until, status = time.monotonic() + wait_s, None
    while status is None and time.monotonic() < until:
        done, code = os.waitpid(child, os.WNOHANG)
        status = code if done else None
        time.sleep(0.005)
    yield
    if status is None:
        _, status = os.waitpid(child, 0)
    assert status == 0


def points(world_of: Callable[[], World]) -> list[int]:
    """The changes at which a prune is held: some of them, or every one where there is time."""
    world = world_of()
    plan, last = world.plan(), 1
    while exit_at(last, lambda: world_of().apply(plan), world.base).crashed:
        last += 16
    return list(range(1, last, 1 if SLOW else max(1, last // 5)))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as state:
        yield state


@pytest.mark.parametrize("place", ["same repository", "other repository, shared payload"])
def test_a_download_that_comes_to_need_what_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub, place: str
) -> None:
    """The real huggingface_hub fetches a revision that shares its large file with one that is on its way into the
    trash: by a blob of the same repository, or by a payload of the shared store."""
    large = bytes(range(256)) * 20
    name = "org/net" if place == "same repository" else "org/copy"
    old = hub.repository("org/net").commit({"model.safetensors": large, "config.json": b'{"old": 1}'})
    new = hub.repository(name).commit({"model.safetensors": large, "config.json": b'{"new": 1}'})
    if name == "org/copy":
        hub.keep_in_xet(tmp_path / "content", large)

    def fetch(world: World, name: str, revision: str) -> None:
        from huggingface_hub import snapshot_download

        os.environ["HF_XET_CACHE"] = str(tmp_path / "xet")  # of the process that was forked for this
        snapshot_download(name, revision=revision, cache_dir=world.disk.hub, endpoint=hub.address, max_workers=1)

    def fresh() -> World:
        world = pruning.make(pruning.again(tmp_path / "world"))
        # hf_xet starts threads, which must not be in a process that forks.
        assert not exit_at(None, lambda: fetch(world, "org/net", old)).error
        assert (world.disk.hub / "blobs").is_dir() == (name == "org/copy")
        pruning.age(world.base)
        return pruning.in_environment(world, monkeypatch)

    fresh()
    for k in points(fresh):
        world = fresh()
        plan = world.plan()
        with (
            ExitStack() as download,
            paused_at(k, lambda world=world, plan=plan: world.apply(plan), world.base) as prune,
        ):
            download.enter_context(beside(lambda world=world: fetch(world, name, new), 0.4))
        assert prune.ended is not None and not prune.ended.error, prune.ended
        world.recover()
        world.check_links()
        found = world.disk.hub / f"models--{name.replace('/', '--')}" / "snapshots" / new
        assert (found / "model.safetensors").read_bytes() == large and (
            found / "config.json"
        ).read_bytes() == b'{"new": 1}'
        world.check_now(purged=True)


def test_a_worker_that_loads_what_is_needed_finds_it_at_every_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh() -> World:
        return pruning.in_environment(pruning.make(pruning.again(tmp_path / "world")), monkeypatch)

    for k in points(fresh):
        world = fresh()
        plan = world.plan()
        needed = world.disk.hub / "models--org--shared" / "snapshots" / pruning.KEEP / "model.bin"
        other = world.disk.hub / GONE / "snapshots" / commit_of("one") / "one.bin"

        def load(needed: Path = needed, other: Path = other) -> None:
            with leases.hold([needed]):
                assert needed.read_bytes().startswith(b"keep")
            try:
                with leases.hold([other]):
                    time.sleep(0.2)
                    assert other.read_bytes().startswith(b"one"), "whoever holds it has it, for as long as he holds it"
            except WeightsError:
                return  # it went before: that is told, and nothing is half there

        with ExitStack() as worker, paused_at(k, lambda world=world, plan=plan: world.apply(plan), world.base) as prune:
            worker.enter_context(beside(load, 0.15))
        assert prune.ended is not None and not prune.ended.error
        world.check_now()


def test_two_prunes_and_an_undo_at_once(world: World) -> None:
    """One of them works, the others are told so; nothing is lost."""
    plan = world.plan()
    with paused_at(25, lambda: world.apply(plan), world.base) as prune:
        for other in (lambda: world.apply(plan), world.undo):
            ended = exit_at(None, other)
            assert "another prune or undo is at work" in ended.error
    assert prune.ended is not None and not prune.ended.error
    world.check_now()
    world.undo()
    assert world.live() == world.before
