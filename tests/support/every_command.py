"""Every command of the program, each in a process of its own: ``python every_command.py RESULT.json`` in an empty folder.

The commands are found by walking the click groups, so that a new one is under the test without a line written. Each is a fork of
this process, which has imported the program once; what the program prints goes where a shell would send it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from reelbench import paths
from reelbench.cli import cli
from reelbench.cli import main as reelbench
from reelbench.disk.apply import Situation
from reelbench.main import main as run_py

BAD_NAME = os.fsdecode(b"caf\xe9-\xff")
"""A name that is not UTF-8."""


def commands(group: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it, groups included."""
    if path:
        yield path, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))


def argument_lists(path: tuple[str, ...], command: click.Command) -> Iterator[list[str]]:
    """The command with a bad name for each of its arguments, and then for each option that takes a path, too."""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    named = [*path, *(BAD_NAME for one in arguments for _ in range(max(1, one.nargs)))]
    yield named
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, click.Path):
            yield [*named, option.opts[-1], BAD_NAME]


def forked(work: Callable[[], None], *, closed: bool) -> tuple[int, str]:
    """The exit status of a process that does ``work``, and what it said on standard error; 'closed' has nobody read its output."""
    with tempfile.TemporaryFile("w+b") as errors, tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            if closed:
                reading, writing = os.pipe()
                os.close(reading)
                os.dup2(writing, 1)
            else:
                os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            status = 99  # what no command ends with: something escaped
            try:
                work()
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else 98
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        return status, errors.read().decode("utf-8", "backslashreplace")


def _raise(*_: object, **__: object) -> None:
    raise ZeroDivisionError("sent to https://me:pa/ss@w@host/x token=abc123")


def _call(arguments: list[str], program: Callable[[list[str]], object]) -> Callable[[], None]:
    def work() -> None:
        sys.argv = [program.__module__, *arguments]
        sys.exit(program(arguments))

    return work


def main(result: Path) -> None:
    rows = []
    for path, command in commands():
        named, *with_options = argument_lists(path, command)
        rows.append(_row(named, _call(named, reelbench)))
        rows.extend(_row(one, _call(one, reelbench), ways=("read",)) for one in with_options)
        if isinstance(command, click.Group) and not command.invoke_without_command:
            continue
        command.callback, given = _raise, command.callback
        rows.append(_row(named, _call(named, reelbench), ways=("crash",)))
        command.callback = given
    alone = ([BAD_NAME], ["--cfg", "job"], ["--help"])
    rows.extend(_row(["run.py", *overrides], _call(overrides, run_py)) for overrides in alone)
    result.write_text(json.dumps(rows))


def _row(command: list[str], call: Callable[[], None], ways: tuple[str, ...] = ("read", "closed")) -> dict[str, object]:
    ends = {way: forked(call, closed=way == "closed") for way in ways}
    return {
        "command": command,
        **{way: status for way, (status, _) in ends.items()},
        "said": next(iter(ends.values()))[1],
    }


if __name__ == "__main__":
    # What most commands import when they are called: here, it is imported once and not in each of them.
    for module in ("config", "system.config", "models.store", "disk.inventory", "comparison.ab", "report.terminal"):
        importlib.import_module(f"reelbench.{module}")
    importlib.import_module("hydra.core.config_loader")
    # Likewise every shipped configuration is composed once, for the commands that ask who needs what.
    Situation.of(paths.store_dir()).references()
    main(Path(sys.argv[1]))
