"""The original's clean-up: 69 GB go, nothing in use is touched, undo brings all of it back, and the log says why."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from reelbench.cli import cli
from reelbench.disk.registry import Registry
from reelbench.models.catalog import Catalog

SCRIPT = Path(__file__).parents[2] / "scripts" / "disk_demo.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("disk_demo", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["disk_demo"] = module
    spec.loader.exec_module(module)
    return module


def in_process(words: list[str], environment: Mapping[str, str]) -> str:
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("layout", ["plain", "shared"])
def test_the_clean_up_of_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    monkeypatch.setattr(Registry, "_always", lambda _: ())  # composing the shipped configuration takes half a minute
    catalog = Catalog.load()
    monkeypatch.setattr(Catalog, "load", lambda *_: catalog)  # its YAML is read at every look
    demo = script().Demo(tmp_path / "disk", False, in_process, layout)
    for name, value in demo.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path))  # no docker is asked
    demo.build()
    demo.carry_out()
    said = dict(demo.shown)
    why = next(text for command, text in said.items() if " why " in command)
    assert "content_quality" in why
    plan = json.loads((demo.base / "plan.json").read_text())
    assert sum(item["logical_bytes"] for item in plan["items"]) >= 69 * 10**9
    assert len(plan["items"]) == {"plain": 7, "shared": 9}[layout]
    kept = {item: reason for item, _, reason in plan["kept"]}
    clip = next(reason for item, reason in kept.items() if "clip" in item)
    assert "content_quality" in clip and clip.startswith("needed")
    log = next(text for command, text in said.items() if " audit " in command)
    switched_off = "(nobody needs it (switched off: workspace"
    assert log.count(switched_off) == 6, "two items: into the trash, again, and for good"
    assert log.count("  back ") == 2
