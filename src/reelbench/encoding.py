"""File names that are not UTF-8, in records, messages and pages, which are.

Python keeps the bytes of such a name as lone surrogates (`os.fsdecode`), which no file, socket or terminal takes as text. A name
that is only read is written with escapes, as ``caf\\udce9.mp4``; a path that is opened again is kept as a file URI, which gives its
bytes back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

_URI = "file://"


def readable(text: str) -> str:
    """``text`` with an escape for each byte that is not UTF-8; all other text as it is."""
    return text.encode("utf-8", "backslashreplace").decode()


def readable_values(value: Any) -> Any:
    """`readable` for every string in mappings and lists."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {readable_values(key): readable_values(inner) for key, inner in value.items()}
    return [readable_values(inner) for inner in value] if isinstance(value, list | tuple) else value


def path_text(path: Path) -> str:
    """A path for a record: as it is, or as a file URI where it is not UTF-8. `path_of` gives it back."""
    text = str(path)
    return text if readable(text) == text else _URI + quote(os.fsencode(path.absolute()))


def path_of(text: str) -> Path:
    """The path that `path_text` made ``text`` of."""
    return Path(os.fsdecode(unquote_to_bytes(text.removeprefix(_URI)))) if text.startswith(_URI) else Path(text)
