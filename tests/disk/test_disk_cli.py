"""``reelbench disk`` from the command line: the table, the JSON, the page, and what is said when something is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reelbench.cli import cli
from reelbench.disk import references
from reelbench.errors import UnresolvedRoot, UsageError
from support.disks import Disk, Revision, commit_of, solid

from .test_inventory import Only


@pytest.fixture
def small(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A hub cache with one needed and one unneeded model; nothing is composed, and nothing else of this machine is looked at."""
    for name in ("org/needed", "org/idle"):
        disk.repository(name, [Revision({"model.bin": (name, 1 << 16)}, commit=commit_of(name), whole=True)])
    monkeypatch.setattr(references, "resolve", lambda registry: Only("hf:org/needed"))
    return disk


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["disk", "--cache", "hub", *arguments])


def test_the_table_says_what_is_needed_and_what_could_go(small: Disk) -> None:
    shown = run()
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["hub", "2"] in [line[:2] for line in lines]
    assert any("org/idle@" in " ".join(line) and "reclaimable" in line for line in lines)
    assert any("org/needed@" in " ".join(line) and {"in", "use", "pinned"} <= set(line) for line in lines)


def test_json_has_exact_bytes_and_every_name(small: Disk) -> None:
    solid(Path(os.fsdecode(os.fsencode(small.hub) + b"/odd-\xff\nname")), 5000)
    data = json.loads(run("--json").output)
    items = {item["title"]: item for item in data["items"]}
    idle = items[f"org/idle@{commit_of('org/idle')[:7]} (main)"]
    assert (idle["standing"], idle["logical_bytes"]) == ("reclaimable", (1 << 16) + 40 * 0)
    assert idle["paths"][0] == "models--org--idle/refs/main" and "hf:org/idle" in idle["names"]
    assert os.fsencode(items[os.fsdecode(b"odd-\xff\nname")]["paths"][0]) == b"odd-\xff\nname"
    assert data["total"]["bytes"] == sum(item["bytes"] for item in data["items"])
    assert data["total"]["unknown"] == 8192 and data["unresolved"] is None


def test_what_cannot_be_resolved_is_said_and_nothing_is_reclaimable(
    small: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(registry: object) -> None:
        raise UnresolvedRoot("workspace /gone cannot be read", "mount it")

    monkeypatch.setattr(references, "resolve", fail)
    shown = run()
    assert shown.exit_code == 0
    assert "who needs what is not known: workspace /gone cannot be read" in " ".join(shown.output.split())
    data = json.loads(run("--json").output)
    assert data["total"]["reclaimable"] is None and "workspace /gone" in data["unresolved"]
    assert {item["standing"] for item in data["items"]} == {"unresolved", "kept"}


def test_mistakes_are_one_line(small: Disk) -> None:
    wrong = CliRunner().invoke(cli, ["disk", "--cache", "hubb"])
    assert isinstance(wrong.exception, UsageError) and "hub" in wrong.exception.hint
    page = run("--html", str(small.base / "no" / "such" / "folder.html"))
    assert (
        page.exit_code == 0 and (small.base / "no" / "such" / "folder.html").is_file()
    )  # as every page, it makes its folder
    browse = CliRunner().invoke(cli, ["disk", "browse"])
    assert isinstance(browse.exception, Exception) and browse.exception.exit_code in (2, 4)  # type: ignore[attr-defined]


def test_an_empty_machine_is_said_to_be_empty(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "resolve", lambda registry: Only())
    shown = run("--html", str(disk.base / "page.html"))
    assert shown.exit_code == 0 and "none of the known caches" in shown.output
