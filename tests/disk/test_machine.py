"""Fetch, link, pin, lease, prune (also killed in the middle), undo and verify in any order, and huggingface_hub's own
prune and deletion in between, against a model of what must be there."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reelbench.disk import recovery
from reelbench.disk.planning import Plan
from reelbench.disk.policy import WEIGHTS, Policy
from reelbench.models import leases
from support import pruning
from support.crashes import exit_at
from support.disks import Disk, Revision, commit_of
from support.pruning import Needs, World

SLOW = bool(os.environ.get("REELBENCH_SLOW"))
REVISIONS = {(repository, number): {"own.bin": (f"{repository}{number}", 40), "shared.bin": (f"{repository} both", 90)}
             for repository in ("a", "b") for number in (1, 2)}  # fmt: skip
ITEMS = {
    f"hub:models--org--{repository}@{commit_of(f'{repository}{number}')}": (repository, number)
    for repository, number in REVISIONS
}
ITEMS |= {f"derived:{key}": ("derived", key) for key in (1, 2)}
PAYLOAD = b"the payload that two repositories share" * 200
SHARING = {f"hub:models--org--{name}@{commit_of(f'org/{name} model.bin')}": ("sharing", name) for name in ("c", "d")}
"""Repositories whose one file is in the shared store."""
ITEMS |= SHARING
items = st.sampled_from(sorted(ITEMS))


class Machine(RuleBasedStateMachine):
    """``live``: the items that must be there and whole. ``trash``: plan → items that it holds. Both are the model's,
    not the disk's."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        base = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="reelbench-machine-", dir=place)))
        self.patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        disk = Disk(base / "world")
        disk.store.mkdir(parents=True)
        (disk.store / "derived").mkdir()
        disk.hub.mkdir(parents=True)
        self.world = pruning.in_environment(World(base / "world", disk, Needs()), self.patch)
        self.live: set[str] = set()
        self.leases: dict[str, ExitStack] = {}

    @initialize()
    def begin(self) -> None:
        for item in ITEMS:
            self.fetch(item)

    @rule(item=items)
    def fetch(self, item: str) -> None:
        """As a download does: what is there is used, what is not there is made."""
        what, number = ITEMS[item]
        if what == "derived":
            if item not in self.live:
                folder = self.world.disk.derived(f"{number}", {"net.bin": 60})
                os.link(folder / "net.bin", folder / "again.bin")
        elif what == "sharing":
            self.world.disk.shared(f"org/{number}", "model.bin", PAYLOAD)
        else:
            files = REVISIONS[what, number]
            revision = Revision(files, refs=(f"v{number}",), commit=commit_of(f"{what}{number}"))
            folder = self.world.disk.hub / f"models--org--{what}"
            for name in files:
                (folder / "snapshots" / revision.commit / name).unlink(missing_ok=True)
            self.world.disk.repository(f"org/{what}", [revision])
        self.live.add(item)

    @rule(item=items, wanted=st.booleans())
    def pin(self, item: str, wanted: bool) -> None:
        names = {name for found in self.world.inventory().items if found.id == item for name in found.names}
        self.world.needs.names = self.world.needs.names | names if wanted else self.world.needs.names - names

    @rule(item=items)
    def lease(self, item: str) -> None:
        if item in self.leases:
            self.leases.pop(item).close()
        elif item in self.live:
            held = self.stack.enter_context(ExitStack())
            held.enter_context(leases.hold([path for path in self.files(item) if path.is_file()]))
            self.leases[item] = held

    @rule(repository=st.sampled_from(["a", "b"]))
    def link(self, repository: str) -> None:
        """One more ref to a revision that is there."""
        folder = self.world.disk.hub / f"models--org--{repository}"
        if f"hub:models--org--{repository}@{commit_of(f'{repository}1')}" in self.live:
            (folder / "refs" / "main").write_text(commit_of(f"{repository}1"))

    @rule(chosen=st.sets(items))
    def prune(self, chosen: set[str]) -> None:
        kept = {item for item in self.live if self.is_kept(item)}
        plan = self.plan(chosen)
        applied = self.world.apply(plan)
        assert not set(applied.gone) & kept
        expected = {item for item in (chosen & self.live) - kept if not self.is_shared_in_use(item)}
        assert {planned.item.id for planned in plan.items} >= expected
        assert expected - set(applied.gone) == {stayed.item for stayed in applied.stayed} & expected
        assert not [stayed for stayed in applied.stayed if not self.is_shared_in_use(stayed.item)], applied.stayed
        self.live -= set(applied.gone)

    @rule(chosen=st.sets(items, min_size=1), k=st.integers(1, 120))
    def prune_killed(self, chosen: set[str], k: int) -> None:
        plan = self.plan(chosen)
        kept = {item for item in self.live if self.is_kept(item)}
        exit_at(k, lambda: self.world.apply(plan), self.world.base)
        self.check_disk(kept)
        self.world.recover()
        there = pruning.ids(self.world.inventory().items) & set(ITEMS)
        assert kept <= there <= self.live
        trashed = {entry.known().item for entry in recovery.entries(self.world.roots())}
        assert self.live - there <= trashed, "I3"
        self.live = there

    @rule()
    def hub_prune(self) -> None:
        """huggingface_hub drops links that are not there from every manifest, and deletes the payloads of those that
        have none left. It leaves the revisions, since none here is without a ref."""
        from huggingface_hub.utils import _shared_blobs

        for path in _shared_blobs.shared_store_blob_paths(self.world.disk.hub):
            _shared_blobs.sweep_shared_blob(path, cache_dir=self.world.disk.hub)

    @rule(item=st.sampled_from(sorted(SHARING)))
    def hub_delete(self, item: str) -> None:
        """huggingface_hub deletes a revision, and its payload if no other that it knows of links to it."""
        from huggingface_hub import scan_cache_dir

        if item in self.live and item not in self.leases:
            scan_cache_dir(self.world.disk.hub).delete_revisions(item.partition("@")[2]).execute()
            self.live.remove(item)

    @rule()
    def undo(self) -> None:
        done = self.world.undo()
        assert not set(done.items) & self.live, "what is there again is not brought back over it"
        assert not done.missing
        self.live |= set(done.items)
        there = pruning.ids(self.world.inventory().items)
        for item, why in done.left:
            assert item in there or "shares" in why, (item, why)
            # Whole, although a part of it stays in the trash: there is one again, from another download.
            self.live |= {item} & there

    @rule()
    def purge(self) -> None:
        self.world.purge()
        assert not self.world.trash()

    @rule()
    def verify(self) -> None:
        assert not self.world.recover()

    @invariant()
    def what_must_be_there_is_there_and_whole(self) -> None:
        self.check_disk(self.live)
        assert pruning.ids(self.world.inventory().items) & set(ITEMS) == self.live

    def check_disk(self, must: set[str]) -> None:
        """I1 and I2."""
        for item in must:
            what, number = ITEMS[item]
            for path in self.files(item):
                if what == "derived":
                    assert path.read_bytes() == b"\1" * 60, "I1"
                elif what == "sharing":
                    assert path.read_bytes() == PAYLOAD, "I1"
                else:
                    content, size = REVISIONS[what, number][path.name]
                    assert path.read_bytes() == content.encode().ljust(size, b"\0"), "I1"
        self.world.check_links()

    def files(self, item: str) -> list[Path]:
        what, number = ITEMS[item]
        if what == "derived":
            folder = self.world.disk.store / "derived" / f"{number}"
            return [folder / "net.bin", folder / "again.bin"]
        if what == "sharing":
            return list((self.world.disk.hub / f"models--org--{number}" / "snapshots").glob("*/model.bin"))
        folder = self.world.disk.hub / f"models--org--{what}" / "snapshots" / commit_of(f"{what}{number}")
        return [folder / name for name in REVISIONS[what, number]]

    def is_kept(self, item: str) -> bool:
        found = next(one for one in self.world.inventory().items if one.id == item)
        return bool(self.world.needs.reasons(found)) or item in self.leases

    def is_shared_in_use(self, item: str) -> bool:
        """Somebody uses it, or the other revision of its repository, or the other repository: they share a file."""
        return any(ITEMS[one][0] == ITEMS[item][0] for one in self.leases)

    def plan(self, chosen: set[str]) -> Plan:
        only = tuple(sorted(chosen & self.live))
        return self.world.plan(Policy(kinds=WEIGHTS | {"derived"}, grace_s=0, only=only))

    def teardown(self) -> None:
        for held in self.leases.values():
            held.close()
        self.leases.clear()
        self.stack.close()


Machine.TestCase.settings = settings(
    max_examples=150 if SLOW else 6,
    stateful_step_count=30 if SLOW else 14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMachine = Machine.TestCase
