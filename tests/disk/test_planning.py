"""What is planned, for any disk at all: never what is needed, young, busy, unread or irreplaceable; the bytes are
exact."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbench.disk import plan_file, planning
from reelbench.disk.inventory import freed
from reelbench.disk.planning import Plan
from reelbench.disk.policy import DAY_S, WEIGHTS, Policy, newest
from reelbench.disk.records import Inventory, Item, Linked, Part, Problem, Root
from reelbench.errors import UsageError
from support.pruning import Needs

NOW = 10**18
HUB = Root("hub", Path("/caches/hub"), 1, 2)
STORE = Root("store", Path("/caches/store"), 7, 3)
DAY_NS = int(DAY_S * 1e9)
EVERYTHING = Policy()


def part(path: str, size: int, inode: int = 0, linked: tuple[Linked, ...] = ()) -> Part:
    return Part(path, "file", 1, inode or sum(map(ord, path)), size, 0, linked)


def item(name: str, *parts: Part, root: Root = HUB, days: float = 5, **more: object) -> Item:
    plain = Item(f"{root.cache}:{name}", root, name, "weights", "refetchable", parts, (f"hf:{name}",),
                 bytes=sum(one.bytes for one in parts), modified_ns=NOW - int(days * DAY_NS))  # fmt: skip
    return replace(plain, **more)


def inventory(*items: Item, problems: tuple[Problem, ...] = ()) -> Inventory:
    return Inventory((HUB, STORE), items, problems)


def plan(found: Inventory, policy: Policy = EVERYTHING, needed: tuple[str, ...] = (), free: int = 0) -> Plan:
    return planning.make(found, Needs(set(needed)), policy, Path("/caches/store"), lambda _: free, NOW)


def ids(made: Plan) -> list[str]:
    return [planned.item.id for planned in made.items]


sizes = st.integers(0, 1000)


@st.composite
def disks(draw: st.DrawFn) -> tuple[Inventory, tuple[str, ...]]:
    """Items that share parts and inodes at will, some needed, some that may not go for another reason."""
    shared = [part(f"blobs/{index}", draw(sizes)) for index in range(draw(st.integers(0, 4)))]
    inodes = [
        Linked(1, 1000 + index, draw(st.integers(1, 4)), 1, draw(sizes)) for index in range(draw(st.integers(0, 2)))
    ]
    items = []
    for index in range(draw(st.integers(0, 7))):
        own = [part(f"own/{index}", draw(sizes))]
        own += [part(f"linked/{index}-{one.inode}", 0, one.inode, (one,)) for one in inodes if draw(st.booleans())]
        parts = [*own, *(one for one in shared if draw(st.booleans()))]
        items.append(
            item(
                f"org/m{index}@{index}",
                *parts,
                days=draw(st.sampled_from([-1, 0.2, 2, 40])),
                kind=draw(st.sampled_from(["weights", "orphan", "run", "unknown"])),
                class_=draw(st.sampled_from(["refetchable", "refetchable", "irreplaceable"])),
                busy=draw(st.sampled_from(["", "", "in use"])),
                used_ns=draw(st.sampled_from([0, NOW - 3600 * 10**9])),
            )
        )
    needed = tuple(one.names[0] for one in items if draw(st.booleans()))
    return inventory(*items), needed


policies = st.builds(
    Policy,
    kinds=st.sampled_from([WEIGHTS, WEIGHTS | {"run"}]),
    older_than_s=st.sampled_from([None, 10 * DAY_S]),
    keep_last=st.sampled_from([None, 0, 1]),
    least_recently_used=st.sampled_from([None, 1, 3]),
    budget=st.sampled_from([None, 0, 700]),
    until_free=st.sampled_from([None, 500]),
    only=st.sampled_from([None, ()]),
)


@given(disks(), policies)
def test_whatever_the_disk_and_the_policy(disk: tuple[Inventory, tuple[str, ...]], policy: Policy) -> None:
    found, needed = disk
    made = plan(found, policy, needed)
    going = [planned.item for planned in made.items]
    for one in going:
        assert not set(one.names) & set(needed)
        assert not one.busy and one.kind in policy.kinds
        assert NOW - max(one.modified_ns, one.used_ns) >= max(policy.grace_s, policy.older_than_s or 0) * 1e9
        assert one.class_ != "irreplaceable" or (one.kind == "run" and policy.chooses)
    assert made.bytes == freed(going, found), "exact bytes"
    assert {*ids(made), *(kept.item for kept in made.kept)} == {one.id for one in found.items}, (
        "a reason for every item"
    )
    assert len(made.items) + len(made.kept) == len(found.items)
    assert policy.only is None or not going, "an empty selection is nothing"
    assert policy.least_recently_used is None or len(going) <= policy.least_recently_used
    assert policy.keep_last is None or not {one.id for one in going} & newest(found.items, policy.keep_last)
    uses = [max(one.modified_ns, one.used_ns) for one in going]
    assert uses == sorted(uses), "the least recently used first"
    again = plan(found, policy, needed)
    assert again.items == made.items and again.kept == made.kept


@given(disks(), policies)
def test_a_plan_comes_back_from_its_file_as_it_was(disk: tuple[Inventory, tuple[str, ...]], policy: Policy) -> None:
    made = plan(disk[0], policy, disk[1])
    file = Path("plan.json")
    text = json.dumps(plan_file.as_json(made))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda *_, **__: text)
        back = plan_file.read(file)
    assert [(one.item.id, one.item.parts, one.why, one.frees) for one in back.items] == [
        (one.item.id, one.item.parts, one.why, one.frees) for one in made.items
    ]
    assert back.policy == policy and back.bytes == made.bytes


def test_a_shared_part_is_freed_by_the_last_and_a_hard_link_with_its_last_name() -> None:
    shared, twice = part("blobs/both", 100), Linked(1, 50, 2, 1, 1000)
    one = item("a", part("a", 1), shared, part("x", 0, 50, (twice,)))
    two = item("b", part("b", 2), shared, part("y", 0, 50, (twice,)), days=4)
    assert [planned.frees for planned in plan(inventory(one, two)).items] == [1, 1102]
    assert plan(inventory(one, two), needed=("hf:b",)).bytes == 1


def test_budget_and_free_space_take_the_longest_unused_until_it_is_enough() -> None:
    found = inventory(
        item("new", part("n", 100), days=2),
        item("old", part("o", 100), days=9),
        item("used", part("u", 100), days=9, used_ns=NOW - 3 * DAY_NS),
        item("other-disk", part("d", 100), root=STORE, days=20),
    )
    assert ids(plan(found, Policy(budget=250))) == ["store:other-disk", "hub:old"]
    assert ids(plan(found, Policy(until_free=150), free=40)) == ["store:other-disk", "hub:old", "hub:used"]
    assert ids(plan(found, Policy(until_free=30), free=40)) == []


def test_nothing_of_a_root_that_could_not_be_read_whole() -> None:
    problem = Problem(HUB, "models--x", "Permission denied")
    made = plan(inventory(item("a", part("a", 1)), item("b", part("b", 1), root=STORE), problems=(problem,)))
    assert ids(made) == ["store:b"]
    assert "could not be read" in next(kept.why for kept in made.kept)


def test_a_name_that_is_not_there_is_an_error_and_not_everything() -> None:
    with pytest.raises(UsageError, match="hf:nothing"):
        plan(inventory(item("a", part("a", 1))), Policy(only=("hf:nothing",)))


@pytest.mark.parametrize("change", ["item", "cut", "version", "id", "empty"])
def test_a_plan_that_was_changed_is_refused(change: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan_file.write(plan(inventory(item("a", part("a\udcff\n", 1)))), file)
    assert plan_file.read(file).items[0].item.parts[0].path == "a\udcff\n"
    text = file.read_text()
    raw = json.loads(text)
    if change == "item":
        raw["items"][0]["parts"][0]["path"] = "../../home"
    elif change == "version":
        raw = plan_file.as_json(plan(inventory())) | {"format": 99}
    elif change == "id":
        raw = plan_file.as_json(replace(plan(inventory()), id="../x"))
    file.write_text({"cut": text[:-40], "empty": ""}.get(change, json.dumps(raw)))
    with pytest.raises(UsageError):
        plan_file.read(file)
