"""A pull, an import or a quarantine that is killed at any change of the disk: the store holds each file whole or not at all, and the
next one ends as if nothing had been."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
from pathlib import Path

from reelbench.models import bundle, keys
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
from support.crashes import every_exit, killed
from support.hub_server import Hub
from support.weights import MakeCatalog, Server, entry

LARGE = os.urandom(300_000)
PACKED = os.urandom(50_000)
FILES = {"net/a.bin": LARGE, "net/b.bin": PACKED}


def _catalog(hub: Hub, server: Server, catalog_of: MakeCatalog) -> Catalog:
    commit = hub.repository("org/net").commit({"model.safetensors": LARGE})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("x/b")
        info.size = len(PACKED)
        tar.addfile(info, io.BytesIO(PACKED))
    return catalog_of(
        a=entry(LARGE, {"hf": "org/net", "revision": commit, "file": "model.safetensors"}),
        b=entry(PACKED, {"https": server.serve("/b.tar", archive.getvalue()), "member": "x/b"}),
    )


def _holds_whole_files_or_none(root: Path) -> None:
    for name, content in FILES.items():
        assert not (root / name).exists() or (root / name).read_bytes() == content, name


def _converges(root: Path, catalog: Catalog) -> None:
    store = ModelStore(root, catalog)
    store.pull(list(FILES))
    for name, content in FILES.items():
        assert store.path(name).read_bytes() == content
    left = [path for path in root.rglob("*") if path.is_file() and str(path.relative_to(root)) not in FILES]
    assert {path.name for path in left} <= {".hashes.json", ".hashes.lock", "net.lock"}


def test_exit_at_every_change(tmp_path: Path, hub: Hub, server: Server, catalog_of: MakeCatalog) -> None:
    catalog = _catalog(hub, server, catalog_of)

    def fresh(k: int) -> Path:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        return tmp_path / "store"

    exits = 0
    # One download at a time, so that the k-th change is the same one in every run.
    for _, root, ended in every_exit(
        fresh, lambda root: ModelStore(root, catalog).pull(list(FILES), jobs=1), lambda root: root
    ):
        exits += ended.crashed
        _holds_whole_files_or_none(root)
        _converges(root, catalog)
    assert exits > 20


def test_killed_at_random_times(tmp_path: Path, hub: Hub, server: Server, catalog_of: MakeCatalog) -> None:
    catalog = _catalog(hub, server, catalog_of)
    hub.chunk_delay_s = server.chunk_delay_s = 0.001
    root, chance = tmp_path / "store", random.Random(6)
    crashed = 0
    rounds = 200 if os.environ.get("REELBENCH_SLOW") else 20
    for _ in range(rounds):
        shutil.rmtree(root, ignore_errors=True)
        crashed += killed(lambda: ModelStore(root, catalog).pull(list(FILES)), chance.uniform(0, 0.25)).crashed
        _holds_whole_files_or_none(root)
        _converges(root, catalog)
    assert crashed > rounds // 4


def test_an_import_that_exits_at_any_change_can_be_run_again(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    small = {"net/a.bin": os.urandom(3000), "net/b.bin": b"labels"}
    (tmp_path / "mirror/net").mkdir(parents=True)
    for name, content in small.items():
        (tmp_path / "mirror" / name).write_bytes(content)
    a, b = (entry(content, {"file": str(tmp_path / "mirror")}) for content in small.values())
    source = ModelStore(tmp_path / "source", catalog_of(a=a, b=b))
    source.ensure(list(small))
    public = keys.create(tmp_path / "key.pem")
    file = tmp_path / "x.tar"
    bundle.export(source, list(small), file, tmp_path / "key.pem", [tmp_path / "conf/weights"])

    def fresh(k: int) -> Path:
        return tmp_path / f"target{k}"

    def bring(root: Path) -> None:
        bundle.bring(ModelStore(root / "store", Catalog(())), file, [public], root / "conf")

    exits = 0
    for _, root, ended in every_exit(fresh, bring, lambda root: root):
        exits += ended.crashed
        for name, content in small.items():
            assert not (root / "store" / name).exists() or (root / "store" / name).read_bytes() == content
        if not (root / "conf/weights/net.yaml").exists():
            bring(root)
        store = ModelStore(root / "store", Catalog.load(root / "conf"))
        assert [store.path(name).read_bytes() for name in small] == list(small.values())
    assert exits > 8


def test_a_quarantine_that_exits_at_any_change_loses_nothing(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    catalog = catalog_of(a=entry(b"right", {"file": "/nowhere"}))

    def fresh(k: int) -> ModelStore:
        store = ModelStore(tmp_path / f"store{k}", catalog)
        (store.root / "net").mkdir(parents=True)
        (store.root / "net/a.bin").write_bytes(b"wrong")
        return store

    def put_aside(store: ModelStore) -> None:
        store.quarantine(store.verify(["net/a.bin"]))

    for _, store, _ended in every_exit(fresh, put_aside, lambda store: store.root):
        here, aside = store.root / "net/a.bin", list(store.root.glob(".quarantine/*/net/a.bin"))
        assert [path.read_bytes() for path in (here, *aside) if path.exists()] == [b"wrong"]
        assert all((path.parents[1] / "why.json").is_file() for path in aside)
        put_aside(store)
        assert not here.exists()
