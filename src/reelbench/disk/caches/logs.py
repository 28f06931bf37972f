"""Logs in the registered workspaces: the files in ``logs/``, also rotated and compressed ones. The logs of a run go with its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk

_LOG = re.compile(r".+\.(?:log|out|err)(?:[._-][\w.-]+)?(?:\.(?:gz|bz2|xz|zst|zip))?", re.DOTALL)


def places(around: Surroundings) -> Iterable[Place]:
    for workspace in around.workspaces:
        yield Place(workspace / "logs", several=True)


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    waiting = [""]
    while waiting:
        here = waiting.pop()
        for entry in walk.entries(here):
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif not (_LOG.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)):
                yield from unknown(walk, [entry], here)
            elif (taken := walk.part(path, entry)) is not None:
                part, logical = taken
                busy = in_use(around.locked, [part])
                yield item(walk, path, [part], "log", "irreplaceable", logical=logical, busy=busy)
