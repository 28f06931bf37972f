"""Sub-commands are found, not listed: each module of a package that has a click object ``command`` is one."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules

import click


def add_modules(group: click.Group, path: Iterable[str], package: str) -> None:
    """Add the commands of a package to its group, under their modules' names (``import_`` is ``import``)."""
    for module in iter_modules(path):
        found = getattr(import_module(f"{package}.{module.name}"), "command", None)
        if isinstance(found, click.Command):
            group.add_command(found, name=module.name.rstrip("_").replace("_", "-"))
