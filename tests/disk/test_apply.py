"""A plan carried out and taken back, with the real inventory: what goes, what is asked again, what the commands say."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reelbench.cli import cli
from reelbench.disk import audit, locks, recovery, trash
from reelbench.disk.apply import apply
from reelbench.disk.policy import WEIGHTS, Policy
from reelbench.disk.registry import Registry
from reelbench.errors import UnavailableError, UsageError
from reelbench.models import leases
from support import pruning
from support.crashes import exit_at
from support.disks import Revision, blob_name, commit_of
from support.pruning import World

GONE = "models--org--gone"


def why(world: World, applied: object, name: str) -> str:
    return next(stayed.why for stayed in applied.stayed if name in stayed.item)  # type: ignore[attr-defined]


def test_what_nobody_needs_goes_and_comes_back(world: World) -> None:
    plan = world.plan()
    applied = world.apply(plan)
    assert len(applied.gone) == len(plan.items) == 6 and not applied.stayed
    assert applied.bytes == plan.bytes
    world.check_now()
    assert not pruning.ids(world.inventory().items) & set(applied.gone)
    assert not list((world.disk.hub / GONE / "snapshots").iterdir()) and not list(
        (world.disk.hub / GONE / "blobs").iterdir()
    )
    back = world.undo()
    assert (sorted(back.items), back.bytes, back.left) == (sorted(applied.gone), applied.bytes, [])
    assert world.live() == world.before
    assert world.undo().items == []


def test_the_shared_blob_stays_with_the_revision_that_stays(world: World) -> None:
    world.apply(world.plan())
    shared = world.disk.hub / "models--org--shared"
    assert {path.name for path in (shared / "blobs").iterdir()} == {blob_name("keep", 3000), blob_name("both", 5000)}
    assert [path.name for path in (shared / "snapshots").iterdir()] == [pruning.KEEP]
    assert [path.name for path in (shared / "refs").iterdir()] == ["main"]


def test_for_good_at_once_or_after_some_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    purged = world.apply(world.plan(Policy(only=(f"hub:{GONE}@{commit_of('two')}",))), purge=True)
    assert purged.purged == purged.bytes > 0
    world.apply(world.plan(Policy(kinds=WEIGHTS)))
    assert len(recovery.entries(world.roots())) == 4
    later = time.time() + recovery.KEEP_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert len(world.apply(world.plan()).gone) == 1  # the derived folder; what went seven days ago is deleted for good
    assert [entry.known().item for entry in recovery.entries(world.roots())] == ["derived:gone"]
    world.check_now(purged=True)


def test_every_item_is_asked_again_when_it_is_done(world: World) -> None:
    plan = world.plan()
    (world.disk.store / "derived" / "gone" / "network.bin").write_bytes(b"written again")
    world.needs.names.add(f"hf:org/gone@{commit_of('one')}")
    (world.disk.hub / GONE / "blobs" / ("d" * 64)).unlink()
    snapshot = world.disk.hub / "models--org--shared" / "snapshots"
    (snapshot / commit_of("new")).mkdir()
    (snapshot / commit_of("new") / "model.bin").symlink_to(f"../../blobs/{blob_name('old', 3100)}")
    world.remember()
    applied = world.apply(plan)
    assert why(world, applied, "derived:gone") == "it changed since the plan was made"
    assert why(world, applied, commit_of("one")) == f"needed: a test → hf:org/gone@{commit_of('one')}"
    assert "No such file" in why(world, applied, "d" * 64)
    assert {item.rpartition("@")[2] for item in applied.gone if "@" in item} == {commit_of("two"), commit_of("old")}
    assert (snapshot / commit_of("new") / "model.bin").exists(), "a revision that came since the plan keeps its blob"
    assert (world.disk.hub / GONE / "blobs" / blob_name("common", 700)).exists(), "shared with what stays"
    world.check_now()


def link_to(world: World, content: str, size: int) -> Path:
    """What a download of another revision of org/gone does that needs a blob which is there."""
    snapshot = world.disk.hub / GONE / "snapshots" / commit_of("new")
    snapshot.mkdir()
    (snapshot / "model.bin").symlink_to(f"../../blobs/{blob_name(content, size)}")
    return snapshot / "model.bin"


def test_a_link_that_came_after_the_last_look_keeps_its_blob(world: World) -> None:
    plan, seen = world.plan(), world.inventory()
    link = link_to(world, "two", 200)
    applied = apply(plan, replace(world.situation, inventory=lambda: seen))
    assert "leads to it since the plan was made" in why(world, applied, commit_of("two"))
    assert link.exists()


def test_what_changed_after_the_last_look_stays(world: World) -> None:
    plan, seen = world.plan(), world.inventory()
    world.disk.derived("gone", {"deep/er/bits.bin": 2001})
    applied = apply(plan, replace(world.situation, inventory=lambda: seen))
    assert why(world, applied, "derived:gone") == "gone changed"
    assert (world.disk.store / "derived" / "gone" / "deep" / "er" / "bits.bin").stat().st_size == 2001


def test_a_download_that_looked_just_before_the_prune_gets_its_blob_back(world: World) -> None:
    """huggingface_hub finds the blob, waits for its lock, and links to it after the prune let go of the lock."""
    world.apply(world.plan())
    link = link_to(world, "two", 200)
    assert not link.exists()
    assert any("came to lead to it" in note for note in world.recover())
    assert link.read_bytes().startswith(b"two")
    world.check_links()


def test_who_uses_a_file_keeps_it(world: World) -> None:
    plan = world.plan()
    link = world.disk.hub / GONE / "snapshots" / commit_of("one") / "one.bin"
    with leases.hold([link, world.disk.store / "derived" / "gone"]):
        applied = world.apply(plan)
        assert "uses" in why(world, applied, commit_of("one")) and "uses" in why(world, applied, "derived:gone")
        world.check_now()
    assert len(world.apply(plan).gone) == 2


def test_who_downloads_a_file_keeps_it(world: World) -> None:
    plan = world.plan()
    lock = world.disk.hub / ".locks" / GONE / f"{'e' * 64}.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        applied = world.apply(plan)
    assert len(applied.stayed) >= 1 and (world.disk.hub / GONE / "blobs" / f"{'e' * 64}.0a1b2c3d.incomplete").exists()
    world.check_now()


def test_one_at_a_time(world: World) -> None:
    plan = world.plan()
    with locks.maintenance(world.disk.store), pytest.raises(UnavailableError, match="another prune"):
        world.apply(plan)
    (root,) = [root for root in world.roots() if root.cache == "hub"]
    with trash.opened(root, create=True), pytest.raises(UnavailableError, match="another process"):
        recovery.entries([root])


def test_a_plan_of_another_store_and_a_store_that_cannot_be_told(world: World, tmp_path: Path) -> None:
    plan = world.plan()
    other = pruning.make(tmp_path / "other")
    with pytest.raises(UsageError, match="the plan is for the store"):
        other.apply(plan)
    other.check_now()


def test_what_is_there_again_is_not_overwritten(world: World) -> None:
    world.apply(world.plan())
    again = world.disk.store / "derived" / "gone"
    again.mkdir()
    (again / "new.bin").write_text("built again")
    world.disk.repository(
        "org/gone",
        [Revision({"two.bin": ("two", 200), "common.bin": ("common", 700)}, refs=(), commit=commit_of("two"))],
    )
    back = world.undo()
    left = dict(back.left)
    assert left["derived:gone"] == "derived:gone: gone: there is one again"
    assert (again / "new.bin").read_text() == "built again"
    world.check_links()
    assert {entry.known().item for entry in recovery.entries(world.roots())} == set(left)


def test_an_item_comes_back_only_with_what_it_shares(world: World) -> None:
    first = world.apply(world.plan(Policy(only=(f"hub:{GONE}@{commit_of('one')}",))))
    world.apply(world.plan(Policy(only=(f"hub:{GONE}@{commit_of('two')}",))))
    roots, store = world.roots(), world.disk.store
    refused = recovery.undo(store, roots, first.plan)
    assert not refused.items and "shares" in refused.left[0][1]
    world.check_now()
    assert recovery.undo(store, roots).items and recovery.undo(store, roots).items
    assert world.live() == world.before


def test_the_log_has_a_line_before_every_step(world: World) -> None:
    plan = world.plan()
    world.apply(plan)
    world.undo()
    lines = list(audit.lines(world.disk.store))
    assert [line["event"] for line in lines] == ["trash"] * 6 + ["back"] * 6
    assert {line["why"] for line in lines[:6]} == {"nobody needs it; unused for 3 d"}
    assert {line["plan"] for line in lines} == {plan.id} and sum(line["bytes"] for line in lines[:6]) == plan.bytes
    with (world.disk.store / audit.FILE).open("a") as log:
        log.write('{"when": "cut o')
    world.apply(plan)
    assert [line["event"] for line in audit.lines(world.disk.store)][12:] == ["trash"] * 6, (
        "a torn line spoils no other"
    )


# --- the commands -------------------------------------------------------------------------------------------------


def reelbench(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        if code == getattr(done.exception, "exit_code", None):
            return done
        raise done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def registered(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same world, with references as they are resolved for real: a workspace that names what is needed."""
    folder = world.disk.workspace / "conf" / "analyzer"
    folder.mkdir(parents=True)
    (folder / "shared.yaml").write_text(f"analyzer:\n  name: shared\n  weights: [hf://org/shared@{pruning.KEEP}]\n")
    monkeypatch.chdir(world.base)
    monkeypatch.setattr(Registry, "_always", lambda _: ())  # composing the shipped configuration takes half a minute
    Registry.load(world.disk.store).add_workspace(world.disk.workspace)
    return world.remember()


