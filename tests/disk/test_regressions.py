"""What other tools got wrong, by name; and a hub cache that the real huggingface_hub wrote."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelbench.disk.inventory import take
from reelbench.disk.policy import WEIGHTS, Policy
from reelbench.disk.records import Item
from support import pruning
from support.crashes import killed
from support.disks import Revision, commit_of, solid
from support.hub_server import Hub, running_hub
from support.pruning import World

ANYTHING = Policy(grace_s=0)


def only(world: World, name: str) -> Item:
    return next(item for item in world.inventory().items if name in item.id)


def test_clip_stays_while_one_of_two_analyzers_needs_it(world: World) -> None:
    world.disk.repository("openai/clip", [Revision({"model.bin": ("clip", 600)})])
    pruning.age(world.base)
    world.needs.names |= {"hf:openai/clip"}
    assert not any("openai" in item for item in world.apply(world.plan()).gone)
    world.needs.names -= {"hf:openai/clip"}
    assert any("openai" in item for item in world.apply(world.plan()).gone)


def test_a_revision_pinned_by_its_hash_stays_without_a_ref(world: World) -> None:
    """`hf cache prune` deletes what no ref points to."""
    two = commit_of("two")
    world.needs.names.add(f"hf:org/gone@{two}")
    applied = world.apply(world.plan())
    snapshot = world.disk.hub / "models--org--gone" / "snapshots"
    assert [path.name for path in snapshot.iterdir()] == [
        two
    ] and f"hub:models--org--gone@{commit_of('one')}" in applied.gone
    assert (snapshot / two / "common.bin").read_bytes() == b"common".ljust(700, b"\0")


def checkpoints(world: World) -> Path:
    folder = world.base / "cache" / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_equal_beginnings_are_two_weights(world: World) -> None:
    """A tool that hashes the size and the first 64 KiB took two networks for one."""
    folder = checkpoints(world)
    for name, end in (("net-11111111", b"1"), ("net-22222222", b"2")):
        (folder / f"{name}.pth").write_bytes(b"\0" * (64 << 10) + end)
    pruning.age(world.base)
    world.needs.names.add("torch_hub:net-11111111.pth")
    world.remember()
    world.apply(world.plan())
    assert [path.name for path in folder.iterdir()] == ["net-11111111.pth"]
    assert (folder / "net-11111111.pth").read_bytes().endswith(b"1")
    world.undo()
    assert (folder / "net-22222222.pth").read_bytes().endswith(b"2") and world.live() == world.before


def test_two_files_of_one_name_do_not_answer_for_each_other(world: World) -> None:
    """torch hub keeps files under the last name of their address: which network a ``weights.pth`` is, nobody can tell,
    so it stays; and what comes back from the trash never replaces another of its name."""
    folder = checkpoints(world)
    solid(folder / "weights.pth", 500, b"1")
    solid(folder / "weights-33333333.pth", 500, b"1")
    pruning.age(world.base)
    gone = world.apply(world.plan()).gone
    assert (folder / "weights.pth").exists() and any("weights-33333333.pth" in item for item in gone)
    solid(folder / "weights-33333333.pth", 700, b"2")
    assert any("there is one again" in why for _, why in world.undo().left)
    assert (folder / "weights-33333333.pth").read_bytes() == b"2" * 700
    assert [content[1] for content in world.trash() if content[1] == b"1" * 500], "the old one is still in the trash"


def test_a_young_download_is_not_an_orphan(world: World) -> None:
    """`ollama` once pruned what was being created; there was no grace period."""
    blobs = world.disk.hub / "models--org--gone" / "blobs"
    for name in ("f" * 64, "f" * 64 + ".99999999.incomplete"):
        (blobs / name).write_text("just begun")
    world.remember()
    assert not any("fff" in item for item in world.apply(world.plan()).gone)
    assert (blobs / ("f" * 64)).exists()


def test_hard_links_across_repositories_are_freed_with_the_last(world: World) -> None:
    """huggingface_hub counts them twice."""
    for name in ("org/first", "org/second"):
        world.disk.repository(name, [Revision({"model.bin": ("same", 90_000)}, whole=True)])
    (one,), (two,) = (world.disk.hub.glob(f"models--org--{name}/blobs/*") for name in ("first", "second"))
    two.unlink()
    os.link(one, two)
    pruning.age(world.base)
    names = [item for item in pruning.ids(world.inventory().items) if "--first@" in item or "--second@" in item]
    size = one.stat().st_blocks * 512
    both = world.plan(Policy(only=tuple(names)))
    assert size <= both.bytes < 2 * size
    assert world.plan(Policy(only=(names[0],))).bytes < size
    assert world.apply(both, purge=True).purged == both.bytes
    assert not one.exists() and not two.exists()


# --- written by huggingface_hub -----------------------------------------------------------------------------------


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as state:
        yield state


CONFIG = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
          "vocab_size": 8, "architectures": ["BertModel"]}  # fmt: skip


def files(text: str = "") -> dict[str, bytes]:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "cat": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": tokenizer.to_str().encode(),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}).encode(),
        "notes.safetensors": text.encode() * 1000,
    }


class Cache:
    """The world's hub cache, filled by the real library from a hub of this machine."""

    def __init__(self, world: World, hub: Hub) -> None:
        self.world, self.hub = world, hub

    def fetch(self, name: str, revision: str = "main") -> Path:
        from huggingface_hub import snapshot_download

        return Path(
            snapshot_download(name, revision=revision, cache_dir=self.world.disk.hub, endpoint=self.hub.address)
        )

    def offline(self, name: str, revision: str = "main") -> dict[str, bytes]:
        from huggingface_hub import snapshot_download

        found = Path(snapshot_download(name, revision=revision, cache_dir=self.world.disk.hub, local_files_only=True))
        return {path.name: path.read_bytes() for path in found.iterdir()}


