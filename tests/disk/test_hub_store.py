"""The shared blob store of the hub cache, written, pruned and deleted from by the real huggingface_hub as well."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from reelbench.cli import cli
from reelbench.disk import hub_store, recovery
from reelbench.disk.inventory import freed, occupied, take
from reelbench.disk.policy import Policy
from reelbench.disk.records import Item
from reelbench.errors import ReelBenchError
from support import pruning
from support.disks import Disk
from support.hub_server import running_hub
from support.pruning import World

BASE = bytes(range(256)) * 1200  # what 'org/base' and 'org/chat' share
ALONE = bytes(range(255, -1, -1)) * 800
NAMES = ("org/base", "org/chat", "org/alone")
FETCH = """
import sys
from huggingface_hub import snapshot_download
for name in sys.argv[3:]:
    snapshot_download(name, cache_dir=sys.argv[1], endpoint=sys.argv[2])
"""
DELETE = """
import sys
from huggingface_hub import scan_cache_dir
cache = scan_cache_dir(sys.argv[1])
commits = [one.commit_hash for repo in cache.repos if repo.repo_id in sys.argv[2:] for one in repo.revisions]
cache.delete_revisions(*commits).execute()
"""


def library(hub: Path, code: str, *words: object) -> None:
    """Run Python code in a process of its own: hf_xet starts threads, which must not be in a test that forks."""
    own = {"HF_HOME": str(hub.parent / "home"), "HF_XET_CACHE": "", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | own, cwd=hub.parent)
    assert done.returncode == 0, done.stderr


def hub_prune(hub: Path) -> None:
    """huggingface_hub's own 'hf cache prune'."""
    library(hub, "from huggingface_hub.cli.hf import main; main()", "cache", "prune", "--yes", "--cache-dir", hub)


def hub_delete(hub: Path, *names: str) -> None:
    """huggingface_hub's own deletion of repositories, as in 'hf cache rm'."""
    library(hub, DELETE, hub, *names)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache that the real library filled by its Xet download, with hf_xet and a content store on this disk."""
    base = tmp_path_factory.mktemp("fetched")
    with running_hub() as hub:
        hub.keep_in_xet(base / "content", BASE, ALONE)
        for name, content in zip(NAMES, (BASE, BASE, ALONE), strict=True):
            hub.repository(name).commit({"model.safetensors": content, "config.json": name.encode()})
        library(base / "hub", FETCH, base / "hub", hub.address, *NAMES)
    assert (base / "hub" / "blobs" / hub_store.MARKER).exists()
    return base / "hub"


@pytest.fixture
def world(fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """That cache, three days old; nobody needs any of it."""
    disk = Disk(tmp_path / "world")
    disk.store.mkdir(parents=True)
    disk.hub.parent.mkdir(parents=True)
    shutil.copytree(fetched, disk.hub, symlinks=True)
    pruning.age(disk.base)
    return pruning.in_environment(World(disk.base, disk, pruning.Needs()), monkeypatch)


def revision(world: World, name: str) -> Item:
    folder = f"models--{name.replace('/', '--')}@"
    return next(item for item in world.inventory().items if folder in item.id)


def only(*items: Item) -> Policy:
    return Policy(only=tuple(item.id for item in items))


def payload(world: World, name: str) -> Path:
    """Where the payload of a repository's large file is."""
    (link,) = (path for path in (repository(world, name) / "blobs").iterdir() if path.is_symlink())
    return Path(os.path.normpath(link.parent / link.readlink()))


def repository(world: World, name: str) -> Path:
    return world.disk.hub / f"models--{name.replace('/', '--')}"


def disk_usage(top: Path) -> int:
    """What 'du' says, without the trash."""
    total = 0
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != ".reelbench-trash"]
        total += sum(Path(folder, name).lstat().st_blocks * 512 for name in (*folders, *files))
    return total + top.lstat().st_blocks * 512


def content(world: World, name: str) -> bytes:
    """The large file of a repository, by the library's own look into the cache."""
    from huggingface_hub import snapshot_download

    found = snapshot_download(name, cache_dir=world.disk.hub, local_files_only=True)
    return Path(found, "model.safetensors").read_bytes()


def test_sizes_are_those_of_the_disk_and_of_the_library(world: World) -> None:
    from huggingface_hub import scan_cache_dir

    found = take(world.disk.registered, ["hub"])
    theirs = {repo.repo_id: repo.size_on_disk for repo in scan_cache_dir(world.disk.hub).repos}
    items = {name: revision(world, name) for name in NAMES}
    assert {name: item.logical_bytes for name, item in items.items()} == theirs
    assert occupied(found.items) == disk_usage(world.disk.hub)
    base, chat, alone = (items[name] for name in NAMES)
    shared = payload(world, "org/base").stat().st_blocks * 512
    assert base.bytes > shared <= chat.bytes
    assert freed([base], found) < shared < freed([alone], found) + len(BASE)
    assert freed([base, chat], found) == freed([base], found) + freed([chat], found) + shared + _manifest(world, "base")
    assert base.note == "1 of its files shared with org/chat" and alone.note == ""