def test_the_whole_way_by_command(registered: World, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    shown = reelbench("models", "prune", "--plan", str(file))
    assert "nothing was changed" in shown.output and registered.live() == registered.before
    plan = json.loads(file.read_text())
    needed = next(kept for kept in plan["kept"] if kept[0].endswith(pruning.KEEP))
    assert needed[2].startswith("needed: workspace") and "analyzer shared" in needed[2]
    assert all(not item["id"].startswith("derived") for item in plan["items"])
    applied = json.loads(reelbench("models", "prune", "--apply", str(file), "--json").output)
    assert len(applied["gone"]) == 5 and applied["bytes"] == plan["bytes"] and not applied["stayed"]
    registered.check_now()
    assert plan["id"] in reelbench("models", "trash").output
    assert "unused for 3 d" in reelbench("models", "audit", "org--gone").output
    assert json.loads(reelbench("models", "undo", "--json").output)["bytes"] == plan["bytes"]
    assert registered.live() == registered.before
    reelbench("disk", "prune", "--engines", "--yes", "--now")
    assert not (registered.disk.store / "derived" / "gone").exists() and not registered.trash()


def test_runs_and_logs_go_only_where_it_is_said_which(registered: World) -> None:
    for name in ("a", "b", "c"):
        registered.disk.run(name)
    pruning.age(registered.disk.workspace)
    assert "(0 items)" in reelbench("disk", "prune", "--runs").output
    kept = json.loads(reelbench("disk", "prune", "--runs", "--keep-last", "2", "--json").output)
    assert len(kept["items"]) == 1
    reelbench("disk", "prune", "--runs", "run:b", "--yes")
    assert sorted(path.name for path in registered.disk.runs.iterdir() if not path.name.startswith(".")) == ["a", "c"]
    reelbench("disk", "undo")
    assert (registered.disk.runs / "b" / "run.json").exists()


def test_commands_that_make_no_sense(registered: World, tmp_path: Path) -> None:
    for words in (
        ["disk", "prune"],
        ["models", "prune", "--now"],
        ["models", "prune", "--grace", "soon"],
        ["models", "prune", "--apply", str(tmp_path / "none.json")],
        ["models", "prune", "--apply", "x", "--budget", "1GB"],
        ["models", "prune", "hf:no/such"],
        ["models", "undo", "no-such-plan"],
        ["disk", "prune", "--docker", "--runs"],
    ):
        reelbench(*words, code=2)
    assert registered.live() == registered.before


def test_docker_is_pruned_by_docker_and_only_when_asked(registered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = registered.base / "bin" / "docker"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {registered.base}/docker.log\necho "Total reclaimed space: 1.2GB"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    reelbench("disk", "prune", "--docker")
    assert not (registered.base / "docker.log").exists()
    assert "1.2GB" in reelbench("disk", "prune", "--docker", "--yes").output
    assert (registered.base / "docker.log").read_text().splitlines() == [
        "image prune --force --filter until=86400s", "builder prune --force --filter until=86400s",
    ]  # fmt: skip
    assert [line["event"] for line in audit.lines(registered.disk.store)] == ["docker", "docker"]


def test_what_a_crash_left_is_mended_at_the_next_start(world: World) -> None:
    plan = world.plan()
    exit_at(30, lambda: world.apply(plan), world.base)
    assert world.recover() and not world.recover()
    assert os.path.lexists(world.disk.hub / GONE / "snapshots" / commit_of("one"))
    world.check_now()
