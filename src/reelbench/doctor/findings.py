"""A finding about the machine, told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal

Level = Literal["ok", "look", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``level``: 'ok'; 'look' where figures may suffer; 'wrong' where something that is needed is missing. ``mend``: what to do."""

    name: str
    level: Level
    text: str
    mend: str = ""


def findings() -> Iterator[Finding]:
    """The findings of every module in `reelbench.doctor.health`, each a module with ``findings()``."""
    from reelbench.doctor import health

    for module in iter_modules(health.__path__):
        yield from import_module(f"{health.__name__}.{module.name}").findings()
