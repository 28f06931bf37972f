"""``models add``: from an address to a catalog entry with hash, size, licence and pinned revision, and on to the verified file."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from reelbench.cli.models.add import command
from reelbench.errors import ConfigError, InputError, ReelBenchError, WeightsError
from reelbench.models.adding import Added, Entry, add
from reelbench.models.addresses import parse
from reelbench.models.catalog import Catalog
from reelbench.models.describing import Wanted
from reelbench.models.store import ModelStore
from support.hub_server import Hub
from support.weights import Server

CONTENT = os.urandom(200_000)
EMPTY = Catalog(())


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def adding(tmp_path: Path, address: str, catalog: Catalog = EMPTY, **about: object) -> Added:
    entry = Entry(**about)  # type: ignore[arg-type]  # what a test says
    return add(parse(address), entry, tmp_path / "conf", tmp_path / "store", catalog, lambda *_: None)


def pulled(tmp_path: Path, artifact: str) -> bytes:
    store = ModelStore(tmp_path / "store", Catalog.load(tmp_path / "conf"))
    store.pull([artifact])
    return store.path(artifact).read_bytes()


def test_a_repository_of_the_hub_from_its_address_to_the_verified_file(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.repository("Org/Net-2B", licence="cc-by-nc-4.0")
    files = {
        "config.json": b"{}",
        "model.safetensors": CONTENT,
        "pytorch_model.bin": b"pickle",
        "README.md": b"hi",
        "empty": b"",
    }
    old = repository.commit(files)
    repository.commit({"config.json": b"{1}"})
    monkeypatch.setenv("REELBENCH_MODEL_STORE", str(tmp_path / "store"))
    done = CliRunner().invoke(command, [f"hf://Org/Net-2B@{old[:40]}", "--conf", str(tmp_path / "conf"), "--pull"])
    assert done.exit_code == 0, done.output
    catalog = Catalog.load(tmp_path / "conf")
    assert list(catalog.artifacts) == ["net_2b/config.json", "net_2b/model.safetensors"]
    large = catalog["net_2b/model.safetensors"]
    assert (large.bytes, large.sha256, large.licence) == (len(CONTENT), sha(CONTENT), "cc-by-nc-4.0")
    assert {source.revision for one in catalog.artifacts.values() for source in one.sources} == {old}  # type: ignore[union-attr]
    assert catalog["net_2b/config.json"].sha256 == sha(b"{}")
    for reason in (
        "pytorch_model.bin: the same weights are there as safetensors",
        "README.md: no part",
        "empty: empty",
    ):
        assert reason in done.output
    assert f"REELBENCH_CATALOG={tmp_path / 'conf'}" in done.output

    store = ModelStore(tmp_path / "store", catalog)
    assert store.path("net_2b/model.safetensors").read_bytes() == CONTENT
    assert hub.ranges_of(CONTENT) == [""], "the hub names the hash of a large file, so it is downloaded once"
    monkeypatch.setenv("REELBENCH_CATALOG", str(tmp_path / "conf"))
    assert "net_2b/config.json" in Catalog.load().artifacts


def test_a_branch_is_pinned_to_its_commit_and_a_family_grows_with_its_comments(tmp_path: Path, hub: Hub) -> None:
    commit = hub.repository("org/net").commit(
        {"a.onnx": CONTENT, "b.onnx": b"b", "sub/c.onnx": b"c", "net.pt": b"p"}, ref="dev"
    )
    first = adding(tmp_path, "hf://org/net@dev/a.onnx")
    assert first.artifacts[0].sources[0].revision == commit  # type: ignore[union-attr]
    first.file.write_text("# mine\n" + first.file.read_text())
    again = adding(tmp_path, "hf://org/net@dev", Catalog.load(tmp_path / "conf"), wanted=Wanted(exclude=("b.*",)))
    assert first.file.read_text().startswith("# mine\n")
    assert list(Catalog.load(tmp_path / "conf").artifacts) == ["net/a.onnx", "net/net.pt", "net/sub/c.onnx"]
    assert again.pickles == ["net/net.pt"]
    assert again.left_out == {"b.onnx": "excluded"}
    assert pulled(tmp_path, "net/sub/c.onnx") == b"c"


def test_a_file_behind_an_address_is_downloaded_once(tmp_path: Path, server: Server) -> None:
    address = server.serve("/files/net-v2.onnx", CONTENT)
    added = adding(tmp_path, address, licence="MIT")
    assert [(one.id, one.sha256, one.licence) for one in added.artifacts] == [
        ("net_v2/net-v2.onnx", sha(CONTENT), "MIT")
    ]
    assert pulled(tmp_path, "net_v2/net-v2.onnx") == CONTENT
    assert server.sent == len(CONTENT)


def test_one_member_of_an_archive(tmp_path: Path, server: Server) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("x/net.onnx")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
    added = adding(tmp_path, server.serve("/a.tar.gz", packed.getvalue()), wanted=Wanted(member="x/net.onnx"))
    assert added.artifacts[0].sha256 == sha(CONTENT)
    assert added.artifacts[0].licence == "unknown"
    assert pulled(tmp_path, added.artifacts[0].id) == CONTENT


def test_a_file_of_this_machine_is_irreplaceable_unless_said_otherwise(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    address = (tmp_path / "net.onnx").as_uri()
    assert adding(tmp_path, address, family="mine").artifacts[0].class_ == "irreplaceable"
    assert pulled(tmp_path, "mine/net.onnx") == CONTENT
    assert adding(tmp_path, address, family="other", class_="refetchable").artifacts[0].class_ == "refetchable"


def test_a_gated_repository_needs_its_token_which_goes_to_the_hub_alone(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("org/net", gated=True).commit({"model.safetensors": CONTENT})
    with pytest.raises(WeightsError, match="GatedRepo"):
        adding(tmp_path, "hf://org/net")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert adding(tmp_path, "hf://org/net").gated
    assert pulled(tmp_path, "net/model.safetensors") == CONTENT
    assert hub.leaked == []


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("hf://org/none", WeightsError, "RepositoryNotFound"),
        ("hf://org/net@none", WeightsError, "RevisionNotFound"),
        ("hf://org/net/none", InputError, "no such file"),
        ("http://127.0.0.1:9/net.onnx", WeightsError, "cannot be reached"),
        ("file:///nowhere/net.onnx", InputError, "is no file"),
        ("PAGE", InputError, "web page"),
        ("hf://org/net/odd name.onnx", ConfigError, "cannot be a path"),
    ],
)
def test_what_cannot_be_added_leaves_no_entry(
    tmp_path: Path, hub: Hub, server: Server, address: str, error: type[ReelBenchError], words: str
) -> None:
    hub.repository("org/net").commit({"a.onnx": b"a", "odd name.onnx": b"b"})
    page = server.serve("/page", b"<!DOCTYPE html><html>log in</html>")
    with pytest.raises(error, match=words) as caught:
        adding(tmp_path, page if address == "PAGE" else address, family="net")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "conf").exists()


def test_a_repository_cannot_name_a_file_outside_of_the_store(tmp_path: Path, hub: Hub) -> None:
    hub.repository("org/evil").commit({"../../evil.onnx": b"e"})
    with pytest.raises(ConfigError, match="cannot be a path"):
        adding(tmp_path, "hf://org/evil", wanted=Wanted(include=("*",)))
    assert not (tmp_path / "conf").exists()


def test_an_entry_never_changes_its_hash_nor_takes_another_familys_id(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    adding(tmp_path, (tmp_path / "net.onnx").as_uri(), family="mine")
    before = (tmp_path / "conf/weights/mine.yaml").read_text()
    (tmp_path / "net.onnx").write_bytes(CONTENT + b"x")
    with pytest.raises(ConfigError, match="another sha256"):
        adding(tmp_path, (tmp_path / "net.onnx").as_uri(), family="mine")
    with pytest.raises(ConfigError, match="already in"):
        adding(tmp_path, (tmp_path / "net.onnx").as_uri(), Catalog.load(tmp_path / "conf"), family="Mine")
    assert (tmp_path / "conf/weights/mine.yaml").read_text() == before
