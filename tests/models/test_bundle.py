"""Bundles: out of one store and into another; a changed byte, a foreign key or a contradiction is refused."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from reelbench.cli.models.bundle import command
from reelbench.errors import ConfigError, InputError, OutputError, WeightsError
from reelbench.models import bundle, keys
from reelbench.models.catalog import Catalog
from reelbench.models.store import ModelStore
from support.weights import MakeCatalog, entry

CONTENT = os.urandom(100_000)
EMPTY = Catalog(())


@pytest.fixture
def made(tmp_path: Path, catalog_of: MakeCatalog) -> tuple[Path, str, ModelStore]:
    """A signed bundle, the public key of its signer, and the store that it came from."""
    (tmp_path / "mirror/net").mkdir(parents=True)
    (tmp_path / "mirror/net/a.bin").write_bytes(CONTENT)
    (tmp_path / "mirror/net/b.bin").write_bytes(b"labels")
    source = {"file": str(tmp_path / "mirror")}
    store = ModelStore(tmp_path / "store", catalog_of(a=entry(CONTENT, source), b=entry(b"labels", source)))
    store.ensure(["net/a.bin", "net/b.bin"])
    public = keys.create(tmp_path / "key.pem")
    bundle.export(
        store, ["net/a.bin", "net/b.bin"], tmp_path / "x.tar", tmp_path / "key.pem", [tmp_path / "conf/weights"]
    )
    return tmp_path / "x.tar", public, store


def rewritten(file: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The same bundle with other members."""
    target = file.with_name("changed.tar")
    with tarfile.open(file) as old, tarfile.open(target, "w") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            content = change(member.name, stream.read())
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return target


def test_from_store_to_store_with_the_catalog(tmp_path: Path, made: tuple[Path, str, ModelStore]) -> None:
    file, public, _ = made
    other = ModelStore(tmp_path / "other", EMPTY)
    done = bundle.bring(other, file, [public], tmp_path / "conf2")
    assert (done.artifacts, done.signed) == (("net/a.bin", "net/b.bin"), True)
    catalog = Catalog.load(tmp_path / "conf2")
    assert ModelStore(tmp_path / "other", catalog).path("net/a.bin").read_bytes() == CONTENT
    again = bundle.bring(ModelStore(tmp_path / "other", catalog), file, [], None)
    assert (again.artifacts, again.there, again.signed) == ((), ("net/a.bin", "net/b.bin"), False)


def test_without_trust_only_what_the_catalog_pins_comes_in(tmp_path: Path, made: tuple[Path, str, ModelStore]) -> None:
    file, _, store = made
    stranger = keys.create(tmp_path / "stranger.pem")
    for trusted in ([], [stranger]):
        with pytest.raises(InputError, match="not signed by a key that you trust"):
            bundle.bring(ModelStore(tmp_path / "other", EMPTY), file, trusted, tmp_path / "conf2")
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "conf2").exists()
    done = bundle.bring(ModelStore(tmp_path / "pinned", store.catalog), file, [], None)
    assert (done.signed, len(done.artifacts)) == (False, 2)


def test_without_trust_no_family_is_added_and_a_file_is_never_written_over(
    tmp_path: Path, made: tuple[Path, str, ModelStore], catalog_of: MakeCatalog
) -> None:
    file, public, store = made
    text = (tmp_path / "conf/weights/net.yaml").read_text()

    def with_family(name: str, content: bytes) -> bytes:
        if name == bundle.SIGNATURE:
            return b""
        if name != bundle.MANIFEST:
            return content
        manifest = json.loads(content)
        manifest["catalog"]["planted"] = text.replace("net/", "planted/")
        return json.dumps(manifest).encode()

    planted = rewritten(file, with_family)
    with pytest.raises(InputError, match="does not pin the family planted"):
        bundle.bring(ModelStore(tmp_path / "other", store.catalog), planted, [public], tmp_path / "conf2")
    assert not (tmp_path / "other").exists() and not (tmp_path / "conf2").exists()

    mine = tmp_path / "conf3/weights/net.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(InputError, match="is not what the bundle has"):
        bundle.bring(ModelStore(tmp_path / "other", EMPTY), file, [public], tmp_path / "conf3")
    assert mine.read_text() == "mine" and not (tmp_path / "other").exists()


