"""Torch hub: downloaded checkpoints, and the code of repositories.

A checkpoint is stored under the last part of its address, so several models may be called ``weights.pth``. Only a name that carries the
beginning of its hash (``resnet50-0676ba61.pth``) says what it is; any other file cannot be proven to be a download, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unfinished, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk

_HASHED = re.compile(r".+-[0-9a-f]{8,}\.[A-Za-z0-9]+", re.DOTALL)
_CHECKPOINTS = "checkpoints"


def places(around: Surroundings) -> Iterable[Place]:
    yield Place((around.setting("TORCH_HOME") or around.cache_home / "torch") / "hub")


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    for entry in walk.entries():
        if entry.name == _CHECKPOINTS and entry.is_dir(follow_symlinks=False):
            yield from _checkpoints(walk, around)
        elif entry.name == "trusted_list":
            walk.keep(entry.name, entry)
        elif entry.is_dir(follow_symlinks=False) and (taken := walk.part(entry.name, entry)) is not None:
            busy = in_use(around.locked, [taken[0]])
            yield item(walk, entry.name, [taken[0]], "package", "refetchable", names=(f"torch_hub:{entry.name}",), logical=taken[1],
                       busy=busy, note="the code of a repository")  # fmt: skip
        else:
            yield from unknown(walk, [entry])


def _checkpoints(walk: Walk, around: Surroundings) -> Iterator[Item]:
    for name, (part, logical) in walk.parts(_CHECKPOINTS).items():
        busy = in_use(around.locked, [part])
        if name.endswith(".partial"):
            yield unfinished(walk, part, logical, busy)
        elif _HASHED.fullmatch(name):
            yield item(
                walk,
                part.path,
                [part],
                "weights",
                "refetchable",
                title=name,
                names=(f"torch_hub:{name}",),
                logical=logical,
                busy=busy,
            )
        else:
            yield item(walk, part.path, [part], "weights", "irreplaceable", title=name, names=(f"torch_hub:{name}",), logical=logical,
                       busy=busy, note="its name carries no hash: nothing says where it came from")  # fmt: skip
