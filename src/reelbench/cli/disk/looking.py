"""The inventory together with who needs what, as the commands of ``reelbench disk`` show it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reelbench.disk.seen import Seen


def look(caches: Collection[str] = ()) -> Seen:
    """Take the inventory and judge it. What cannot be resolved is said in `Seen.unresolved`, and nothing is then called reclaimable."""
    from reelbench.cli.formats import say_distrusted
    from reelbench.disk import inventory, references
    from reelbench.disk.registry import Registry
    from reelbench.disk.seen import see
    from reelbench.errors import UnresolvedRoot

    registry = Registry.load()
    say_distrusted(registry)
    found = inventory.take(registry, caches or None)
    try:
        needs, unresolved = references.resolve(registry), ""
    except UnresolvedRoot as error:
        needs, unresolved = None, str(error)
    return see(found, needs, unresolved)
