"""Every command, with escape codes in the names of models, clips, variants and runs, in error texts and in its arguments: what it
prints holds no control character."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from reelbench import paths
from reelbench.cli import cli
from reelbench.console import console, guarded
from support.disks import Disk, Revision, solid
from support.runs import make_run

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\x08\rok"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LISTING = [
    "models unused", "models refs", "models prune", "models prune --yes --grace 0h", "models trash", "models undo", "models scan .",
    "models why hf:org/x", "disk", "disk prune", "disk trash", "disk audit", "models audit", "track list", "track sync --all --uri http://127.0.0.1:9",
    "report --pareto", "workspace list", "compare runs/a runs/b", "export a", "import x.json",
]  # fmt: skip


@pytest.fixture
def hostile(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with runs, and caches with models, of hostile names. The shipped configuration has one analyzer."""
    shipped, work = disk.base / "shipped/conf", disk.base / f"work{HOSTILE}"
    for name, text in {"config": "defaults: [_self_, analyzer: one]\n", "analyzer/one": "name: one\n"}.items():
        (shipped / name).parent.mkdir(parents=True, exist_ok=True)
        (shipped / f"{name}.yaml").write_text(text)
    (shipped / "weights").mkdir()
    monkeypatch.setattr(paths, "conf_dir", lambda: shipped)
    disk.repository(f"org/{HOSTILE}", [Revision({f"{HOSTILE}.bin": ("x", 9000)}, whole=True)])
    solid(disk.store / f"{HOSTILE}/{HOSTILE}.onnx")
    for name in "ab":
        make_run(work / "runs" / name, clips=(HOSTILE,), failed_clips={f"{HOSTILE}2": HOSTILE}, variant=HOSTILE)
    (work / f"{HOSTILE}.pt").write_bytes(b"no pickle")
    (work / "x.json").write_text(f'{{"benchmarks": [{{"name": "{HOSTILE!r}"}}]}}')
    monkeypatch.chdir(work)
    return work


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield (*words, name)


def test_no_command_prints_a_control_character_of_a_name(hostile: Path) -> None:
    def call(*words: str) -> Result:
        done = CliRunner().invoke(cli, list(words))
        text = done.output + (done.stderr if done.stderr_bytes else "")
        assert not CONTROL.search(text), (words, text)
        return done

    seen = "".join(call(*words.split()).output for words in LISTING)
    assert seen.count("evil") > 5, "the hostile names were not shown at all"
    for words in leaves(cli):
        if words != ("disk", "browse"):  # a program of the whole terminal, which refuses to start without one
            call(*words, HOSTILE)
            call(*words, f"--{HOSTILE}")


def test_an_error_and_a_table_of_the_main_job_are_escaped_too(capsys: pytest.CaptureFixture[str]) -> None:
    from reelbench.main import main

    assert main([f"analyzer={HOSTILE}"]) == 2
    assert main([f"+{HOSTILE}=1"]) == 2
    written = StringIO()
    with guarded():
        target = console(written, force_terminal=True, width=200)
        target.print(HOSTILE, style="red")
    said = capsys.readouterr()
    assert "\\x1b[2J" in said.err and not CONTROL.search(said.out + said.err)
    assert written.getvalue().startswith("\x1b[31m\\x1b[2J"), "Rich's own codes pass, those of the text do not"
