"""One module a cache. A module that has ``places`` and ``read`` is a reader; its name is the cache's. None is listed anywhere.

``places(around)`` gives the folders where the cache may lie (what is not there is no root), ``read(walk, around)`` the items of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from reelbench.disk.caches.base import Place, Surroundings
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk


class Reader(Protocol):
    def places(self, around: Surroundings) -> Iterable[Place]: ...

    def read(self, walk: Walk, around: Surroundings) -> Iterable[Item]: ...


@cache
def readers() -> dict[str, Reader]:
    """Every reader by the name of its cache, in the order of the names."""
    modules = {found.name: import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)}
    return {
        name: cast(Reader, module)
        for name, module in sorted(modules.items())
        if hasattr(module, "places") and hasattr(module, "read")
    }
