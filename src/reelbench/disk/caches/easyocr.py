"""EasyOCR: detectors and readers in ``model/``; a user's own networks have their description in ``user_network/``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unfinished, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk


def places(around: Surroundings) -> Iterable[Place]:
    yield Place(around.setting("EASYOCR_MODULE_PATH", "MODULE_PATH") or around.home / ".EasyOCR")


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    top = walk.entries()
    own: set[str] = set()
    for entry in top:
        if entry.name == "user_network" and entry.is_dir(follow_symlinks=False):
            for name, (part, logical) in walk.parts(entry.name).items():
                own.add(name.rpartition(".")[0])
                yield item(
                    walk,
                    part.path,
                    [part],
                    "weights",
                    "irreplaceable",
                    logical=logical,
                    note="a network of the user's own",
                )
    for entry in top:
        if entry.name == "model" and entry.is_dir(follow_symlinks=False):
            yield from _models(walk, around, own)
        elif entry.name != "user_network":
            yield from unknown(walk, [entry])


def _models(walk: Walk, around: Surroundings, own: set[str]) -> Iterator[Item]:
    for name, (part, logical) in walk.parts("model").items():
        busy = in_use(around.locked, [part])
        names = (f"easyocr:{name}",)
        if name == "temp.zip":
            yield unfinished(walk, part, logical, busy)
        elif name.endswith(".pth"):
            users = name.removesuffix(".pth") in own
            yield item(walk, part.path, [part], "weights", "irreplaceable" if users else "refetchable", title=name, names=names,
                       logical=logical, busy=busy, note="a network of the user's own" if users else "")  # fmt: skip
        else:
            yield item(walk, part.path, [part], "unknown", "irreplaceable", logical=logical, busy=busy)
