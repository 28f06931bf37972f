"""Ultralytics: the weights folder of its settings, and the ``*.pt`` that it leaves in whatever folder a program was started from.

A file with the name of a published network can be had again; any other one may be somebody's training, and stays.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from reelbench.disk.caches.base import Place, Surroundings, in_use, item, unknown
from reelbench.disk.records import Item
from reelbench.disk.walk import Walk

_PUBLISHED = re.compile(
    r"(?:yolov?\d+u?[nsmblxtce]\d?u?(?:6u?)?(?:-(?:cls|seg|pose|obb|world|worldv2|oiv7|spp|tiny))*|yolov?\d+-(?:cls|seg|pose|obb)|"
    r"yolo_nas_[sml]|yoloe-[\w.-]+|rtdetr-[lx]|sam(?:2(?:\.1)?)?_[bstl]|mobile_sam|FastSAM-[sx])\.pt"
)
_NETWORKS = (".pt", ".pth", ".onnx", ".engine", ".torchscript")
_NOT_SOURCES = frozenset({"node_modules", "venv", "env", "site-packages", "runs", "mlruns", "mlartifacts"})


def places(around: Surroundings) -> Iterable[Place]:
    weights = _weights_dir(around)
    if weights is not None and not any(_same(weights, workspace) for workspace in around.workspaces):
        yield Place(weights, several=True)
    for workspace in around.workspaces:
        yield Place(workspace, whole=False, several=True)


def _weights_dir(around: Surroundings) -> Path | None:
    """The folder that Ultralytics' settings name; None where it was never set up."""
    moved = around.setting("YOLO_CONFIG_DIR")
    base = moved or around.setting("XDG_CONFIG_HOME") or around.home / ".config"
    try:
        settings = json.loads((base / "Ultralytics" / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # none, or none that Ultralytics could read either
    named = settings.get("weights_dir") if isinstance(settings, dict) else None
    return Path(named) if isinstance(named, str) and Path(named).is_absolute() else None


def read(walk: Walk, around: Surroundings) -> Iterator[Item]:
    if any(_same(walk.root.path, workspace) for workspace in around.workspaces):
        yield from _strays(walk, around)
        return
    for entry in walk.entries():
        if entry.name.endswith(_NETWORKS) and not entry.is_dir(follow_symlinks=False):
            yield from _network(walk, around, entry, entry.name)
        else:
            yield from unknown(walk, [entry])


def _strays(walk: Walk, around: Surroundings) -> Iterator[Item]:
    """``*.pt`` in a workspace and in its folders, no deeper: a program is started from there."""
    for entry in walk.entries():
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and entry.name not in _NOT_SOURCES and not walk.is_mount(entry):
                for inner in walk.entries(entry.name):
                    yield from _stray(walk, around, inner, f"{entry.name}/{inner.name}")
        else:
            yield from _stray(walk, around, entry, entry.name)


def _stray(walk: Walk, around: Surroundings, entry: os.DirEntry[str], path: str) -> Iterator[Item]:
    if entry.name.endswith(".pt") and not entry.is_dir(follow_symlinks=False):
        yield from _network(walk, around, entry, path)


def _network(walk: Walk, around: Surroundings, entry: os.DirEntry[str], path: str) -> Iterator[Item]:
    if (taken := walk.part(path, entry)) is None:
        return
    part, logical = taken
    published = _PUBLISHED.fullmatch(entry.name) is not None
    yield item(
        walk,
        path,
        [part],
        "weights",
        "refetchable" if published else "irreplaceable",
        names=(f"ultralytics:{entry.name}",),
        logical=logical,
        busy=in_use(around.locked, [part]),
        note="" if published else "no published network has this name: it may be a training's",
    )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
