"""The registry: what was registered survives, and what cannot be read is never taken for an empty one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reelbench import paths
from reelbench.disk.registry import FILE, Registry
from reelbench.errors import ConfigError, UsageError


def project(folder: Path) -> Path:
    (folder / "conf" / "analyzer").mkdir(parents=True)
    (folder / "conf" / "analyzer" / "clip.yaml").write_text("name: clip\n")
    return folder


def bare(store: Path) -> Registry:
    return Registry.load(store, with_shipped=False)


def test_what_was_registered_is_there_for_the_next_process(tmp_path: Path) -> None:
    one = project(tmp_path / "one")
    (one / "runs").mkdir()
    bare(tmp_path).add_workspace(one).pin("hf://org/net@main", "the demo").add_runs_dir(tmp_path / "more")
    found = bare(tmp_path)
    assert [(w.path, w.device) for w in found.workspaces] == [(one, one.stat().st_dev)]
    assert [(pin.name, pin.why) for pin in found.pins] == [("hf:org/net@main", "the demo")]
    assert found.runs_dirs == (tmp_path / "more", one / "runs")
    found.unpin("hf:org/net@main").remove_workspace(one).remove_runs_dir(tmp_path / "more")
    assert (bare(tmp_path).workspaces, bare(tmp_path).pins, bare(tmp_path).runs_dirs) == ((), (), ())


def test_the_shipped_configuration_and_the_current_checkout_always_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = project(tmp_path / "mine") / "some" / "folder"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert [w.path for w in Registry.load(tmp_path).workspaces] == [paths.conf_dir().parent, tmp_path / "mine"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"version": 2}', '{"version": 1, "workspaces": [{"path": "/x"}]}']
)
def test_a_registry_that_cannot_be_read_is_an_error_and_is_not_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=FILE):
        Registry.load(tmp_path)
    other = tmp_path / "other"
    bare(other).pin("weights:a/b")
    (other / FILE).write_text(text)
    with pytest.raises(ConfigError, match=FILE):
        Registry(other, bare(tmp_path / "third")._file).pin("weights:c/d")
    assert (other / FILE).read_text() == text


def test_changes_of_several_at_once_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: bare(tmp_path).pin(f"weights:a/{number}"), range(24)))
    assert len(bare(tmp_path).pins) == 24
    assert json.loads((tmp_path / FILE).read_text())["version"] == 1


def test_mistakes_are_one_line_with_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    registry = bare(tmp_path)
    for folder in ("empty", "absent"):
        with pytest.raises(ConfigError):
            registry.add_workspace(tmp_path / folder)
    with pytest.raises(UsageError, match="no name"):
        registry.pin("clip")
    registry = registry.pin("weights:a/b")
    with pytest.raises(ConfigError) as caught:
        registry.unpin("weights:a/c")
    assert "weights:a/b" in caught.value.hint
    with pytest.raises(ConfigError):
        registry.remove_workspace(tmp_path / "empty")


def test_adding_again_renews_the_disk_that_a_workspace_lies_on(tmp_path: Path) -> None:
    one = project(tmp_path / "one")
    bare(tmp_path).add_workspace(one)
    raw = json.loads((tmp_path / FILE).read_text())
    raw["workspaces"][0]["device"] += 1
    (tmp_path / FILE).write_text(json.dumps(raw))
    assert bare(tmp_path).workspaces[0].device == one.stat().st_dev + 1
    bare(tmp_path).add_workspace(one / "conf", text_only=True)
    (found,) = bare(tmp_path).workspaces
    assert (found.path, found.device, found.text_only) == (one, one.stat().st_dev, True)


def test_a_registry_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        bare(tmp_path)
