"""Every kind of source, over real sockets, a real pip and the real huggingface_hub; wrong bytes are never placed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from reelbench.errors import WeightsError
from reelbench.models import pypi
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
from support.weights import COMMIT, PULL, MakeCatalog, MakeWheel, Server, Spawn, entry

CONTENT = os.urandom(300_000)
WRONG = bytes(len(CONTENT))
CLOSED = "http://127.0.0.1:9"


def leftovers(root: Path) -> list[str]:
    """What a store holds beside its artifacts, its locks and its hashes."""
    found = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return [name for name in found if not name.startswith((".locks/", ".hashes.json", "net/")) or name.endswith(".tmp")]


def tar_of(member: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zip_of(member: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(member, content)
    return packed.getvalue()


def test_a_plain_file_over_http(tmp_path: Path, server: Server, catalog_of: MakeCatalog) -> None:
    seen: list[tuple[str, int, int]] = []
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)})))
    path = store.ensure(["net/a.bin"], lambda *event: seen.append(event))["net/a.bin"]
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("net/a.bin", len(CONTENT), len(CONTENT))
    assert store.path("net/a.bin") == path
    assert leftovers(store.root) == []
    store.ensure(["net/a.bin"])
    assert server.gets("/a") == [""]


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_members_of_one_archive_come_from_one_download(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, pack: Any
) -> None:
    address = server.serve("/net.archive", pack("x/a", CONTENT))
    source = {"https": address, "member": "x/a"}
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, source), b=entry(CONTENT, source)))
    for path in store.ensure(["net/a.bin", "net/b.bin"]).values():
        assert path.read_bytes() == CONTENT
    assert server.gets("/net.archive") == [""]
    assert leftovers(store.root) == []


def test_a_wheel_gives_several_members_in_one_download(
    tmp_path: Path, catalog_of: MakeCatalog, wheel_of: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = pypi.fetch
    monkeypatch.setattr(
        pypi, "fetch", lambda requirement, *rest: (calls.append(requirement), real(requirement, *rest))[1]
    )
    requirement = wheel_of("some_net", {"some_net/a": CONTENT, "some_net/b": b"labels"})
    a = entry(CONTENT, {"pypi": requirement, "member": "some_net/a"})
    b = entry(b"labels", {"pypi": requirement, "member": "some_net/b"})
    store = ModelStore(tmp_path / "store", catalog_of(a=a, b=b))
    found = store.ensure(["net/a.bin", "net/b.bin"])
    assert found["net/a.bin"].read_bytes() == CONTENT
    assert found["net/b.bin"].read_bytes() == b"labels"
    assert calls == [requirement]
    assert leftovers(store.root) == []


@pytest.mark.parametrize(
    "kind", ["https", "archive", "pypi", "file", "absent member", "404", "damaged archive", "too long"]
)
def test_a_source_with_the_wrong_bytes_is_refused_and_the_next_one_tried(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, wheel_of: MakeWheel, kind: str
) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "net").mkdir(parents=True)
    (mirror / "net" / "a.bin").write_bytes(WRONG)
    first, reason = {
        "https": ({"https": server.serve("/bad", WRONG)}, "wrong hash"),
        "archive": ({"https": server.serve("/t", tar_of("x", WRONG)), "member": "x"}, "wrong hash"),
        "pypi": ({"pypi": wheel_of("bad", {"x": WRONG}), "member": "x"}, "wrong hash"),
        "file": ({"file": str(mirror)}, "wrong hash"),
        "absent member": ({"https": server.serve("/z", zip_of("y", CONTENT)), "member": "x"}, "no member x"),
        "404": ({"https": server.address + "/nowhere"}, "404"),
        "damaged archive": ({"https": server.serve("/d", tar_of("x", CONTENT)[:-20000]), "member": "x"}, "damaged"),
        "too long": ({"https": server.serve("/l", CONTENT + b"x")}, f"instead of {len(CONTENT)}"),
    }[kind]
    good = {"https": server.serve("/good", CONTENT)}
    alone = ModelStore(tmp_path / "alone", catalog_of(a=entry(CONTENT, first)))
    with pytest.raises(WeightsError) as caught:
        alone.ensure(["net/a.bin"])
    assert reason in caught.value.message
    assert "net/a.bin" in caught.value.message
    assert "reelbench models pull net/a.bin" in caught.value.hint
    if reason == "wrong hash":
        assert alone.catalog["net/a.bin"].sha256 in caught.value.message
    assert alone.status("net/a.bin").state == "missing"
    assert leftovers(alone.root) == []

    both = ModelStore(tmp_path / "both", catalog_of(a=entry(CONTENT, first, good)))
    pulled = both.pull(["net/a.bin"])[0]
    assert pulled.path.read_bytes() == CONTENT
    assert [one.reason == "" for one in pulled.tried] == [False, True]


def test_a_mirror_from_the_environment_comes_first(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror" / "net"
    mirror.mkdir(parents=True)
    (mirror / "a.bin").write_bytes(CONTENT)
    monkeypatch.setenv("REELBENCH_MIRROR", os.pathsep.join([str(tmp_path / "none"), str(mirror.parent)]))
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)})))
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert server.asked == []
    assert (mirror / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("ranges", "resumed"), [(True, True), (False, False)])
def test_a_broken_connection_is_resumed_where_the_server_can(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, ranges: bool, resumed: bool
) -> None:
    server.ranges = ranges
    server.cut_after = [100_000]
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)})))
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert [bool(asked) for asked in server.gets("/a")] == [False, True]
    assert (server.sent < len(CONTENT) + 65536) == resumed  # the block that broke is sent again


def test_a_part_of_another_version_of_the_file_is_not_continued(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog
) -> None:
    address = server.serve("/a", WRONG)
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": address})))
    server.cut_after = [50_000, 0, 0]
    with pytest.raises(WeightsError, match="connection broke"):
        store.ensure(["net/a.bin"])
    assert any(name.endswith(".part") for name in leftovers(store.root))
    server.serve("/a", CONTENT)
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert leftovers(store.root) == []


def test_kill_9_in_a_download_leaves_nothing_half_and_the_next_one_goes_on(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, spawn: Spawn
) -> None:
    content = os.urandom(4_000_000)
    catalog = catalog_of(a=entry(content, {"https": server.serve("/a", content)}))
    server.chunk_delay_s = 0.02
    process = spawn("net/a.bin")
    deadline = time.monotonic() + 240
    while not any(part.stat().st_size > 1 << 20 for part in (tmp_path / "store").glob(".partial/net/*.part")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = ModelStore(tmp_path / "store", catalog)
    assert store.status("net/a.bin").state == "missing"
    server.chunk_delay_s = 0
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == content
    assert int(server.gets("/a")[1].removeprefix("bytes=").rstrip("-")) > 1 << 20
    assert leftovers(store.root) == []


def test_two_processes_that_ask_at_once_share_one_download(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, spawn: Spawn
) -> None:
    catalog = catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)}))
    server.chunk_delay_s = 0.05
    both = [spawn("net/a.bin"), spawn("net/a.bin")]
    assert [process.wait(240) for process in both] == [0, 0]
    assert server.gets("/a") == [""]
    assert ModelStore(tmp_path / "store", catalog).path("net/a.bin").read_bytes() == CONTENT


def test_a_file_of_a_hugging_face_repository(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    server.serve(f"/owner/net/resolve/{COMMIT}/sub/a.bin", CONTENT)
    left = tmp_path / "store" / ".partial" / "net" / "hub-killed"  # of a process that was killed
    left.mkdir(parents=True)
    (left / "x.incomplete").write_bytes(b"half")
    source = {"hf": "owner/net", "revision": COMMIT, "file": "sub/a.bin"}
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, source)))
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert len(server.gets(f"/owner/net/resolve/{COMMIT}/sub/a.bin")) == 1
    assert leftovers(store.root) == []

    absent = {"hf": "owner/net", "revision": COMMIT, "file": "none.bin"}
    server.serve(f"/owner/net/resolve/{COMMIT}/bad.bin", WRONG)
    bad = {"hf": "owner/net", "revision": COMMIT, "file": "bad.bin"}
    other = ModelStore(tmp_path / "other", catalog_of(a=entry(CONTENT, absent, bad, source)))
    tried = other.pull(["net/a.bin"])[0].tried
    assert "404" in tried[0].reason or "NotFound" in tried[0].reason
    assert "wrong hash" in tried[1].reason
    assert tried[2].reason == ""


def test_offline_the_users_hub_cache_still_serves(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    cached = tmp_path / "hf" / "hub" / "models--owner--net" / "snapshots" / COMMIT / "a.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    catalog_of(
        a=entry(CONTENT, {"hf": "owner/net", "revision": COMMIT, "file": "a.bin"}),
        b=entry(CONTENT, {"hf": "owner/net", "revision": COMMIT, "file": "b.bin"}),
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": CLOSED}
    done = _pull(tmp_path, environment, "net/a.bin", "net/b.bin")
    assert (tmp_path / "store" / "net" / "a.bin").read_bytes() == CONTENT
    assert cached.read_bytes() == CONTENT
    assert "HF_HUB_OFFLINE is set" in done.stderr


def test_without_any_network_every_source_is_named_in_one_line(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    sources = (
        {"https": f"{CLOSED}/a"},
        {"hf": "owner/net", "revision": COMMIT, "file": "a"},
        {"pypi": "font_amatic_sc==0.0.4", "member": "a"},
        {"file": str(tmp_path / "mirror")},
    )
    catalog_of(a=entry(CONTENT, *sources), b=entry(CONTENT, *sources))
    cut_off = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{CLOSED}/simple", "HF_ENDPOINT": CLOSED}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")} | cut_off
    done = _pull(tmp_path, environment, "net/a.bin", "net/b.bin")
    assert done.stderr.startswith("4 weights net/a.bin could not be had: ")
    assert len(done.stderr.strip().splitlines()) == 1
    for part in (
        f"{CLOSED}/a: 127.0.0.1:9 cannot be reached",
        "hf owner/net",
        "package index cannot be reached",
        "mirror ",
    ):
        assert part in done.stderr
    assert "(nor could net/b.bin)" in done.stderr
    assert leftovers(tmp_path / "store") == []


def test_a_small_wheel_of_the_real_package_index(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "store", Catalog.load())
    path = store.ensure(["fonts/FredokaOne-Regular.ttf"])["fonts/FredokaOne-Regular.ttf"]
    assert path.stat().st_size == 43500
    assert [status.state for status in store.verify(["fonts/FredokaOne-Regular.ttf"])] == ["verified"]


def _pull(tmp_path: Path, environment: dict[str, str], *ids: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PULL, str(tmp_path / "store"), str(tmp_path / "conf"), *ids]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