def test_a_changed_byte_is_found_wherever_it_is(tmp_path: Path, made: tuple[Path, str, ModelStore]) -> None:
    file, public, _ = made
    target = ModelStore(tmp_path / "other", EMPTY)

    def wrong_file(name: str, content: bytes) -> bytes:
        return bytes(len(content)) if name == "files/net/a.bin" else content

    with pytest.raises(InputError, match=r"net/a\.bin is damaged"):
        bundle.bring(target, rewritten(file, wrong_file), [public], tmp_path / "conf2")

    def wrong_manifest(name: str, content: bytes) -> bytes:
        return content.replace(b"MIT", b"XXX") if name == bundle.MANIFEST else content

    with pytest.raises(InputError, match="not signed by a key"):
        bundle.bring(target, rewritten(file, wrong_manifest), [public], tmp_path / "conf2")

    def wrong_name(name: str, content: bytes) -> bytes:
        return content.replace(b"net/b.bin", b"../../b.x") if name == bundle.MANIFEST else content

    with pytest.raises(InputError, match="is no name of the catalog"):
        bundle.bring(target, rewritten(file, wrong_name), [public], tmp_path / "conf2")
    assert not (tmp_path / "other/net/a.bin").exists()
    assert not (tmp_path / "conf2").exists()

    for size in (0, 100, 1200, 60_000, file.stat().st_size - 11_000):
        (tmp_path / "cut.tar").write_bytes(file.read_bytes()[:size])
        with pytest.raises(InputError):
            bundle.bring(target, tmp_path / "cut.tar", [public], tmp_path / "conf2")
    assert not list((tmp_path / "other").rglob("*.tmp"))


def test_a_contradiction_with_the_catalog_is_refused(
    tmp_path: Path, made: tuple[Path, str, ModelStore], catalog_of: MakeCatalog
) -> None:
    file, public, _ = made
    catalog = catalog_of(a=entry(b"another network", {"file": "/nowhere"}))
    with pytest.raises(InputError, match="another sha256"):
        bundle.bring(ModelStore(tmp_path / "other", catalog), file, [public], None)
    catalog = catalog_of(c=entry(b"another network", {"file": "/nowhere"}))
    with pytest.raises(InputError, match="not in the catalog here"):
        bundle.bring(ModelStore(tmp_path / "other", catalog), file, [public], None)
    with pytest.raises(ConfigError, match="has no net"):
        bundle.bring(ModelStore(tmp_path / "other", EMPTY), file, [public], None)


def test_what_is_absent_is_not_exported_and_a_key_is_not_overwritten(
    tmp_path: Path, made: tuple[Path, str, ModelStore]
) -> None:
    _, _, store = made
    (store.root / "net/a.bin").unlink()
    with pytest.raises(WeightsError, match="not in the model store"):
        bundle.export(store, ["net/a.bin"], tmp_path / "y.tar", None, [tmp_path / "conf/weights"])
    assert not (tmp_path / "y.tar").exists()
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(OutputError):
        keys.create(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigError, match="no private key"):
        keys.sign(b"", tmp_path / "mirror/net/b.bin")
    with pytest.raises(ConfigError, match="no public key"):
        keys.verify(b"", b"", "me")


def test_the_commands(tmp_path: Path, made: tuple[Path, str, ModelStore], monkeypatch: pytest.MonkeyPatch) -> None:
    _, public, store = made
    monkeypatch.setenv("REELBENCH_MODEL_STORE", str(store.root))
    monkeypatch.setenv("REELBENCH_CATALOG", str(tmp_path / "conf"))
    file = str(tmp_path / "cli.tar")
    run = CliRunner()
    done = run.invoke(command, ["export", file, "net", "--key", str(tmp_path / "key.pem")])
    assert f"signed by {public}" in done.output
    shown = run.invoke(command, ["show", file, "--trust", public])
    assert "net/a.bin" in shown.output
    assert "signed by a trusted key" in shown.output
    monkeypatch.setenv("REELBENCH_MODEL_STORE", str(tmp_path / "third"))
    taken = run.invoke(command, ["import", file])
    assert "2 into" in taken.output
    assert (tmp_path / "third/net/a.bin").read_bytes() == CONTENT
