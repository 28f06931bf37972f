"""What was composed before, in ``.compositions.json`` of the model store: a hint that saves time, thrown away where it cannot be read.

A part is composed again when a file of the configuration that it may depend on, ReelBench's code, an installed package, an environment
variable that a file names, or one of the weights that it needs changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelbench import __version__, paths
from reelbench.errors import OutputError

if TYPE_CHECKING:
    from reelbench.disk.compositions import Files

FILE = ".compositions.json"
_VERSION = 3
_ALONE = ("analyzer", "tuning", "weights", "system", "plan")
"""Groups whose files concern only those that name them; all others count for every part."""
_CODE = ("analyzers", "corpus", "engines")
"""What of ReelBench's code may say which weights a configuration needs. What composes has `_VERSION`."""


_SESSION: dict[tuple[Path, Path, str], Any] = {}
"""What code of other packages built, by store, workspace and part: true as long as this process has that code loaded."""


class Memory:
    """What is remembered of one workspace."""

    def __init__(self, store_root: Path, files: Files) -> None:
        self._root, self._files = store_root, files
        self._whole = _load(store_root / FILE)
        found = self._whole.get(str(files.workspace.path))
        self._kept: dict[str, Any] = found if isinstance(found, dict) else {}
        self._new: dict[str, Any] = {}
        surroundings = _digest([*_code_and_packages(), str(files.workspace.text_only)])
        grouped = _grouped(files)
        alone = [path for paths_of in grouped.values() for path in paths_of]
        self._common = _digest(
            [surroundings, *self._content(path for path in files.all if files.relative(path)[0] not in _ALONE)]
        )
        self._everything = _digest([surroundings, *self._content(files.all)])
        self._own = {name: _digest(self._content(found)) for name, found in grouped.items()}
        self._named = _named(grouped, {path: files.all[path] for path in alone})

    def recall(self, part: str) -> list[list[object]] | None:
        """The compositions of a part as they were kept; None where they must be composed."""
        entry: Any = self._kept.get(part, _SESSION.get(self._name(part)))
        try:
            compositions: list[list[object]] = entry["compositions"]
            valid = entry["sum"] == _sum(compositions) and entry["key"] == self._key(part)
            valid = valid and entry["held"] == self._held(compositions)
        except (KeyError, TypeError, IndexError, ValueError):
            return None
        if valid and part in self._kept:
            self._new[part] = entry
        return compositions if valid else None

    def keep(self, part: str, compositions: list[list[object]], lasting: bool) -> None:
        """``lasting``: nothing else than what is known here can change them, in another process either."""
        entry: dict[str, object] = {"key": self._key(part), "held": self._held(compositions)}
        entry |= {"sum": _sum(compositions), "compositions": compositions}
        if lasting:
            self._new[part] = entry
        else:
            _SESSION[self._name(part)] = entry

    def _name(self, part: str) -> tuple[Path, Path, str]:
        return self._root, self._files.workspace.path, part

    def save(self) -> None:
        if self._new == self._kept or not os.access(self._root, os.W_OK):
            return
        try:
            self._whole[str(self._files.workspace.path)] = self._new
            paths.write_text(self._root / FILE, json.dumps(self._whole), exact=True)
        except OutputError:
            return  # what is not remembered is composed again

    def _key(self, part: str) -> str:
        """A digest of all that a part may depend on: what is common, its own files, those of every analyzer that one of these names."""
        group, _, name = part.partition("/")
        if group == "corpus":
            return self._common
        if group != "analyzer":
            return self._everything
        waiting, seen = [name], {name}
        while waiting:
            others = self._named.get(waiting.pop(), set()) - seen
            seen |= others
            waiting += others
        return _digest([self._common, *(self._own.get(one, "") for one in sorted(seen))])

    def _content(self, found: Iterable[Path]) -> Iterator[str | bytes]:
        for path in found:
            text = self._files.all[path]
            yield from (str(path), text)
            for name in re.findall(rb"oc\.env:\s*(\w+)", text):
                yield name + b"=" + os.environb.get(name, b"\0")

    def _held(self, compositions: Iterable[list[object]]) -> str:
        """The state of the weights that are needed: what is built from them is named by their hash."""
        needs = {str(name) for one in compositions for name in _list(one[3])}
        weights = sorted(name.removeprefix("weights:") for name in needs if name.startswith("weights:"))
        return _digest(
            [
                f"{self._root} {(self._root / 'derived').is_dir()}",
                *(f"{one} {_state(self._root / one)}" for one in weights),
            ]
        )


def _grouped(files: Files) -> dict[str, list[Path]]:
    """The files of each analyzer: its own and those of its variants."""
    found: dict[str, list[Path]] = {}
    for path in files.all:
        group, rest = files.relative(path)
        if group == "analyzer":
            found.setdefault(rest, []).append(path)
        elif group == "tuning":
            found.setdefault(rest.rpartition("/")[0], []).append(path)
    return found


def _named(grouped: dict[str, list[Path]], texts: dict[Path, bytes]) -> dict[str, set[str]]:
    """Which other analyzers' names stand anywhere in an analyzer's files: a configuration may build on another's."""
    by_word: dict[bytes, set[str]] = {}
    for name in grouped:
        by_word.setdefault(os.fsencode(name.rpartition("/")[2]), set()).add(name)
    found: dict[str, set[str]] = {}
    for name, own in grouped.items():
        words = {word for path in own for word in re.findall(rb"[\w.-]+", texts[path])}
        found[name] = {other for word in words & by_word.keys() for other in by_word[word]} - {name}
    return found


def _code_and_packages() -> Iterator[str]:
    """ReelBench's own code, since an analyzer may name its weights there, and what is installed: its version names what it builds."""
    yield f"{_VERSION} {__version__} {sys.version}"
    for part in _CODE:
        for folder, folders, names in os.walk(paths.PACKAGE / part):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            yield from (
                f"{folder}/{name} {_state(Path(folder, name))}" for name in sorted(names) if name.endswith(".py")
            )
    for folder in sys.path:
        if Path(folder).name in ("site-packages", "dist-packages") and Path(folder).is_dir():
            yield from sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith("-info"))


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "-"
    return f"{status.st_size} {status.st_mtime_ns}"


def _digest(parts: Iterable[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else os.fsencode(part)
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def _sum(compositions: list[list[object]]) -> str:
    """Deleting leans on what is remembered: what was changed by anybody but us is not used."""
    return _digest([json.dumps(compositions)])


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _load(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