def _manifest(world: World, name: str) -> int:
    path = payload(world, f"org/{name}")
    return path.with_name(f"{path.name}{hub_store.MANIFEST}").stat().st_blocks * 512


def test_a_prune_frees_to_the_byte_what_it_says(world: World) -> None:
    before = disk_usage(world.disk.hub)
    plan = world.plan(only(*(revision(world, name) for name in NAMES)))
    applied = world.apply(plan, purge=True)
    assert not applied.stayed and applied.purged == plan.bytes > len(BASE) + len(ALONE)
    assert before - disk_usage(world.disk.hub) == plan.bytes
    assert [path for path in (world.disk.hub / "blobs").rglob("*") if path.is_file() and path.stat().st_size > 2] == []


def test_a_budget_counts_a_shared_payload_once(world: World) -> None:
    sizes = {name: revision(world, name).bytes for name in NAMES}
    whole = occupied(revision(world, name) for name in NAMES)
    assert whole < sum(sizes.values())
    kinds = Policy(kinds=frozenset({"weights"}), budget=whole)
    assert not world.plan(kinds).items
    plan = world.plan(Policy(kinds=frozenset({"weights"}), budget=whole - len(ALONE)))
    assert plan.bytes >= len(ALONE)


def test_a_payload_goes_with_the_last_revision_that_links_to_it(world: World) -> None:
    path = payload(world, "org/base")
    world.apply(world.plan(only(revision(world, "org/base"))))
    assert path.read_bytes() == BASE and content(world, "org/chat") == BASE
    world.check_now()
    world.apply(world.plan(only(revision(world, "org/chat"))))
    assert not path.exists() and content(world, "org/alone") == ALONE
    world.check_now()
    assert world.undo().items and path.exists() and world.undo().items
    assert world.live() == world.before


def test_hub_prune_in_between_loses_nothing(world: World) -> None:
    world.apply(world.plan(only(*(revision(world, name) for name in NAMES))))
    hub_prune(world.disk.hub)
    back = world.undo()
    assert len(back.items) == 3 and not back.left and not back.missing
    assert world.live() == world.before
    hub_prune(world.disk.hub)
    assert [content(world, name) for name in NAMES] == [BASE, BASE, ALONE]


def test_undo_says_which_payload_the_hub_deleted_in_between(world: World) -> None:
    base, path = revision(world, "org/base"), payload(world, "org/base")
    world.apply(world.plan(only(base)))
    hub_delete(world.disk.hub, "org/chat")
    assert not path.exists()
    said = CliRunner().invoke(cli, ["models", "undo"])
    assert isinstance(said.exception, ReelBenchError) and said.exception.exit_code == 5
    assert path.name in said.output and "nothing was brought back" in said.output
    back = world.undo()
    ((item, why),) = back.left
    assert item == base.id and str(path.relative_to(world.disk.hub)) in why and "fetch it again" in why
    assert not back.items
    world.check_links()
    (entry,) = recovery.entries(world.roots())
    assert entry.known().state == "gone", "it can be tried again, and expires"


def test_a_payload_that_is_gone_from_the_trash_is_named(world: World) -> None:
    path = payload(world, "org/alone")
    world.apply(world.plan(only(revision(world, "org/alone"))))
    (trashed,) = (part for part in world.disk.hub.glob(".reelbench-trash/*/*/*") if part.is_file() and _is(part, ALONE))
    trashed.unlink()
    ((_, why),) = world.undo().left
    assert str(path.relative_to(world.disk.hub)) in why
    world.check_links()


def _is(path: Path, wanted: bytes) -> bool:
    return path.stat().st_size == len(wanted) and path.read_bytes() == wanted


def test_what_comes_back_is_listed_so_that_the_hub_keeps_its_payload(world: World) -> None:
    """Whenever huggingface_hub looks at a payload it drops the links from its manifest that are in our trash."""
    from huggingface_hub.utils._shared_blobs import sweep_shared_blob

    path = payload(world, "org/base")
    world.apply(world.plan(only(revision(world, "org/base"))))
    assert sweep_shared_blob(path, cache_dir=world.disk.hub) == 0
    assert world.undo().items
    hub_delete(world.disk.hub, "org/chat")
    assert content(world, "org/base") == BASE
    hub_prune(world.disk.hub)
    assert content(world, "org/base") == BASE


@contextmanager
def held_by_the_library(path: Path) -> Iterator[None]:
    from huggingface_hub.utils import _shared_blobs

    with _shared_blobs._shared_blob_lock(path):
        yield


