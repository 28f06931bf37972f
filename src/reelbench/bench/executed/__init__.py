"""Read from the engines themselves, not from the analyzer, what the networks of this process execute.

Python knows every object that it manages, so the networks that an analyzer loaded are found without its help. Runs in the worker;
`reelbench.bench.evidence_check` compares it with what the analyzer says. One module here reads one library and is named as that one is
imported; it has ``ENGINE`` (the library's name in evidence) and ``ran(module)``. No list is edited.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

Ran = tuple[str, str, int]
"""(device, precision, how much): 'CPU' or 'CUDA:0'; the precision as evidence names it."""


def executed() -> dict[str, dict[str, dict[str, int]]]:
    """For each library with live networks, by its name in evidence: 'executed', how much runs in which precision, and 'placed', how
    much of it on which device.

    OpenVINO: convolutions and matrix products of the compiled graphs; ONNX Runtime: those that the file of a session states; OpenCV:
    layers; CTranslate2: networks; PyTorch: parameters.
    """
    found: dict[str, dict[str, dict[str, int]]] = {"executed": {}, "placed": {}}
    for info in iter_modules(__path__):
        if (library := sys.modules.get(info.name)) is None:
            continue
        reader = import_module(f"{__name__}.{info.name}")
        counted = list(reader.ran(library))
        for kind, at in (("executed", 1), ("placed", 0)):
            sums: Counter[str] = Counter()
            for one in counted:
                sums[one[at]] += one[2]
            if sums:
                found[kind][reader.ENGINE] = dict(sorted(sums.items()))
    return found


def live(*kinds: type) -> Iterator[Any]:
    """The objects of these types that something in this process holds, once each."""
    known: set[int] = set()
    for one in _held():
        # Not isinstance: it asks proxies for their class, and those may import what they stand for.
        if issubclass(type(one), kinds) and id(one) not in known:
            known.add(id(one))
            yield one


def _held() -> Iterator[Any]:
    """What the garbage collector knows and what that refers to: objects of native libraries are often not known to it themselves."""
    for one in gc.get_objects():
        yield one
        for inner in gc.get_referents(one):
            yield inner
            if type(inner) in (dict, tuple) and not gc.is_tracked(inner):
                yield from gc.get_referents(inner)