@pytest.fixture
def cache(world: World, hub: Hub) -> Cache:
    """Configured: org/clip (its main), org/net by a commit that main has left. The rest is needed by nobody."""
    clip, net, old = hub.repository("org/clip"), hub.repository("org/net"), hub.repository("org/llava")
    clip.commit(files("clip"))
    pinned = net.commit(files("first"))
    cache = Cache(world, hub)
    cache.fetch("org/net", pinned)
    net.commit(files("second"))
    old.commit(files("clip"))
    for name in ("org/clip", "org/net", "org/llava"):
        cache.fetch(name)
    world.needs.names |= {"hf:org/clip", f"hf:org/net@{pinned}"}
    pruning.age(world.base)
    world.remember()
    return cache


def test_after_a_prune_everything_configured_still_loads_offline(cache: Cache) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    (pinned,) = (name.partition("@")[2] for name in cache.world.needs.names if name.startswith("hf:org/net@"))
    gone = cache.world.apply(cache.world.plan(), purge=True).gone
    assert any("org--llava" in item for item in gone) and any("org--net@" in item for item in gone)
    assert cache.offline("org/clip") == files("clip")
    assert cache.offline("org/net", pinned) == files("first")
    for name in ("org/llava", "org/net"):
        with pytest.raises(LocalEntryNotFoundError):
            cache.offline(name)
    cache.world.check_links()
    assert cache.fetch("org/llava") and cache.offline("org/llava") == files("clip"), "and what went can be had again"


def test_after_a_prune_everything_configured_still_loads_with_transformers(cache: Cache) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra 'vlm'")
    cache.world.apply(cache.world.plan(), purge=True)
    (pinned,) = (name.partition("@")[2] for name in cache.world.needs.names if name.startswith("hf:org/net@"))
    for name, revision in (("org/clip", "main"), ("org/net", pinned)):
        where = {"revision": revision, "cache_dir": cache.world.disk.hub, "local_files_only": True}
        assert transformers.AutoConfig.from_pretrained(name, **where).hidden_size == 32
        assert transformers.AutoTokenizer.from_pretrained(name, **where)("a cat")["input_ids"] == [1, 2]


def test_a_download_in_flight_is_not_disturbed(cache: Cache) -> None:
    """The plan is made and carried out, without any grace period, while the real library downloads into the cache."""
    cache.hub.repository("org/big").commit({"model.safetensors": bytes(range(256)) * 4000})
    cache.hub.chunk_delay_s = 0.02
    child = os.fork()
    if not child:
        try:
            cache.fetch("org/big")
        finally:
            os._exit(0)
    blobs = cache.world.disk.hub / "models--org--big" / "blobs"
    until = time.monotonic() + 20
    while not list(blobs.glob("*.incomplete")) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(blobs.glob("*.incomplete")), "the download did not begin"
    world = cache.world
    seen = take(world.disk.registered)
    assert any(item.kind == "download" and item.busy for item in seen.items if "org--big" in item.id)
    world.apply(world.plan(Policy(kinds=WEIGHTS, grace_s=0)))
    os.waitpid(child, 0)
    cache.hub.chunk_delay_s = 0
    assert cache.offline("org/big") == {"model.safetensors": bytes(range(256)) * 4000}
    world.check_links()


def test_a_download_that_was_killed_is_litter_after_the_grace_period(cache: Cache) -> None:
    cache.hub.repository("org/big").commit({"model.safetensors": bytes(range(256)) * 4000})
    cache.hub.chunk_delay_s = 0.05
    assert killed(lambda: cache.fetch("org/big"), 1.5).crashed
    (half,) = (cache.world.disk.hub / "models--org--big" / "blobs").glob("*.incomplete")
    pruning.age(cache.world.base)
    cache.world.apply(cache.world.plan())
    assert not half.exists()
    cache.hub.chunk_delay_s = 0
    assert cache.fetch("org/big") and cache.offline("org/big")
