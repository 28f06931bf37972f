"""``reelbench workspace``: whose configurations say which weights are needed. Each module with an object ``command`` is a command."""

from __future__ import annotations

import click

from reelbench.cli.discover import add_modules


@click.group()
def command() -> None:
    """The projects that share this machine's weights: what their configurations name is never pruned (docs/references.md)."""


add_modules(command, __path__, __name__)
