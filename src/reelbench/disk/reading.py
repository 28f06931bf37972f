"""What a workspace names that is not trusted, read from its files as text: nothing of it is composed, parsed as YAML or imported.

More is found than is needed: comments count, and so does what is switched off. Only what is put together while its code runs is not
found; whoever wants that to count registers the workspace (`reelbench workspace add`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from reelbench.disk.compositions import Composition
from reelbench.disk.names import names_in, words_in
from reelbench.disk.registry import Workspace

_TOKEN = re.compile(r"[^\s'\"`,;()\[\]{}<>|=]+")
_MOST_CODE = 5_000
"""Python files that are looked at, and the bytes of the largest: what lies around a configuration may be anything."""
_LARGEST_CODE = 1 << 20
_NO_CODE = ("runs", "node_modules", "__pycache__", "site-packages", "model_store")


def compositions_of(workspace: Workspace, own: Mapping[Path, bytes]) -> tuple[Composition, ...]:
    """One for each file that names something; ``own`` are the files of its configuration, relative to it."""
    conf = [(f"file {workspace.conf.name}/{path}", text) for path, text in own.items()]
    code = [(f"file {path}", text) for path, text in _code(workspace.path)]
    found = (_read(workspace, title, text.decode(errors="replace")) for title, text in (*conf, *code))
    return tuple(one for one in found if one.needs or one.words)


def _read(workspace: Workspace, title: str, text: str) -> Composition:
    tokens = dict.fromkeys(token.rstrip(":.") for token in _TOKEN.findall(text))
    words = [word for token in tokens for word in words_in(token, workspace.path)]
    needs, named = tuple(dict.fromkeys(names_in(text))), tuple(dict.fromkeys(words))
    return Composition(workspace.path, title, f"{title}, read as text", needs=needs, words=named)


def _code(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The Python files below a folder. Links and what cannot be read are passed over."""
    left = _MOST_CODE
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NO_CODE)
        for name in sorted(names):
            path = Path(where, name)
            if not name.endswith(".py") or left == 0:
                continue
            left -= 1
            try:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_CODE:
                    yield str(path.relative_to(folder)), path.read_bytes()
            except OSError:
                continue
