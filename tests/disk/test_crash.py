"""Killed at every instruction that changes the disk, and at random times: the six invariants hold, and the next call
mends the rest."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reelbench.disk import audit, recovery
from reelbench.disk.planning import Plan
from reelbench.disk.policy import WEIGHTS, Policy
from support import pruning
from support.crashes import every_exit, exit_at, killed
from support.pruning import World

SLOW = bool(os.environ.get("REELBENCH_SLOW"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: what is tested here is the order of the changes, and fsync takes its time
    on a disk."""
    if os.access("/dev/shm", os.W_OK):
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="reelbench-crash-") as memory:
            yield Path(memory)
    else:
        yield tmp_path


class Fresh:
    """The same world again and again, each time as if nothing had happened to it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], World]) -> None:
        self.base = folder / "world"
        self.monkeypatch = monkeypatch
        self.make = make
        self.middle = 10

    def world(self) -> World:
        return pruning.in_environment(self.make(pruning.again(self.base)), self.monkeypatch)

    def planned(self, _: int = 0) -> tuple[World, Plan]:
        """Two revisions that share a blob, or two repositories that share a payload; or, where there is time,
        everything that is not needed."""
        world = self.world()
        pair = ("org--gone@", "org--left@", "org--right@")
        items = sorted(item for item in pruning.ids(world.inventory().items) if any(one in item for one in pair))
        only = None if SLOW else tuple(items)
        return world, world.plan(Policy(kinds=WEIGHTS | {"derived"}, only=only))

    def pruned(self, _: int = 0) -> tuple[World, Plan]:
        world, plan = self.planned()
        assert len(world.apply(plan).gone) == len(plan.items)
        return world, plan

    def broken_off(self, _: int = 0) -> tuple[World, Plan]:
        """A prune that was killed between two parts of an item, so that the next start has something to mend."""
        while True:
            world, plan = self.planned()
            exit_at(self.middle, lambda world=world, plan=plan: world.apply(plan), world.base)
            entries = list(world.base.rglob(".reelbench-trash/*/*/record.json"))
            if any('"going"' in record.read_text() and len(list(record.parent.iterdir())) > 2 for record in entries):
                return world, plan
            self.middle += 1


@pytest.fixture(params=[pruning.make, pruning.make_shared], ids=["blobs", "shared payloads"])
def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Fresh:
    return Fresh(folder, monkeypatch, request.param)


def base_of(state: tuple[World, Plan]) -> Path:
    return state[0].base


def goes_on(world: World, plan: Plan) -> set[str]:
    """I4: whatever was broken off, the same plan leads to the same end, and there is nothing left to mend then."""
    world.check_now()
    world.apply(plan)
    assert not world.recover()
    gone = {planned.item.id for planned in plan.items}
    assert not gone & pruning.ids(world.inventory().items), "I4"
    world.check_now()
    return set(world.live())


def comes_back(world: World) -> None:
    """I5."""
    while world.undo().items:
        world.check_now()
    assert world.live() == world.before, "I5"


def test_prune_killed_at_every_change(fresh: Fresh) -> None:
    ends = set()
    for k, (world, plan), ended in every_exit(fresh.planned, lambda state: state[0].apply(state[1]), base_of):
        ends.add(frozenset(goes_on(world, plan)))
        comes_back(world)
        assert ended.crashed or k > 30
    assert len(ends) == 1, "I4: different ends"


def test_purge_killed_at_every_change(fresh: Fresh) -> None:
    for k, (world, plan), ended in every_exit(fresh.pruned, lambda state: state[0].purge(), base_of):
        half_purged(world, plan)
        assert ended.crashed or k > 10


def half_purged(world: World, plan: Plan) -> None:
    """A deletion for good that was broken off anywhere: nothing needed is touched, and only what was not begun comes back."""
    world.check_now(purged=True)
    purged = {str(line["item"]) for line in audit.lines(world.disk.store) if line["event"] == "purge"}
    entries = [entry.known() for entry in recovery.entries(world.roots())]
    begun = {record.item for record in entries if record.state == "purging"}
    assert not begun & set(world.undo().items), "what is half deleted never comes back"
    world.check_now(purged=True)
    left = world.trash()
    world.recover()  # ends a deletion that was begun, and begins none
    assert world.trash() <= left, "I3"
    comes_back_without(world, plan, purged)


def comes_back_without(world: World, plan: Plan, purged: set[str]) -> None:
    """I5 until the purge: what was not begun to be deleted comes back, and what comes back is whole."""
    for handled in iter(world.undo, recovery.Handled()):
        if not handled.items:
            break
    world.check_now(purged=True)
    live = world.live()
    assert all(live[path] == world.before[path] for path in live), "I5"
    there = pruning.ids(world.inventory().items)
    assert {planned.item.id for planned in plan.items} - purged <= there | blocked_by(plan, purged), "I5"


def blocked_by(plan: Plan, purged: set[str]) -> set[str]:
    """Items that share a part with one that is deleted for good: they stay in the trash, since they would come back
    broken."""
    parts = {part.path for planned in plan.items if planned.item.id in purged for part in planned.item.parts}
    return {planned.item.id for planned in plan.items if parts & {part.path for part in planned.item.parts}}


def test_undo_killed_at_every_change(fresh: Fresh) -> None:
    for k, (world, _), ended in every_exit(fresh.pruned, lambda state: state[0].undo(), base_of):
        world.check_now()
        comes_back(world)
        assert ended.crashed or k > 20


def test_recovery_killed_at_every_change(fresh: Fresh) -> None:
    for k, (world, plan), ended in every_exit(fresh.broken_off, lambda state: state[0].recover(), base_of):
        goes_on(world, plan)
        comes_back(world)
        assert ended.crashed or k > 5


def test_killed_at_random_times(fresh: Fresh) -> None:
    """SIGKILL in the middle of prune, undo and deletion, whatever instruction that is; one world, killed again and
    again."""
    rounds = 200 if SLOW else 12
    prune, undo, purge = Interrupted(seed=6), Interrupted(seed=7), Interrupted(seed=8)
    for _ in range(rounds):
        world, plan = fresh.planned()
        prune.kill(lambda world=world, plan=plan: world.apply(plan))
        world.check_now()
        undo.kill(lambda world=world: world.undo())
        goes_on(world, plan)
        comes_back(world)
        world, plan = fresh.pruned()
        purge.kill(lambda world=world: world.purge())
        half_purged(world, plan)
    hits = prune.hits + undo.hits + purge.hits
    assert hits > rounds // 2  # of three times as many


class Interrupted:
    """One kind of work that is killed at random times. The longest time that is tried halves after a kill that came
    too late and doubles after one that came in time, so that the share of kills that hit does not depend on how busy
    the machine is."""

    def __init__(self, seed: int) -> None:
        self.times = random.Random(seed)
        self.longest = 0.05
        self.hits = 0

    def kill(self, work: Callable[[], object]) -> None:
        hit = killed(work, self.times.uniform(0.0, self.longest)).crashed
        self.hits += hit
        self.longest *= 2.0 if hit else 0.5
