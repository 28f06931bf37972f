"""What names a network in the keys of derived files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def digest(text: str) -> str:
    """Sixteen hex digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(model: Path, seed: int = 0) -> str:
    """Sixteen hex digits of the file's sha256; for a configuration without weights (yolo11n.yaml) its name and the seed."""
    if model.suffix == ".yaml" and not model.is_file():
        return f"{model.stem}-random{seed}"
    status = model.stat()
    return _of_file(model, status.st_size, status.st_mtime_ns)[:16]


@cache
def _of_file(model: Path, size: int, changed_ns: int) -> str:
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
