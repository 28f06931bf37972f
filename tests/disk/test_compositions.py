"""What was composed is remembered exactly as long as it is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reelbench.disk import compositions, remembered
from reelbench.disk.composing import Composer
from reelbench.disk.compositions import Composition
from reelbench.disk.registry import Workspace
from reelbench.disk.remembered import FILE

Files = dict[str, str]
Answer = tuple[dict[str, tuple[str, ...]], list[str]]
BASE: Files = {
    "config.yaml": 'defaults: [_self_, {analyzer: null}, {optional variant: plain}, {optional tuning: "${analyzer}/${variant}"}]\n',
    "variant/plain.yaml": "",
    "analyzer/one.yaml": "net: hf://org/one\n",
    "analyzer/two.yaml": "net: hf://org/two\n",
    "tuning/one/fast.yaml": "# @package _global_\nanalyzer: {more: hf://org/fast}\n",
    "tuning/two/as_one.yaml": "# @package _global_\ndefaults: [/tuning/one/fast, _self_]\n",
    "plan/p.yaml": "# @package plan\nname: p\n",
}


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that were really composed."""
    found: list[str] = []
    real = Composer.part

    def part(self: Composer, name: str) -> list[Composition]:
        found.append(name)
        return real(self, name)

    monkeypatch.setattr(Composer, "part", part)
    return found


@pytest.fixture
def asked(tmp_path: Path, composed: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], Answer]:
    """Write files into a workspace; what its compositions need, and which parts were composed for that."""
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setattr(remembered, "_code_and_packages", lambda: ["this version"])  # somebody may edit it meanwhile

    def ask(files: Files) -> Answer:
        for name, text in files.items():
            target = tmp_path / "space" / "conf" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        composed.clear()
        space = Workspace(path=tmp_path / "space", device=tmp_path.stat().st_dev)
        found = compositions.of(space, store)
        return {one.key: one.needs for one in found}, list(composed)

    return ask


def test_only_what_a_change_concerns_is_composed_again(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found, parts = asked(BASE)
    assert found["one/fast"] == ("hf:org/one", "hf:org/fast") and found["two/as_one"] == ("hf:org/two", "hf:org/fast")
    assert parts == ["analyzer/one", "analyzer/two", "plan/p", "rest"]
    assert asked({}) == (found, [])
    again, parts = asked({"analyzer/two.yaml": "net: hf://org/other\n"})
    assert again["two/as_one"] == ("hf:org/other", "hf:org/fast") and "analyzer/one" not in parts
    again, parts = asked({"tuning/one/fast.yaml": "# @package _global_\nanalyzer: {more: hf://org/new}\n"})
    assert again["two/as_one"] == ("hf:org/other", "hf:org/new"), "two builds on a file of one"
    assert {"analyzer/one", "analyzer/two"} <= set(parts)
    _, parts = asked({"words/more.yaml": "a: b\n"})
    assert {"analyzer/one", "analyzer/two"} <= set(parts), "any other file may be part of it"


def test_the_environment_counts_where_a_file_names_it(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICH_NET", "hf://org/first")
    found, _ = asked({**BASE, "analyzer/two.yaml": "net: ${oc.env:WHICH_NET}\n"})
    assert "hf:org/first" in found["two/as_one"]
    monkeypatch.setenv("WHICH_NET", "hf://org/second")
    assert "hf:org/second" in asked({})[0]["two/as_one"]


@pytest.mark.parametrize("text", ["{", '{"%s": []}', '{"%s": {"analyzer/one": {"key": 1}}}'])
def test_what_is_remembered_is_thrown_away_where_it_is_damaged(asked: Any, tmp_path: Path, text: str) -> None:
    found, parts = asked(BASE)
    (tmp_path / "store" / FILE).write_text(text.replace("%s", str(tmp_path / "space")))
    assert asked({}) == (found, parts)


def test_what_is_remembered_is_not_used_where_somebody_changed_it(asked: Any, tmp_path: Path) -> None:
    found, _ = asked(BASE)
    file = tmp_path / "store" / FILE
    file.write_text(file.read_text().replace("hf:org/fast", "hf:org/none"))
    assert asked({})[0] == found


def test_what_other_code_builds_is_not_remembered_by_the_next_process(asked: Any) -> None:
    foreign = {**BASE, "analyzer/two.yaml": "_target_: support.disks_analyzers.Asks\nweights: []\n"}
    asked(foreign)
    assert asked({})[1] == [], "as long as this process has that code"
    remembered._SESSION.clear()
    assert asked({})[1] == ["analyzer/two"]


def test_what_is_installed_counts(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, parts = asked(BASE)
    monkeypatch.setattr(remembered, "_code_and_packages", lambda: ["another version"])
    assert asked({})[1] == parts


def test_a_store_that_cannot_be_written_only_costs_time(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "store").rmdir()
    found, parts = asked(BASE)
    assert asked({}) == (found, parts) and not (tmp_path / "store").exists()
