"""Make folders in which the commit's files replace those of the change that take part in judging."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from reelbench.comparison.gate.judging import MEASURING
from reelbench.paths import describe_os_error

_NOT_COPIED = shutil.ignore_patterns("__pycache__")


def change_under_test(top: Path, tree: Path, target: Path) -> Path:
    """The package and configuration of the checkout ``top`` in ``target``, with the measuring code
    of ``tree``.
    """
    try:
        for part in ("src", "conf"):
            shutil.copytree(top / part, target / part, ignore=_NOT_COPIED, symlinks=True)
        shutil.rmtree(target / MEASURING)
        shutil.copytree(tree / MEASURING, target / MEASURING, ignore=_NOT_COPIED)
    except OSError as error:
        raise describe_os_error(error, target, "cannot copy the change to") from error
    return target


def clips_of_commit(folder: Path, top: Path, tree: Path, changed: Collection[str], target: Path) -> Path:
    """The files below ``folder``, which lies in the checkout ``top``, as the commit has them, as
    links in ``target``.

    ``changed`` are the files that the change adds, removes or edits; others are those of the
    checkout, also where git ignores them. Where nothing in the folder was changed it is ``folder``
    itself.
    """
    inside = folder.relative_to(top)
    if inside.as_posix() in changed:  # the folder is a link, and the change lets it lead elsewhere
        return tree / inside
    mine = {Path(name).relative_to(inside) for name in changed if Path(name).is_relative_to(inside)}
    if not mine:
        return folder
    present = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    present = {name: file for name, file in present.items() if name not in mine}
    present |= {name: tree / inside / name for name in mine if (tree / inside / name).is_file()}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, file in present.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).symlink_to(file)
    except OSError as error:
        raise describe_os_error(error, target, "cannot write") from error
    return target


def clip_folders(node: Any, top: Path) -> list[Path]:
    """The folders in the checkout ``top`` that a corpus names as its ``path``."""
    if isinstance(node, Mapping):
        own = node.get("path")
        found = [_place(own, top)] if isinstance(own, str) else []
        kept = [folder for folder in found if folder.is_dir() and folder.is_relative_to(top)]
        return kept + [folder for value in node.values() for folder in clip_folders(value, top)]
    if isinstance(node, list):
        return [folder for value in node for folder in clip_folders(value, top)]
    return []


def moved_node(node: Any, moved: Mapping[Path, Path], top: Path) -> Any:
    """A corpus that reads its clips from other folders."""
    if isinstance(node, list):
        return [moved_node(value, moved, top) for value in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: moved_node(value, moved, top) for key, value in node.items()}
    if isinstance(own := node.get("path"), str):
        folder = _place(own, top)
        other = moved.get(folder, folder)
        found["path"] = own if other == folder else str(other)
    return found


def _place(path: str, top: Path) -> Path:
    """Where a folder of clips lies: below ``top`` under the name that the change has for it, also
    where that is a link.
    """
    absolute = Path(path).expanduser().absolute()
    inside = absolute.is_relative_to(top) and ".." not in absolute.parts
    return absolute if inside else absolute.resolve()
