"""``reelbench models``: the model store. Every module of this package that has a click object ``command`` is one of its commands."""

from __future__ import annotations

import click

from reelbench.cli.discover import add_modules


@click.group()
def command() -> None:
    """Weights, footage and fonts: fetch, verify, who needs them, what can go (the catalog is conf/weights)."""


add_modules(command, __path__, __name__)
