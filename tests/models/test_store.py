"""What the store holds is verified, remembered, mended, and refused where it is wrong or the disk too small."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelbench.errors import ConfigError, OutputError, WeightsError
from reelbench.models import hashes
from reelbench.models.store import ModelStore
from support.weights import MakeCatalog, Server, entry

CONTENT = os.urandom(200_000)


@pytest.fixture
def filled(tmp_path: Path, server: Server, catalog_of: MakeCatalog) -> ModelStore:
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)})))
    store.ensure(["net/a.bin"])
    return store


def test_an_absent_artifact_names_the_command_that_fetches_it(tmp_path: Path, catalog_of: MakeCatalog) -> None:
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": "http://127.0.0.1:9/a"})))
    for ask in (store.path, lambda name: store.ensure([name], download=False), lambda name: store.hashes([name])):
        with pytest.raises(WeightsError) as caught:
            ask("net/a.bin")
        assert "net/a.bin" in caught.value.message
        assert caught.value.hint == "run 'reelbench models pull net/a.bin'"
        assert caught.value.exit_code == 4
    assert not (tmp_path / "store").exists()
    with pytest.raises(ConfigError, match=r"net/b\.bin"):
        store.ensure(["net/b.bin"])


@pytest.mark.parametrize("damage", ["same size", "shorter"])
def test_a_damaged_file_is_named_and_pulled_again(filled: ModelStore, damage: str) -> None:
    path = filled.path("net/a.bin")
    before = path.stat()
    path.write_bytes(bytes(len(CONTENT)) if damage == "same size" else b"short")
    os.utime(
        path, ns=(before.st_atime_ns, before.st_mtime_ns)
    )  # a change that hides behind its old time is seen all the same
    with pytest.raises(WeightsError) as caught:
        ModelStore(filled.root, filled.catalog).path("net/a.bin")
    assert str(path) in caught.value.message
    if damage == "same size":
        assert filled.catalog["net/a.bin"].sha256 in caught.value.message
    assert filled.verify(["net/a.bin"])[0].state == "damaged"
    assert filled.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT
    assert filled.path("net/a.bin") == path


def test_the_second_start_reads_no_bytes_again(filled: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(hashes, "sha256_of", refuse)
    again = ModelStore(filled.root, filled.catalog)
    assert again.path("net/a.bin").is_file()
    assert again.status("net/a.bin").state == "verified"
    with pytest.raises(AssertionError):
        again.verify(["net/a.bin"])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"net/a.bin": 3}', '{"net/a.bin": []}'])
def test_a_damaged_hash_cache_only_costs_a_hash(filled: ModelStore, content: str) -> None:
    (filled.root / ".hashes.json").write_text(content)
    assert filled.status("net/a.bin").state == "present"
    assert filled.path("net/a.bin").is_file()


def test_verify_sees_what_the_cache_cannot(filled: ModelStore) -> None:
    """A disk that lies: the bytes changed, the cache still vouches for them."""
    path = filled.root / "net" / "a.bin"
    path.write_bytes(bytes(len(CONTENT)))
    filled._hashes.settle({path: filled.catalog["net/a.bin"].sha256})
    assert filled.status("net/a.bin").state == "verified"
    assert filled.verify(["net/a.bin"])[0].state == "damaged"


READ = """
import os
import sys
from pathlib import Path
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
store = ModelStore(Path(sys.argv[1]), Catalog.load(Path(sys.argv[2])))
if os.geteuid() == 0:  # root may write anywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
assert store.ensure(["net/a.bin"])["net/a.bin"].is_file()
assert not list(store.root.glob(".hashes.json"))
try:
    (store.root / "probe").write_bytes(b"")
except OSError:
    print("read-only and served")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can read (pytest's own cannot be entered by one)."""
    folder = Path(tempfile.mkdtemp(prefix="reelbench-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_store_that_holds_everything_works(filled: ModelStore, tmp_path: Path, open_folder: Path) -> None:
    root = open_folder / "store"
    shutil.copytree(filled.root / "net", root / "net")
    shutil.copytree(tmp_path / "conf", open_folder / "conf")
    for folder in (root / "net", root):
        folder.chmod(0o555)
    command = [sys.executable, "-c", READ, str(root), str(open_folder / "conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for folder in (root, root / "net"):
        folder.chmod(0o755)
    assert done.stdout.strip() == "read-only and served", done.stderr


def test_a_disk_that_is_too_small_is_refused_before_anything_is_asked(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk's size is invented here; the next test has a real small one where a tmpfs can be mounted."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**5, 10**5))
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)})))
    with pytest.raises(OutputError) as caught:
        store.ensure(["net/a.bin"])
    assert "100000 are free" in caught.value.message
    assert str(len(CONTENT) + (16 << 20)) in caught.value.message
    assert server.asked == []
    assert caught.value.exit_code == 2


def test_what_an_earlier_attempt_left_needs_no_room_again(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk's size is invented here too."""
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, {"https": server.serve("/a", CONTENT)})))
    server.cut_after = [70_000, 0, 0]
    with pytest.raises(WeightsError):
        store.ensure(["net/a.bin"])
    free = (16 << 20) + len(CONTENT) - 65536
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - free, free))
    assert store.ensure(["net/a.bin"])["net/a.bin"].read_bytes() == CONTENT


def test_an_archive_that_turns_out_too_large_is_refused_before_it_is_written(
    tmp_path: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog did not say how large the archive is; the server does. The disk's size is invented here too."""
    source = {"https": server.serve("/archive", bytes(5_000_000)), "member": "a"}
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, source)))
    free = (16 << 20) + 2 * len(CONTENT)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - free, free))
    with pytest.raises(OutputError, match=f"{server.address}/archive needs"):
        store.ensure(["net/a.bin"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=17m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here (needs the right to mount)")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_really_small_disk(small_disk: Path, server: Server, catalog_of: MakeCatalog) -> None:
    content = os.urandom(2 << 20)
    catalog = catalog_of(a=entry(content, {"https": server.serve("/a", content)}))
    with pytest.raises(OutputError, match="the disk is too small"):
        ModelStore(small_disk / "store", catalog).ensure(["net/a.bin"])
    assert server.asked == []


def test_a_disk_that_fills_up_meanwhile_is_one_line(
    small_disk: Path, server: Server, catalog_of: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(20 << 20)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))
    store = ModelStore(small_disk / "store", catalog_of(a=entry(content, {"https": server.serve("/a", content)})))
    with pytest.raises(OutputError, match="the disk is full"):
        store.ensure(["net/a.bin"])
    assert store.status("net/a.bin").state == "missing"
    assert not list(store.root.rglob("*.part"))


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", "", ".hidden", "a b", "x\n"])
def test_a_derived_folder_stays_in_the_store(filled: ModelStore, key: str) -> None:
    with pytest.raises(ConfigError):
        filled.derived(key)


def test_a_derived_folder_is_created_once(filled: ModelStore) -> None:
    folder = filled.derived("openvino_int8/0123abcd")
    assert folder.is_dir()
    assert folder == filled.derived("openvino_int8/0123abcd") == filled.root / "derived/openvino_int8/0123abcd"


def test_the_environment_moves_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_MODEL_STORE", str(tmp_path / "elsewhere"))
    assert ModelStore().root == tmp_path / "elsewhere"