def test_the_library_and_we_hold_the_same_lock(world: World) -> None:
    base, alone = revision(world, "org/base"), revision(world, "org/alone")
    with held_by_the_library(payload(world, "org/base")):
        assert revision(world, "org/base").busy and not revision(world, "org/alone").busy
        assert not world.plan(only(base)).items
    plan = world.plan(only(base, alone))
    with held_by_the_library(payload(world, "org/base")):
        assert [(stayed.item, stayed.why) for stayed in world.apply(plan).stayed] == [(base.id, "it is being fetched")]
    world.apply(world.plan(only(base)))
    lock = world.disk.hub / hub_store.lock_of(str(payload(world, "org/chat").relative_to(world.disk.hub)))
    lock.unlink()
    with held_by_the_library(payload(world, "org/chat")):
        assert "being fetched" in world.undo().left[0][1]
    lock.unlink()
    world.undo()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o666, "other users of the cache take it, too"


def test_a_link_that_was_made_since_the_inventory_keeps_the_payload(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied by hand, so that no manifest tells it."""
    plan = world.plan(only(revision(world, "org/alone")))
    shutil.copytree(repository(world, "org/alone"), repository(world, "org/copy"), symlinks=True)
    before = world.inventory()
    shutil.move(repository(world, "org/copy"), world.base / "copy")
    seen = world.inventory()
    shutil.move(world.base / "copy", repository(world, "org/copy"))
    monkeypatch.setattr(World, "inventory", lambda _: seen)
    (stayed,) = world.apply(plan).stayed
    assert "leads to it since the plan was made" in stayed.why and len(before.items) > len(seen.items)
    assert content(world, "org/copy") == ALONE


def test_a_payload_that_nobody_links_to_is_reclaimable(world: World) -> None:
    path = payload(world, "org/alone")
    shutil.rmtree(repository(world, "org/alone"))
    world.remember()
    (orphan,) = (item for item in world.inventory().items if item.kind == "orphan")
    assert orphan.logical_bytes == len(ALONE) and "no repository links to" in orphan.note
    assert orphan.id == f"hub:{path.relative_to(world.disk.hub)}"
    world.apply(world.plan(only(orphan)))
    assert not path.exists()
    world.undo()
    assert world.live() == world.before


def test_undo_names_the_links_that_lead_to_nothing(world: World) -> None:
    """What was incomplete before it went comes back as it was, which is no success."""
    payload(world, "org/alone").unlink()
    world.remember()
    alone = revision(world, "org/alone")
    assert alone.note == "1 of its files are missing from the shared store"
    world.apply(world.plan(only(alone)))
    back = world.undo()
    assert back.items == [alone.id] and world.live() == world.before
    ((item, lacks),) = back.missing
    assert item == alone.id and "model.safetensors" in lacks and "config.json" not in lacks


@pytest.mark.parametrize("marker", ["2\n", None], ids=["newer layout", "no marker"])
def test_a_store_of_an_unknown_layout_is_left_alone(world: World, marker: str | None) -> None:
    file = world.disk.hub / "blobs" / hub_store.MARKER
    file.unlink()
    if marker:
        file.write_text(marker)
    pruning.age(world.disk.base)
    found = world.inventory()
    assert [(item.kind, item.class_) for item in found.items if item.id == "hub:blobs"] == [
        ("unknown", "irreplaceable")
    ]
    assert all("layout is not known" in revision(world, name).busy for name in NAMES)
    assert not [planned for planned in world.plan(Policy()).items if planned.item.root.cache == "hub"]


def test_the_layout_is_the_library_s(world: World) -> None:
    from huggingface_hub.utils import _shared_blobs as theirs

    hub, path = world.disk.hub, payload(world, "org/base")
    ours = hub_store.payload_of(os.path.relpath(path, repository(world, "org/base") / "blobs"), hub)
    assert hub / ours == theirs.shared_blob_path(hub, path.name) == path
    assert f"{path}{hub_store.MANIFEST}" == str(theirs.shared_blob_manifest_path(hub, path.name))
    assert hub / hub_store.lock_of(ours) == theirs._lock_path_for_store_path(path)
    assert (hub_store.MARKER, hub_store.VERSION) == (
        theirs.SHARED_BLOBS_MARKER_NAME,
        theirs.SHARED_BLOBS_LAYOUT_VERSION,
    )
    assert hub_store.payload_of(str(path), hub) == ours
    wrong = ["../../blobs/ab/cd", f"../../blobs/zz/{path.name}", f"../blobs/{ours}", f"../../../{ours}", "/etc/passwd"]
    assert not any(hub_store.payload_of(target, hub) for target in wrong)
    assert set(hub_store.links(hub)) == {
        (str(link.relative_to(hub)), str(payload(world, name).relative_to(hub)))
        for name in NAMES for link in (repository(world, name) / "blobs").iterdir() if link.is_symlink()
    }  # fmt: skip
