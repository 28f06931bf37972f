"""What the store's networks were turned into: converted, calibrated and compiled models (OpenVINO IR, TensorRT engines, ONNX), rendered
clips. All of it can be made again, one item a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk
from reelbench.models import provenance


def places(around: Surroundings) -> Iterable[Place]:
    yield Place(around.store / "derived")


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    for entry in walk.entries():
        if not entry.is_dir(follow_symlinks=False):
            yield from unknown(walk, [entry])
        elif (taken := walk.part(entry.name, entry)) is not None:
            part, logical = taken
            names = (f"derived:{entry.name}",)
            busy = in_use(around.locked, [part])
            note = _origin(walk, entry.name)
            yield item(
                walk, entry.name, [part], "derived", "regenerable", names=names, logical=logical, busy=busy, note=note
            )


def _origin(walk: Walk, name: str) -> str:
    """What the folder was made from, where that was written down."""
    found = provenance.read(Path(walk.path(name)))
    if found is None:
        return ""
    return f"made by {found.made_by}" + (f" from {', '.join(found.artifacts)}" if found.artifacts else "")
